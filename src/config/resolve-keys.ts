import { isKeyId, isMultiRegion, type KeyArn, parseKeyArn } from "../core/key/key-arn.js"
import { keySpecFault, partitionOf, takenIn } from "../core/key/partition.js"
import { wrapCandidates } from "../core/key/negotiation.js"
import type { Policy } from "../core/manifest/binding.js"
import { type KeySettings, SETTING_NAMES, type SettingName } from "../core/manifest/key-settings.js"
import type { ManifestKey } from "../core/manifest/manifest.js"
import { fileSettingFaults, rotateFault, settingValue, usageFor } from "../core/manifest/settings-check.js"
import { errorMessage, type Fault } from "./fault.js"
import type { ConfigFile, FileKey, FileSettings } from "./schema.js"

interface Context {
  readonly file: ConfigFile
  readonly policy: Policy
  /** Alias and target to the key that has it. */
  readonly aliases: Map<string, string>
  /** KMS key that somebody else made, a multi-Region one with its replicas, to the key that has it. */
  readonly keysOfOthers: Map<string, string>
  /** Target to the account that the first of those KMS keys in it is of, and to the key that has it. */
  readonly accounts: Map<string, { readonly account: string; readonly name: string }>
}

/** Every key with the defaults filled in, and what is wrong with it. */
export function resolveKeys(
  file: ConfigFile,
  policy: Policy,
): { readonly keys: Readonly<Record<string, ManifestKey>>; readonly faults: readonly Fault[] } {
  const context: Context = { file, policy, aliases: new Map(), keysOfOthers: new Map(), accounts: new Map() }
  const faults: Fault[] = [...namesFaults(file, ["defaults"], file.defaults)]
  const keys = Object.fromEntries(
    Object.entries(file.keys).map(([name, fileKey]) => {
      const check = new KeyCheck(context, name, fileKey)
      const resolved = check.resolve()
      faults.push(...check.faults)
      return [name, resolved]
    }),
  )
  return { keys, faults }
}

/** Names of tokens and targets that do not exist. */
function namesFaults(
  file: ConfigFile,
  path: readonly string[],
  { token, targets = [] }: Pick<FileSettings, "token" | "targets">,
): readonly Fault[] {
  const faults: Fault[] = []
  if (token !== undefined && !Object.hasOwn(file.tokens, token)) {
    faults.push({ path: [...path, "token"], message: `names no token of the file: ${token}` })
  }
  for (const [index, target] of targets.entries()) {
    if (!Object.hasOwn(file.targets, target)) {
      faults.push({ path: [...path, "targets", index], message: `names no target of the file: ${target}` })
    } else if (targets.indexOf(target) !== index) {
      faults.push({ path: [...path, "targets", index], message: `names ${target} again` })
    }
  }
  return faults
}

const MAKERS = "it is for who made that KMS key"
/** Why a setting says nothing of a KMS key that somebody else made. */
const WHOSE = {
  alias: MAKERS,
  description: MAKERS,
  tags: MAKERS,
  keyPolicy: MAKERS,
  multiRegion: "the KMS key's ID says whether it is (mrk-), and KMS which replicas its maker gave it",
} as const

/** One for all Regions of a multi-Region key, which have one material. */
const identityOf = (arn: KeyArn): string =>
  JSON.stringify([arn.partition, arn.account, isMultiRegion(arn) ? null : arn.region, arn.keyId])

/** One key: its place, its settings, and what is wrong with them. */
class KeyCheck {
  readonly faults: Fault[] = []
  readonly #context: Context
  readonly #name: string
  readonly #fileKey: FileKey
  /** The key's own words over those of `defaults`. */
  readonly #written: FileKey

  constructor(context: Context, name: string, fileKey: FileKey) {
    const { defaults } = context.file
    this.#context = context
    this.#name = name
    this.#fileKey = fileKey
    const isTheirs = fileKey.keyArn !== undefined
    // of a KMS key that somebody else made nothing is set but its material
    const dress = isTheirs ? { description: undefined, keyPolicy: undefined, tags: {} } : { tags: defaults.tags ?? {} }
    this.#written = { ...defaults, ...dress, ...fileKey, tags: { ...dress.tags, ...fileKey.tags } }
  }

