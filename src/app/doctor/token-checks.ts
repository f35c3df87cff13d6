import { DEFAULT_WRAPPING_KEY_SPEC } from "../../core/manifest/key-settings.js"
import { type EnforcementFacts, shortcomings } from "../../core/key/custody.js"
import type { KeyferryError } from "../../core/base/error.js"
import { KEY_SPEC_NAMES, type KeySpec } from "../../core/key/key-spec.js"
import { wrapCandidates } from "../../core/key/negotiation.js"
import type { CustodialToken } from "../../core/ports/custodial-token.js"
import type { WrapCapability } from "../../core/key/wrapping.js"
import type { TokenInfo } from "../../core/token/token-info.js"
import { type CheckedLine, fail, failed, ok, warn } from "./check.js"

/** What a token says of itself before any login. */
export interface Inspection {
  readonly info: TokenInfo
  /** CK_TOKEN_INFO's flags in words. */
  readonly flags: readonly string[]
  /** A login that must not be tried, or a warning. */
  readonly pin: {
    readonly refusal: KeyferryError | null
    readonly warning: string | null
    readonly loginRequired: boolean
  }
  readonly mechanisms: readonly { readonly name: string; readonly uses: readonly string[] }[]
}

/** A token seen from outside, one step after the other, each building on the one before. */
export interface TokenDoor {
  readonly modulePath: string
  /** Loads the module; gives its description and version. */
  load(): Promise<string>
  /** Chooses the token; gives what it says of itself before any login. */
  inspect(): Promise<Inspection>
  /** Logs in, once. */
  logIn(): Promise<CustodialToken>
}

/** Checks the token as far as it lets itself be looked at; gives it logged in where that worked. */
export async function examineToken(
  door: TokenDoor | null,
): Promise<{ token: CustodialToken | null; lines: readonly CheckedLine[] }> {
  if (door === null) {
    return {
      token: null,
      lines: [warn("library", "no token is given, so no token was checked", "give --token, or set KEYFERRY_TOKEN")],
    }
  }
  const lines: CheckedLine[] = []
  const step = async <T>(
    id: string,
    run: () => Promise<T>,
    say: (value: T) => CheckedLine | string,
  ): Promise<T | undefined> => {
    try {
      const value = await run()
      const line = say(value)
      lines.push(typeof line === "string" ? ok(id, line) : line)
      return value
    } catch (error) {
      lines.push(failed(id, error))
      return undefined
    }
  }
  const outcome = (token: CustodialToken | null) => ({ token, lines })

  if (
    (await step(
      "library",
      () => door.load(),
      (library) => `${door.modulePath} loads: ${library}`,
    )) === undefined
  )
    return outcome(null)
  const chosen = await step(
    "token",
    () => door.inspect(),
    ({ info, flags }) =>
      `"${info.label}", serial ${info.serial}, ${info.manufacturer} ${info.model}: ${flags.join(", ") || "no flags"}`,
  )
  if (chosen === undefined) return outcome(null)
  lines.push(claims(chosen.mechanisms), pinLine(chosen.pin))
  if (chosen.pin.refusal !== null) return outcome(null)
  const token = await step(
    "login",
    () => door.logIn(),
    () => "logged in",
  )
  if (token === undefined) return outcome(null)
  const mechanisms = await examineMechanisms(token)
  const custody = await examineCustody(token)
  lines.push(...writeLines(token), ...mechanisms, ...custody)
  return outcome(token)
}

/** What the token says it can wrap with. Only the self-test tells what comes out. */
function claims(mechanisms: readonly { readonly name: string; readonly uses: readonly string[] }[]): CheckedLine {
  const wrapping = mechanisms.filter(({ uses }) => uses.includes("wrap")).map(({ name }) => name)
  // mechanisms without a name here are none that KMS could unwrap
  const named = wrapping.filter((name) => !name.startsWith("CKM_0x"))
  const others = wrapping.length > named.length ? `, and ${wrapping.length - named.length} others` : ""
  if (wrapping.length > 0) return ok("claims", `claims to wrap with ${named.join(", ")}${others}`)
  return warn("claims", "claims no mechanism that wraps", "another token, or another firmware, is needed to carry keys")
}

function pinLine({ refusal, warning, loginRequired }: Inspection["pin"]): CheckedLine {
  if (refusal !== null) return failed("pin", refusal)
  if (warning !== null) return warn("pin", warning, "make sure that the PIN source is right before the next login")
  return ok("pin", loginRequired ? "the token says that its PIN may be presented" : "the token wants no login")
}

/** Asked after the probes, which may have shown it. */
function writeLines({ writeProtection }: CustodialToken): readonly CheckedLine[] {
  if (writeProtection === null) return []
  const message = `write-protected (${writeProtection}): only what needs no write is served, such as custody session, wrap and rewrap`
  return [warn("write", message, "log in as a role that may write for the rest, or lift the write protection")]
}

