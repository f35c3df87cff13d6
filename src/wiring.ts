import type { Deps } from "./app/deps.js"
import type { Log } from "./log/log.js"
import { loggedToken } from "./logged.js"
import type { Policy } from "./core/binding.js"
import { coreDumpsOff } from "./core-dump.js"
import { KeyferryError } from "./core/error.js"
import type { Pacer } from "./kms/pacing.js"
import type { Clock, Kms, PinProvider, Progress, Token } from "./core/ports.js"
import { parseTokenUri, type TokenUri } from "./core/token-uri.js"
import { Resources } from "./resources.js"

/** The composition root: joins flags and environment to adapters. What is heavy is loaded when it is asked for. */

type Env = Readonly<Record<string, string | undefined>>

export interface TokenFlags {
  readonly token?: string | undefined
  readonly pinSource?: string | undefined
  readonly retryPin?: boolean | undefined
}

export interface KmsFlags {
  readonly region?: string | undefined
  readonly profile?: string | undefined
  readonly roleArn?: string | undefined
  readonly endpointUrl?: string | undefined
  readonly fips?: boolean | undefined
}

export interface CommonFlags {
  readonly stateDir?: string | undefined
}

/** What a command knows of the process (cli/command.ts). */
export interface Around {
  readonly env: Env
  readonly progress: Progress
  readonly log: Log
  readonly command: string
}

/** Owner of labels and tags; a manifest will name others. */
export const OWNER = "keyferry"

/** Without a configuration file there is no stricter policy: SHA-1 in OAEP is safe for this use, and is stated. */
export const POLICY: Policy = {
  minimumHash: "SHA-1",
  allowCustody: null,
  allowUnenforcedCustody: false,
  requireFingerprint: false,
}

const clock: Clock = { now: () => new Date() }

const sleep = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds))

/** The token URI of `--token` or KEYFERRY_TOKEN; null where neither is given. */
export function givenToken(flags: TokenFlags, env: Env): TokenUri | null {
  const text = flags.token ?? env["KEYFERRY_TOKEN"]
  return text === undefined || text === "" ? null : parseTokenUri(text)
}

function neededToken(flags: TokenFlags, env: Env): TokenUri {
  const uri = givenToken(flags, env)
  if (uri !== null) return uri
  throw new KeyferryError("ERR_USAGE", "no token is given", {
    hint: "give --token pkcs11:token=LABEL?module-path=PATH, or set KEYFERRY_TOKEN; `keyferry token list --module PATH` shows what is there",
  })
}

/** Where the PIN comes from, and what is remembered of refusals; throws ERR_PIN_SOURCE where no source is given. */
export async function pinProvider(
  flags: TokenFlags,
  { env, progress }: Around,
  uri: TokenUri,
  stateDir: string,
): Promise<PinProvider> {
  const { createPinProvider } = await import("./config/pin-provider.js")
  const { pinMarkerFiles } = await import("./store/pin-marker-files.js")
  const source = flags.pinSource ?? env["KEYFERRY_PIN_SOURCE"] ?? uri.pinSource ?? "prompt"
  return createPinProvider({
    source,
    markers: pinMarkerFiles(stateDir),
    retryPin: flags.retryPin ?? false,
    env,
    warn: (text) => progress.warn(text),
  })
}

export async function stateDirectory(flags: CommonFlags, env: Env): Promise<string> {
  const { stateDirPath } = await import("./config/state-dir.js")
  const { openStateDir } = await import("./store/state-dir.js")
  return await openStateDir(stateDirPath(flags.stateDir, env))
}

async function loggedIn(
  flags: TokenFlags & CommonFlags,
  around: Around,
  uri: TokenUri,
  stateDir: string,
): Promise<Token> {
  const { openToken } = await import("./pkcs11/token.js")
  const { verdictCache } = await import("./store/verdict-cache.js")
  const pin = await pinProvider(flags, around, uri, stateDir)
  await coreDumpsOff()
  const warn = (text: string): void => around.progress.warn(text)
  const token = await openToken({ uri, pin, cache: verdictCache(stateDir, warn), warn })
  return loggedToken(token, around.log)
}

/** The logged-in token alone, for a host that has nothing else. */
export async function openTokenOnly(flags: TokenFlags & CommonFlags, around: Around): Promise<Token> {
  const uri = neededToken(flags, around.env)
  return await loggedIn(flags, around, uri, await stateDirectory(flags, around.env))
}

export type TokenWork = Omit<Deps, "kms" | "kmsIn"> & AsyncDisposable

