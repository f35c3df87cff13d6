import type { ExitName } from "../core/exit-code.js"
import { type ErrorCause, KeyferryError } from "../core/error.js"
import { KEY_SPEC_NAMES, type KeySpec } from "../core/key-spec.js"
import { wrapCandidates } from "../core/negotiation.js"
import type { Inventory, Kms, Token, WrapCapability } from "../core/ports.js"
import type { TokenInfo } from "../core/token-info.js"
import { kmsSide, listKeys } from "./key-list.js"

export interface Check {
  readonly id: string
  readonly status: "ok" | "warn" | "fail"
  readonly message: string
  /** What to do about it; null where all is well. */
  readonly hint: string | null
}

/** A check with the exit status that it asks for when it fails. */
export interface CheckedLine extends Check {
  readonly exit: ExitName
}

/** A token seen from outside, one step after the other, each building on the one before. */
export interface TokenDoor extends AsyncDisposable {
  readonly modulePath: string
  /** Loads the module; gives its description and version. */
  load(): Promise<string>
  /** Chooses the token; gives what it says of itself, with its flags in words. */
  choose(): Promise<{ info: TokenInfo; flags: readonly string[] }>
  /** The PIN flags: a login that must not be tried, or a warning. */
  pinFlags(): Promise<{ refusal: KeyferryError | null; warning: string | null; loginRequired: boolean }>
  /** Logs in, once. */
  logIn(): Promise<Token>
}

export interface DoctorDeps {
  /** Null where no token was named. */
  readonly door: TokenDoor | null
  /** Opens KMS; null where no Region was named. */
  readonly openKms: (() => Promise<Kms>) | null
  readonly inventory: Inventory
  /** What the process and its folders show: settled at the edge, reported here. */
  readonly surroundings: () => Promise<readonly CheckedLine[]>
}

const ok = (id: string, message: string): CheckedLine => ({ id, status: "ok", message, hint: null, exit: "OK" })
const warn = (id: string, message: string, hint: string): CheckedLine => ({
  id,
  status: "warn",
  message,
  hint,
  exit: "OK",
})

/** Runs every check that can be made, and says of the others why not. */
export async function examine(deps: DoctorDeps): Promise<readonly CheckedLine[]> {
  const { token, lines } = await examineToken(deps)
  return [
    ...lines,
    ...(await examineKms(deps)),
    ...(await deps.surroundings()),
    ...(await examineLeftovers(deps, token)),
  ]
}

async function examineToken({ door }: DoctorDeps): Promise<{ token: Token | null; lines: readonly CheckedLine[] }> {
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
      const said = say(value)
      lines.push(typeof said === "string" ? ok(id, said) : said)
      return value
    } catch (error) {
      lines.push(failed(id, error))
      return undefined
    }
  }
  const done = (token: Token | null) => ({ token, lines })

  if (
    (await step(
      "library",
      () => door.load(),
      (library) => `${door.modulePath} loads: ${library}`,
    )) === undefined
  )
    return done(null)
  const chosen = await step(
    "token",
    () => door.choose(),
    ({ info, flags }) =>
      `"${info.label}", serial ${info.serial}, ${info.manufacturer} ${info.model}: ${flags.join(", ") || "no flags"}`,
  )
  if (chosen === undefined) return done(null)
  const pin = await step(
    "pin",
    async () => {
      const state = await door.pinFlags()
      if (state.refusal !== null) throw state.refusal
      return state
    },
    ({ warning, loginRequired }) => {
      if (warning !== null) return warn("pin", warning, "make sure that the PIN source is right before the next login")
      return loginRequired ? "the PIN flags allow a login" : "the token wants no login"
    },
  )
  if (pin === undefined) return done(null)
  const token = await step(
    "login",
    () => door.logIn(),
    () => "logged in",
  )
  if (token === undefined) return done(null)
  lines.push(...(await examineMechanisms(token)), ...(await examineCustody(token)))
  return done(token)
}

/** By live self-test: which key specs the token carries to KMS under the default wrapping key spec, and which not. */
async function examineMechanisms(token: Token): Promise<readonly CheckedLine[]> {
  const policy = { minimumHash: "SHA-1" } as const
  try {
    const requests = KEY_SPEC_NAMES.flatMap((keySpec) => wrapCandidates(keySpec, "RSA_4096", "auto", policy))
    const verdicts = await token.selfTest(requests)
    const usable = KEY_SPEC_NAMES.filter((keySpec) => best(verdicts, keySpec)?.usable === true)
    const carried = usable.map((keySpec) => `${keySpec} by ${best(verdicts, keySpec)?.wrappingAlgorithm ?? ""}`)
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
    else lines.push(ok("mechanisms", `proven by self-test: ${carried.join(", ")}`))
    if (refused.length > 0) {
      lines.push(
        warn(
          "mechanisms-refused",
          refusals(verdicts, refused),
          "`keyferry token probe` shows every path; another token may do",
        ),
      )
    }
    return lines
  } catch (error) {
    return [failed("mechanisms", error)]
  }
}

/** Key specs with the same reasons are said together; each reason once. */
function refusals(verdicts: readonly WrapCapability[], refused: readonly KeySpec[]): string {
  const byReasons = new Map<string, KeySpec[]>()
  for (const keySpec of refused) {
    const own = verdicts.filter((verdict) => verdict.keySpec === keySpec)
    const reasons = [...new Set(own.map(({ reason }) => reason))].join(", ")
    byReasons.set(reasons, [...(byReasons.get(reasons) ?? []), keySpec])
  }
  return [...byReasons].map(([reasons, keySpecs]) => `${keySpecs.join(", ")}: ${reasons}`).join("; ")
}