  resolve(): ManifestKey {
    this.faults.push(...namesFaults(this.#context.file, ["keys", this.#name], this.#fileKey))
    const targets = this.#targets()
    const settings = this.#settings()
    for (const { setting, message } of fileSettingFaults(settings)) this.#fault(message, setting)
    this.#permitted(settings, targets)
    this.#aliasAlone(settings, targets)
    this.#replicasApart(settings, targets)
    this.#keyOfOthers(settings, targets)
    return { token: this.#token(), targets, ...settings }
  }

  #fault(message: string, ...path: readonly (string | number)[]): void {
    this.faults.push({ path: ["keys", this.#name, ...path], message })
  }

  #token(): string | null {
    const names = Object.keys(this.#context.file.tokens)
    const { token } = this.#written
    if (token === undefined && names.length > 1)
      this.#fault(`is missing, and there are ${names.length} tokens`, "token")
    return token ?? names[0] ?? null
  }

  #targets(): readonly string[] {
    const names = Object.keys(this.#context.file.targets)
    const { targets } = this.#written
    if (targets !== undefined) return targets
    const many = names.length === 0 ? "and the file has no target" : `and there are ${names.length} targets`
    if (names.length !== 1) this.#fault(`is missing, ${many}`, "targets")
    return names
  }

  #settings(): KeySettings {
    const { keySpec, keyUsage, rotateEvery, keyArn } = this.#written
    const { multiRegion } = this.#fileKey
    const { usage, fault: usageFault } = usageFor(keySpec, keyUsage)
    if (usageFault !== null) this.#fault(usageFault, "keyUsage")
    const cannotRotate = rotateFault(keySpec)
    if (cannotRotate !== undefined && this.#fileKey.rotateEvery !== undefined) this.#fault(cannotRotate, "rotateEvery")
    const written: Readonly<Partial<Record<SettingName, unknown>>> = {
      ...this.#written,
      keyUsage: usage,
      rotateEvery: cannotRotate === undefined ? rotateEvery : undefined,
      multiRegion: multiRegion !== undefined || isMultiRegion(parseKeyArn(keyArn ?? "") ?? { keyId: "" }),
      replicas: multiRegion?.replicas,
    }
    return Object.fromEntries(SETTING_NAMES.map((name) => [name, settingValue(name, written[name])])) as KeySettings
  }

  /** What KMS takes for the key spec and the policy permits is known before any token is asked. */
  #permitted({ custody, keySpec, wrappingKeySpec, wrappingAlgorithm }: KeySettings, targets: readonly string[]): void {
    const { policy } = this.#context
    if (policy.allowCustody !== null && !policy.allowCustody.includes(custody)) {
      this.#fault(`is ${custody}, and policy.allowCustody permits ${policy.allowCustody.join(", ")}`, "custody")
    }
    const partitions = new Set(targets.map((target) => partitionOf(this.#context.file.targets[target]?.region ?? "")))
    const unfit = [...partitions]
      .map((partition) => keySpecFault(partition, keySpec))
      .find((fault) => fault !== undefined)
    if (unfit !== undefined) {
      this.#fault(`is ${keySpec}, which ${unfit}`, "keySpec")
      return
    }
    try {
      const candidates = wrapCandidates(keySpec, wrappingKeySpec, wrappingAlgorithm, policy)
      for (const partition of partitions) takenIn(partition, candidates)
    } catch (error) {
      this.#fault(`cannot be ${wrappingAlgorithm}: ${errorMessage(error)}`, "wrappingAlgorithm")
    }
  }

  #aliasAlone({ alias }: KeySettings, targets: readonly string[]): void {
    if (alias === null) return
    for (const target of targets) {
      const place = JSON.stringify([target, alias])
      const holder = this.#context.aliases.get(place) ?? this.#name
      if (holder !== this.#name) this.#fault(`is that of keys.${holder} in target ${target} too`, "alias")
      this.#context.aliases.set(place, holder)
    }
  }

  /** A KMS key that somebody else made is in one place, is one name's, and keeps what it was made with. */
  #keyOfOthers({ keyArn }: KeySettings, targets: readonly string[]): void {
    if (keyArn === null) {
      if (this.#fileKey.tagKey === false) this.#fault("is for a key with keyArn", "tagKey")
      return
    }
    for (const setting of ["alias", "description", "tags", "keyPolicy", "multiRegion"] as const) {
      if (this.#fileKey[setting] !== undefined) this.#fault(`does not go with keyArn: ${WHOSE[setting]}`, setting)
    }
    const parsed = parseKeyArn(keyArn)
    if (parsed === undefined) return
    if (!isKeyId(parsed.keyId)) this.#fault(`ends in '${parsed.keyId}', which is no ID of a KMS key`, "keyArn")
    const identity = identityOf(parsed)
    const holder = this.#context.keysOfOthers.get(identity) ?? this.#name
    if (holder !== this.#name) {
      const isSame = this.#context.file.keys[holder]?.keyArn === keyArn
      this.#fault(isSame ? `is that of keys.${holder} too` : `is another Region's of that of keys.${holder}`, "keyArn")
    }
    this.#context.keysOfOthers.set(identity, holder)
    const [name = "", second] = targets
    if (second !== undefined) this.#fault(`is one KMS key, and there are ${targets.length} targets`, "keyArn")
    this.#inTarget(parsed, name)
  }

  /** A target is in one Region and one account, and KMS takes no import from another. */
  #inTarget({ partition, region, account }: KeyArn, name: string): void {
    const target = this.#context.file.targets[name]
    if (target === undefined) return
    if (region !== target.region) {
      this.#fault(`is in ${region}, and the target ${name} is in ${target.region}`, "keyArn")
      return
    }
    if (partition !== partitionOf(region)) {
      this.#fault(`is of partition ${partition}, and ${region} is in ${partitionOf(region)}`, "keyArn")
    }
    const own = target.account ?? target.roleArn?.split(":")[4]
    if (own !== undefined && account !== own) {
      this.#fault(`is of account ${account}, and the target ${name} of ${own}`, "keyArn")
    }
    const first = this.#context.accounts.get(name) ?? { account, name: this.#name }
    this.#context.accounts.set(name, first)
    if (own === undefined && first.account !== account) {
      this.#fault(
        `is of account ${account}, and that of keys.${first.name} in the same target of ${first.account}`,
        "keyArn",
      )
    }
  }

  #isElsewhere(target: string, region: string): boolean {
    const home = this.#context.file.targets[target]?.region
    return home !== undefined && partitionOf(home) !== partitionOf(region)
  }

  #replicasApart({ multiRegion }: KeySettings, targets: readonly string[]): void {
    const replicas = multiRegion ? (this.#fileKey.multiRegion?.replicas ?? []) : []
    for (const [index, region] of replicas.entries()) {
      const home = targets.find((name) => this.#context.file.targets[name]?.region === region)
      const path = ["multiRegion", "replicas", index] as const
      if (home !== undefined) this.#fault(`is the Region of target ${home} itself: ${region}`, ...path)
      else if (targets.some((name) => this.#isElsewhere(name, region))) {
        this.#fault(`is in another partition than a target: ${region}`, ...path)
      } else if (replicas.indexOf(region) !== index) this.#fault(`names ${region} again`, ...path)
    }
  }
}