/** Token, inventory and, unless it is only read, the lock of the state directory. */
export async function openTokenAndState(
  flags: TokenFlags & CommonFlags,
  around: Around,
  { readOnly = false }: { readonly readOnly?: boolean } = {},
): Promise<TokenWork> {
  const uri = neededToken(flags, around.env)
  const stateDir = await stateDirectory(flags, around.env)
  return await assemble(around, stateDir, {
    lock: !readOnly,
    token: () => loggedIn(flags, around, uri, stateDir),
    kms: null,
  })
}

export type Work = Deps & AsyncDisposable
export type WorkWithoutToken = Omit<Deps, "token"> & { readonly token: Token | null } & AsyncDisposable

/** Everything a command that talks to KMS works with. Closed in the reverse order, whatever happens. */
export async function openWork(flags: TokenFlags & KmsFlags & CommonFlags, around: Around): Promise<Work>
export async function openWork(
  flags: TokenFlags & KmsFlags & CommonFlags,
  around: Around,
  needs: { readonly token: "if given" | "none" },
): Promise<WorkWithoutToken>
export async function openWork(
  flags: TokenFlags & KmsFlags & CommonFlags,
  around: Around,
  needs: { readonly token: "needed" | "if given" | "none" } = { token: "needed" },
): Promise<WorkWithoutToken> {
  const given = needs.token === "none" ? null : givenToken(flags, around.env)
  const uri = needs.token === "needed" ? neededToken(flags, around.env) : given
  const stateDir = await stateDirectory(flags, around.env)
  return await assemble(around, stateDir, {
    lock: true,
    token: uri === null ? null : () => loggedIn(flags, around, uri, stateDir),
    kms: (region) => openKms(region === undefined ? flags : { ...flags, region }, around),
  })
}

/** One for the process: all its work together keeps to the quotas. */
let pacer: Pacer | undefined

/** KMS as flags and environment name it; an endpoint that the environment named is said aloud (invariant I3). */
export async function openKms(
  flags: KmsFlags & CommonFlags,
  { env, progress, log }: Around,
): Promise<Kms & Disposable> {
  const { openKms: open } = await import("./kms/kms.js")
  const { createPacer } = await import("./kms/pacing.js")
  pacer ??= createPacer()
  const kms = await open({ ...flags, env, pacer, onCall: (call) => log.event("kms.call", call) })
  if (kms.endpoint !== null) progress.step(`KMS endpoint ${kms.endpoint.url}, named by ${kms.endpoint.origin}`)
  return kms
}

/** KMS in another Region with the same flags; null where it cannot be opened. */
export async function openRegion(
  flags: KmsFlags & CommonFlags,
  around: Around,
  region: string,
): Promise<(Kms & Disposable) | null> {
  try {
    return await openKms({ ...flags, region }, around)
  } catch {
    return null
  }
}

async function assemble(
  around: Around,
  stateDir: string,
  parts: { lock: boolean; token: () => Promise<Token>; kms: null },
): Promise<TokenWork>
async function assemble(
  around: Around,
  stateDir: string,
  parts: { lock: boolean; token: (() => Promise<Token>) | null; kms: OpenKms },
): Promise<WorkWithoutToken>
async function assemble(
  around: Around,
  stateDir: string,
  parts: { lock: boolean; token: (() => Promise<Token>) | null; kms: OpenKms | null },
): Promise<object> {
  const { stateFiles } = await import("./state-files.js")
  const { lockState } = await import("./store/lock.js")
  await using open = new Resources()
  if (parts.lock) open.add(await lockState(stateDir, around.command))
  // KMS first: what is wrong with flags shows before a PIN is read
  const kms = parts.kms === null ? null : await parts.kms()
  if (kms !== null) open.add(kms)
  const token = parts.token === null ? null : await parts.token()
  if (token !== null) open.add(token)
  const owned = open.move()
  return {
    token,
    kms,
    kmsIn: regions(kms, parts.kms, owned),
    ...stateFiles(stateDir, clock, around.log),
    clock,
    progress: around.progress,
    policy: POLICY,
    sleep,
    [Symbol.asyncDispose]: () => owned[Symbol.asyncDispose](),
  }
}

type OpenKms = (region?: string) => Promise<Kms & Disposable>

/** KMS of other Regions, each opened when it is first asked for and closed with everything else. */
function regions(own: Kms | null, open: OpenKms | null, owned: Resources): (region: string) => Promise<Kms> {
  const opened = new Map<string, Promise<Kms>>()
  return async (region) => {
    if (own === null || open === null) throw new KeyferryError("ERR_BUG", "KMS was asked for and is not there")
    if (region === own.region) return own
    const kms =
      opened.get(region) ??
      open(region).then((one) => {
        owned.add(one)
        return one
      })
    opened.set(region, kms)
    return await kms
  }
}