/** By live self-test: which key specs the token carries to KMS under the default wrapping key spec, and which not. */
async function examineMechanisms(token: CustodialToken): Promise<readonly CheckedLine[]> {
  const policy = { minimumHash: "SHA-1" } as const
  try {
    const requests = KEY_SPEC_NAMES.flatMap((keySpec) =>
      wrapCandidates(keySpec, DEFAULT_WRAPPING_KEY_SPEC, "auto", policy),
    )
    const verdicts = await token.selfTest(requests)
    const usable = KEY_SPEC_NAMES.filter((keySpec) => best(verdicts, keySpec)?.usable === true)
    const refused = KEY_SPEC_NAMES.filter((keySpec) => !usable.includes(keySpec))
    const lines: CheckedLine[] = []
    if (usable.length === 0)
      lines.push(
        fail(
          "mechanisms",
          "the token cannot carry any key to KMS",
          "use another token, or a newer firmware",
          "DATAERR",
        ),
      )
    else lines.push(ok("mechanisms", `proven by self-test: ${carried(verdicts, usable)}`))
    const hint = "carry these from another token; `keyferry token probe` shows every path that was tried"
    return [...lines, ...refusals(verdicts, refused).map((message) => warn("mechanisms-refused", message, hint))]
  } catch (error) {
    return [failed("mechanisms", error)]
  }
}

/** Key specs by the algorithm that `auto` takes for them. */
function carried(verdicts: readonly WrapCapability[], usable: readonly KeySpec[]): string {
  const byAlgorithm = new Map<string, KeySpec[]>()
  for (const keySpec of usable) {
    const algorithm = best(verdicts, keySpec)?.wrappingAlgorithm ?? ""
    byAlgorithm.set(algorithm, [...(byAlgorithm.get(algorithm) ?? []), keySpec])
  }
  return [...byAlgorithm].map(([algorithm, keySpecs]) => `${algorithm} for ${keySpecs.join(", ")}`).join("; ")
}

/** Key specs with the same reasons are said together; each reason once. */
function refusals(verdicts: readonly WrapCapability[], refused: readonly KeySpec[]): readonly string[] {
  const byReasons = new Map<string, KeySpec[]>()
  for (const keySpec of refused) {
    const ofSpec = verdicts.filter((verdict) => verdict.keySpec === keySpec)
    const reasons = [...new Set(ofSpec.flatMap(({ reason }) => reason.split("; ")))].join("; ")
    byReasons.set(reasons, [...(byReasons.get(reasons) ?? []), keySpec])
  }
  return [...byReasons].map(([reasons, keySpecs]) => `${keySpecs.join(", ")}: ${reasons}`)
}

function best(verdicts: readonly WrapCapability[], keySpec: KeySpec): WrapCapability | undefined {
  const ofSpec = verdicts.filter((verdict) => verdict.keySpec === keySpec)
  return ofSpec.find(({ usable }) => usable) ?? ofSpec[0]
}

/** The custodies that can be asked for, then what the token enforces of PKCS #11's promises. */
async function examineCustody(token: CustodialToken): Promise<readonly CheckedLine[]> {
  try {
    const { facts, verdicts } = await token.probeCustody({ keySpecs: ["SYMMETRIC_DEFAULT"] })
    const kept = verdicts.filter(({ enforced }) => enforced).map(({ custody }) => custody)
    const refused = verdicts.filter(({ enforced }) => !enforced)
    const others = kept.length > 0 ? `give --custody ${kept.join(" or ")}, or ` : ""
    return [
      ...(kept.length > 0 ? [ok("custody", `${listed(kept)} custody can be used: CKA_SENSITIVE is kept`)] : []),
      ...refused.map(({ custody, reason }) =>
        warn("custody-refused", `${custody} custody: ${reason}`, `${others}keep keys in a token that enforces it`),
      ),
      enforcementLine(facts),
    ]
  } catch (error) {
    return [failed("custody", error)]
  }
}

/** `a, b and c` */
function listed(words: readonly string[]): string {
  return [words.slice(0, -1).join(", "), ...words.slice(-1)].filter((part) => part !== "").join(" and ")
}

function enforcementLine(facts: EnforcementFacts): CheckedLine {
  const missing = shortcomings(facts)
  if (missing.length > 0) {
    const hint = "guard the PIN accordingly: these attributes do not stop who holds it"
    return warn("enforcement", `the token ${missing.join("; ")}`, hint)
  }
  return ok(
    "enforcement",
    "the token enforces CKA_SENSITIVE, CKA_EXTRACTABLE and CKA_WRAP_WITH_TRUSTED, and tells where a key came from",
  )
}
