import { aliasName, tagFault } from "../core/key/aws-name.js"
import type { Policy, RenewBefore } from "../core/manifest/binding.js"
import { CUSTODIES } from "../core/key/custody.js"
import { parseDuration } from "../core/base/expiry.js"
import { KEY_SPECS } from "../core/key/key-spec.js"
import { DEFAULT_EXPIRES_IN, DEFAULT_RENEW_BEFORE, type ManifestKey } from "../core/manifest/manifest.js"
import { wrapCandidates } from "../core/key/negotiation.js"
import { errorMessage, type Fault } from "./fault.js"
import type { ConfigFile } from "./schema.js"

type FileKey = ConfigFile["keys"][string]
type Settings = FileKey & ConfigFile["defaults"]

/** KMS: 50 tags a key, of which keyferry keeps some for itself. */
const MOST_TAGS = 42
/** ImportKeyMaterial: `ValidTo` must be less than 365 days ahead. */
const LONGEST_LIFE = 365 * 86_400
/** PutKeyPolicy: 32 kilobytes. */
const LONGEST_POLICY = 32_768
const ROTATES = "SYMMETRIC_DEFAULT"

interface Context {
  readonly file: ConfigFile
  readonly policy: Policy
  /** Alias and target to the key that has it. */
  readonly aliases: Map<string, string>
}

/** Every key with the defaults filled in, and what is wrong with it. */
export function resolveKeys(
  file: ConfigFile,
  policy: Policy,
): { readonly keys: Readonly<Record<string, ManifestKey>>; readonly faults: readonly Fault[] } {
  const context = { file, policy, aliases: new Map<string, string>() }
  const faults: Fault[] = [
    ...namesFaults(context, ["defaults"], file.defaults),
    ...tagFaults(["defaults"], file.defaults),
  ]
  const keys = Object.fromEntries(
    Object.entries(file.keys).map(([name, key]) => {
      const checked = new KeyCheck(context, name, key)
      const resolved = checked.resolve()
      faults.push(...checked.faults)
      return [name, resolved]
    }),
  )
  return { keys, faults }
}

/** Names of tokens and targets that do not exist. */
function namesFaults(
  { file }: Context,
  path: readonly string[],
  { token, targets }: Pick<Settings, "token" | "targets">,
): readonly Fault[] {
  const faults: Fault[] = []
  if (token !== undefined && !Object.hasOwn(file.tokens, token)) {
    faults.push({ path: [...path, "token"], message: `names no token of the file: ${token}` })
  }
  for (const [at, target] of (targets ?? []).entries()) {
    if (!Object.hasOwn(file.targets, target)) {
      faults.push({ path: [...path, "targets", at], message: `names no target of the file: ${target}` })
    } else if (targets?.indexOf(target) !== at) {
      faults.push({ path: [...path, "targets", at], message: `names ${target} again` })
    }
  }
  return faults
}

function tagFaults(path: readonly string[], { tags = {} }: Pick<Settings, "tags">): readonly Fault[] {
  return Object.entries(tags).flatMap(([tag, value]) => {
    const message = tagFault(tag, value)
    return message === undefined ? [] : [{ path: [...path, "tags", tag], message }]
  })
}

/** One key: each method settles one setting, and notes what is wrong with it. */
class KeyCheck {
  readonly faults: Fault[] = []
  readonly #context: Context
  readonly #name: string
  readonly #own: FileKey
  readonly #all: Settings

  constructor(context: Context, name: string, own: FileKey) {
    this.#context = context
    this.#name = name
    this.#own = own
    this.#all = { ...context.file.defaults, ...own }
  }