function best(verdicts: readonly WrapCapability[], keySpec: KeySpec): WrapCapability | undefined {
  const own = verdicts.filter((verdict) => verdict.keySpec === keySpec)
  return own.find(({ usable }) => usable) ?? own[0]
}

async function examineCustody(token: Token): Promise<readonly CheckedLine[]> {
  try {
    const { facts, verdicts } = await token.probeCustody()
    const enforced = verdicts.filter((verdict) => verdict.enforced).map(({ custody }) => custody)
    const rest = verdicts.filter((verdict) => !verdict.enforced)
    const lines = [ok("custody", `enforced by the token: ${enforced.join(", ") || "none"}`)]
    if (rest.length > 0) {
      const words = rest.map(({ custody, reason }) => `${custody}: ${reason}`)
      lines.push(warn("custody-refused", words.join("; "), "keep keys that need it in a token that enforces it"))
    }
    if (facts.wrapWithTrustedEnforced === false) {
      lines.push(
        warn(
          "wrap-with-trusted",
          "CKA_WRAP_WITH_TRUSTED is not enforced: whoever holds the PIN can wrap a key under his own",
          "guard the PIN accordingly",
        ),
      )
    }
    return lines
  } catch (error) {
    return [failed("custody", error)]
  }
}

/** Clocks further apart than this make AWS refuse signatures (SigV4 allows 15 minutes). */
const SKEW_WARN_SECONDS = 60
const SKEW_FAIL_SECONDS = 300

async function examineKms({ openKms }: DoctorDeps): Promise<readonly CheckedLine[]> {
  if (openKms === null) {
    return [warn("kms", "no AWS Region is given, so KMS was not checked", "give --region on a host that reaches AWS")]
  }
  const lines: CheckedLine[] = []
  let kms: Kms
  try {
    kms = await openKms()
  } catch (error) {
    return [failed("kms", error)]
  }
  try {
    const { account, arn } = await kms.callerIdentity()
    lines.push(ok("aws-identity", `account ${account} as ${arn}`))
  } catch (error) {
    lines.push(failed("aws-identity", error))
  }
  const where =
    kms.endpoint === null ? `AWS KMS in ${kms.region}` : `KMS at ${kms.endpoint.url} (named by ${kms.endpoint.origin})`
  try {
    // one page is enough to see that it answers
    await kms.listKeys()[Symbol.asyncIterator]().next()
    lines.push(ok("kms", `${where} answers`))
  } catch (error) {
    const denied = error instanceof KeyferryError && error.code === "ERR_KMS_ACCESS_DENIED"
    lines.push(
      denied
        ? warn(
            "kms",
            `${where} answers, but does not allow kms:ListKeys`,
            "allow it, so that a lost CreateKey answer can be reconciled",
          )
        : failed("kms", error),
    )
  }
  const theirs = kms.serverTime()
  if (theirs !== null) lines.push(clockLine(theirs.at, theirs.seen))
  return lines
}

function clockLine(theirs: Date, ours: Date): CheckedLine {
  const skew = Math.round((ours.getTime() - theirs.getTime()) / 1000)
  const apart = Math.abs(skew)
  const message =
    apart <= 1
      ? "this host's clock agrees with KMS'"
      : `this host's clock is ${apart} s ${skew > 0 ? "ahead of" : "behind"} KMS'`
  const hint = "synchronise the clock (NTP): signatures and expiry depend on it"
  if (apart > SKEW_FAIL_SECONDS) return fail("clock", message, hint, "CONFIG")
  return apart > SKEW_WARN_SECONDS ? warn("clock", message, hint) : ok("clock", message)
}

/** What stopped runs left, in the inventory and in the token. */
async function examineLeftovers({ inventory }: DoctorDeps, token: Token | null): Promise<readonly CheckedLine[]> {
  try {
    const notes =
      token === null
        ? (await inventory.list()).flatMap((entry) => noteOf(entry.name, kmsSide(entry).note))
        : await leftoverNotes(inventory, token)
    if (notes.length === 0) return [ok("leftovers", "no run left anything unfinished")]
    return [warn("leftovers", notes.join("; "), "run the same provision again, or see `keyferry key list`")]
  } catch (error) {
    return [failed("leftovers", error)]
  }
}

async function leftoverNotes(inventory: Inventory, token: Token): Promise<readonly string[]> {
  const list = await listKeys({ inventory, token })
  return [
    ...list.keys.flatMap((key) => key.kms.flatMap(({ note }) => noteOf(key.name, note))),
    ...list.leftovers.flatMap(({ name, note }) => noteOf(name, note)),
    ...list.strays.map(({ label, id, reason }) => `${label} (${id}): ${reason}`),
  ]
}

const noteOf = (name: string, note: string | null): readonly string[] => (note === null ? [] : [`${name}: ${note}`])

function fail(id: string, message: string, hint: string, exit: ExitName): CheckedLine {
  return { id, status: "fail", message, hint, exit }
}

function failed(id: string, error: unknown): CheckedLine {
  if (!(error instanceof KeyferryError)) throw error
  const causes = error.causes.map(causeText).join("; ")
  return fail(id, causes === "" ? error.message : `${error.message} (${causes})`, error.hint, error.exit)
}

function causeText({ code, message }: ErrorCause): string {
  return code.startsWith("CKR_") ? `${message}: ${code}` : `${code}: ${message}`
}