  resolve(): ManifestKey {
    const { keySpec, wrapWithTrusted, wrappingAlgorithm, wrappingKeySpec, description, prove, multiRegion } = this.#all
    this.faults.push(...namesFaults(this.#context, ["keys", this.#name], this.#own))
    const targets = this.#targets()
    const expiresIn = this.#expiresIn()
    const key = {
      token: this.#token(),
      targets,
      keySpec,
      keyUsage: this.#keyUsage(),
      alias: this.#alias(targets),
      custody: this.#custody(expiresIn),
      wrapWithTrusted: wrapWithTrusted ?? false,
      wrappingAlgorithm: wrappingAlgorithm ?? "auto",
      wrappingKeySpec: wrappingKeySpec ?? "RSA_4096",
      expiresIn,
      renewBefore: this.#renewBefore(expiresIn),
      rotateEvery: this.#rotateEvery(),
      description: description ?? null,
      tags: this.#tags(),
      keyPolicy: this.#keyPolicy(),
      prove: prove ?? "accept",
      replicas: multiRegion?.replicas ?? null,
    } as const
    // a setting that would be passed over is worse than none: nothing marks a wrapping key as trusted yet
    if (key.wrapWithTrusted) this.#fault("is not honoured by this version: leave it out", "wrapWithTrusted")
    this.#wrapping(key)
    this.#replicas(targets)
    return key
  }

  #fault(message: string, ...path: readonly (string | number)[]): void {
    this.faults.push({ path: ["keys", this.#name, ...path], message })
  }

  #token(): string | null {
    const names = Object.keys(this.#context.file.tokens)
    const { token } = this.#all
    if (token === undefined && names.length > 1)
      this.#fault(`is missing, and there are ${names.length} tokens`, "token")
    return token ?? names[0] ?? null
  }

  #targets(): readonly string[] {
    const names = Object.keys(this.#context.file.targets)
    const { targets } = this.#all
    if (targets !== undefined) return targets
    const many = names.length === 0 ? "and the file has no target" : `and there are ${names.length} targets`
    if (names.length !== 1) this.#fault(`is missing, ${many}`, "targets")
    return names
  }

  #keyUsage() {
    const { keySpec, keyUsage } = this.#own
    const { usages } = KEY_SPECS[keySpec]
    const [only = "ENCRYPT_DECRYPT", another] = usages
    if (keyUsage === undefined && another !== undefined) {
      this.#fault(`is missing: ${keySpec} goes with ${usages.join(" and with ")}`, "keyUsage")
    } else if (keyUsage !== undefined && !usages.includes(keyUsage)) {
      this.#fault(`does not go with ${keySpec}, which goes with ${usages.join(" and with ")}`, "keyUsage")
    }
    return keyUsage ?? only
  }

  #alias(targets: readonly string[]): string | null {
    const { alias } = this.#own
    if (alias === undefined) return null
    const whole = aliasName(alias)
    if (whole === undefined) {
      this.#fault(
        "is no alias: alias/ and letters, digits, slashes, underscores, hyphens; alias/aws/ is reserved",
        "alias",
      )
      return null
    }
    for (const target of targets) {
      const place = JSON.stringify([target, whole])
      const holder = this.#context.aliases.get(place)
      if (holder !== undefined && holder !== this.#name)
        this.#fault(`is that of keys.${holder} in target ${target} too`, "alias")
      this.#context.aliases.set(place, holder ?? this.#name)
    }
    return whole
  }

  #custody(expiresIn: string) {
    const custody = this.#all.custody ?? "sealed"
    const { allowCustody } = this.#context.policy
    if (allowCustody !== null && !allowCustody.includes(custody)) {
      this.#fault(`is ${custody}, and policy.allowCustody permits ${allowCustody.join(", ")}`, "custody")
    }
    if (CUSTODIES[custody].reimport) return custody
    if (expiresIn !== "never")
      this.#fault(`is ${custody}, which can import only once: expiresIn must be never`, "custody")
    if (this.#own.multiRegion !== undefined) {
      this.#fault(`is ${custody}, which can import only once, and every Region takes an import of its own`, "custody")
    }
    return custody
  }

  #expiresIn(): string {
    const expiresIn = this.#all.expiresIn ?? DEFAULT_EXPIRES_IN
    if ((parseDuration(expiresIn) ?? 0) >= LONGEST_LIFE)
      this.#fault("is 365 days or more, which KMS refuses", "expiresIn")
    return expiresIn
  }

  #renewBefore(expiresIn: string): RenewBefore {
    const given = this.#all.renewBefore
    if (given === undefined) return DEFAULT_RENEW_BEFORE
    if (given.endsWith("%")) return { kind: "percentage", percent: Number(given.slice(0, -1)) }
    const seconds = parseDuration(given) ?? 0
    if (seconds >= (parseDuration(expiresIn) ?? Infinity)) {
      this.#fault(`is ${given}, which is not shorter than expiresIn, ${expiresIn}`, "renewBefore")
    }
    return { kind: "duration", seconds }
  }

  #rotateEvery(): number | null {
    const { keySpec, rotateEvery } = this.#all
    if (keySpec === ROTATES) return rotateEvery === undefined ? null : (parseDuration(rotateEvery) ?? null)
    if (this.#own.rotateEvery !== undefined)
      this.#fault(`is for ${ROTATES} keys: KMS rotates no ${keySpec} key`, "rotateEvery")
    return null
  }

  #tags(): Readonly<Record<string, string>> {
    this.faults.push(...tagFaults(["keys", this.#name], this.#own))
    const tags = { ...this.#context.file.defaults.tags, ...this.#own.tags }
    if (Object.keys(tags).length > MOST_TAGS) this.#fault(`has more than ${MOST_TAGS} tags`, "tags")
    return tags
  }

  #keyPolicy(): string | null {
    const given = this.#all.keyPolicy
    if (given === undefined) return null
    let policy: unknown = given
    try {
      if (typeof given === "string") policy = JSON.parse(given)
    } catch {
      policy = null
    }
    if (typeof policy !== "object" || policy === null || !("Statement" in policy)) {
      this.#fault("is no key policy: a mapping, or JSON text, with a Statement", "keyPolicy")
    }
    const text = typeof given === "string" ? given : JSON.stringify(given)
    if (Buffer.byteLength(text) > LONGEST_POLICY) this.#fault(`is longer than ${LONGEST_POLICY} bytes`, "keyPolicy")
    return text
  }

  /** What KMS takes for the key spec and the policy permits is known before any token is asked. */
  #wrapping({ keySpec, wrappingKeySpec, wrappingAlgorithm }: Omit<ManifestKey, "targets">): void {
    try {
      wrapCandidates(keySpec, wrappingKeySpec, wrappingAlgorithm, this.#context.policy)
    } catch (error) {
      this.#fault(`cannot be ${wrappingAlgorithm}: ${errorMessage(error)}`, "wrappingAlgorithm")
    }
  }

  #replicas(targets: readonly string[]): void {
    const replicas = this.#own.multiRegion?.replicas ?? []
    for (const [at, region] of replicas.entries()) {
      const home = targets.find((name) => this.#context.file.targets[name]?.region === region)
      const path = ["multiRegion", "replicas", at] as const
      if (home !== undefined) this.#fault(`is the Region of target ${home} itself: ${region}`, ...path)
      else if (replicas.indexOf(region) !== at) this.#fault(`names ${region} again`, ...path)
    }
  }
}
