import type { Deps } from "../app/deps.js"
import type { Log } from "../core/ports/log.js"
import { loggedToken } from "./logged.js"
import { coreDumpsOff } from "./core-limits.js"
import { KeyferryError } from "../core/base/error.js"
import type { Pacer } from "../kms/pacing.js"
import type { Clock } from "../core/ports/clock.js"
import type { Kms } from "../core/ports/kms.js"
import type { PinProvider } from "../core/ports/pin-provider.js"
import type { Progress } from "../core/ports/progress.js"
import type { CustodialToken } from "../core/ports/custodial-token.js"
import type { Token } from "../core/ports/token.js"
import { type OpenKms, regions } from "./regions.js"
import { Resources } from "./resources.js"
import {
  type CommonFlags,
  type Env,
  type KmsFlags,
  type KmsSetting,
  kmsSetting,
  type Settings,
  settingsOf,
  type TokenFlags,
  type TokenSetting,
  tokenSetting,
} from "./settings.js"

/** The composition root: joins flags and environment to adapters. What is heavy is loaded when it is asked for. */

export type { CommonFlags, KmsFlags, TokenFlags } from "./settings.js"

/** What a command knows of the process (cli/command.ts). */
export interface Around {
  readonly env: Env
  readonly progress: Progress
  readonly log: Log
  readonly command: string
}

export const clock: Clock = { now: () => new Date() }

export const sleep = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds))

async function neededToken(flags: TokenFlags & CommonFlags, env: Env): Promise<TokenSetting> {
  const setting = tokenSetting(await settingsOf(flags, env), flags, env)
  if (setting !== null) return setting
  throw noToken()
}

export function noToken(): KeyferryError {
  return new KeyferryError("ERR_USAGE", "no token is given", {
    hint: "give --token pkcs11:token=LABEL?module-path=PATH, or set KEYFERRY_TOKEN; `keyferry token list --module PATH` shows what is there",
  })
}

/** Where the PIN comes from, and what is remembered of refusals; throws ERR_PIN_SOURCE where the source is not understood. */
export async function pinProvider(
  { pinSource }: TokenSetting,
  { retryPin }: TokenFlags,
  { env, progress }: Around,
  stateDir: string,
): Promise<PinProvider> {
  const { createPinProvider } = await import("../config/pin-provider.js")
  const { pinMarkerFiles } = await import("../store/files/pin-marker-files.js")
  return createPinProvider({
    source: pinSource,
    markers: pinMarkerFiles(stateDir),
    retryPin: retryPin ?? false,
    env,
    warn: (text) => progress.warn(text),
  })
}

export async function stateDirectory(flags: CommonFlags, env: Env): Promise<string> {
  const { stateDirPath } = await import("../config/state-dir.js")
  const { openStateDir } = await import("../store/files/state-dir.js")
  return await openStateDir(stateDirPath(flags.stateDir, env))
}

/** Logs in to a token. */
export async function openTokenOf(
  setting: TokenSetting,
  flags: TokenFlags,
  around: Around,
  stateDir: string,
): Promise<Token> {
  const { openToken } = await import("../pkcs11/token.js")
  const { verdictCache } = await import("../store/files/verdict-cache.js")
  const pin = await pinProvider(setting, flags, around, stateDir)
  await coreDumpsOff()
  const warn = (text: string): void => around.progress.warn(text)
  const token = await openToken({ ...(await tokenOptions(setting)), pin, cache: verdictCache(stateDir, warn), warn })
  return loggedToken(token, around.log)
}

/** What of a token's setting the token itself is opened with. */
export async function tokenOptions({ uri, profile, libraryParameters, sessions }: TokenSetting) {
  const { profileNamed } = await import("../pkcs11/profiles.js")
  const wanted = profile === null ? undefined : profileNamed(profile)
  return {
    uri,
    ...(wanted === undefined ? {} : { profile: wanted }),
    ...(libraryParameters === null ? {} : { libraryParameters }),
    ...(sessions === null ? {} : { sessions }),
  }
}

/** The logged-in token alone, for a host that has nothing else. */
export async function openTokenOnly(flags: TokenFlags & CommonFlags, around: Around): Promise<Token> {
  const setting = await neededToken(flags, around.env)
  return await openTokenOf(setting, flags, around, await stateDirectory(flags, around.env))
}

/** Who the keys belong to. */
interface Owned {
  readonly owner: string
}

/** The name that the inventory gives the target: the manifest's or, without one, the Region. */
interface Targeted {
  readonly target: string
}

export type TokenWork = Omit<Deps, "kms" | "kmsIn"> & Owned & AsyncDisposable

/** Token, inventory and, unless it is only read, the lock of the state directory. */
export async function openTokenAndState(
  flags: TokenFlags & CommonFlags,
  around: Around,
  { readOnly = false }: { readonly readOnly?: boolean } = {},
): Promise<TokenWork> {
  const setting = await neededToken(flags, around.env)
  const stateDir = await stateDirectory(flags, around.env)
  return await assemble(around, stateDir, {
    settings: await settingsOf(flags, around.env),
    lock: !readOnly,
    token: () => openTokenOf(setting, flags, around, stateDir),
    kms: null,
  })
}

export type StateWork = Omit<TokenWork, "token">

/** The state directory alone, with its lock. */
export async function openStateOnly(
  flags: CommonFlags & Readonly<Record<string, unknown>>,
  around: Around,
): Promise<StateWork> {
  const settings = await settingsOf(flags, around.env)
  const stateDir = await stateDirectory(flags, around.env)
  return await assemble(around, stateDir, { settings, lock: true, token: null, kms: null })
}

export type Work = Deps & Owned & Targeted & AsyncDisposable
export type WorkWithoutToken = Omit<Work, "token"> & { readonly token: CustodialToken | null }

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
  const settings = await settingsOf(flags, around.env)
  const given = needs.token === "none" ? null : tokenSetting(settings, flags, around.env)
  const setting = needs.token === "needed" ? await neededToken(flags, around.env) : given
  const target = kmsSetting(settings, flags)
  const stateDir = await stateDirectory(flags, around.env)
  return await assemble(around, stateDir, {
    settings,
    lock: true,
    token: setting === null ? null : () => openTokenOf(setting, flags, around, stateDir),
    kms: (region) => openKmsOf({ ...target, region: region ?? target.region }, around),
    target: target.name,
  })
}

/** One for the process: all its work together keeps to the quotas. */
let pacer: Pacer | undefined

/** KMS as flags, configuration file and environment name it. */
export async function openKms(flags: KmsFlags & CommonFlags, around: Around): Promise<Kms & Disposable> {
  return await openKmsOf(kmsSetting(await settingsOf(flags, around.env), flags), around)
}

/** KMS of a target; an endpoint that the environment named is said aloud (invariant I3). */
export async function openKmsOf(setting: KmsSetting, { env, progress, log }: Around): Promise<Kms & Disposable> {
  const { openKms: open } = await import("../kms/kms.js")
  const { createPacer } = await import("../kms/pacing.js")
  pacer ??= createPacer()
  const kms = await open({ ...setting, env, pacer, onCall: (call) => log.event("kms.call", call) })
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
    const setting = kmsSetting(await settingsOf(flags, around.env), flags)
    return await openKmsOf({ ...setting, region }, around)
  } catch {
    return null
  }
}

interface Parts {
  readonly settings: Settings
  readonly lock: boolean
  readonly token: (() => Promise<Token>) | null
  readonly kms: OpenKms | null
  readonly target?: string | null
}

async function assemble(
  around: Around,
  stateDir: string,
  parts: Parts & { token: () => Promise<Token>; kms: null },
): Promise<TokenWork>
async function assemble(around: Around, stateDir: string, parts: Parts & { token: null; kms: null }): Promise<StateWork>
async function assemble(around: Around, stateDir: string, parts: Parts & { kms: OpenKms }): Promise<WorkWithoutToken>
async function assemble(around: Around, stateDir: string, parts: Parts): Promise<object> {
  const { custodial, lockedState, stateFiles } = await import("./state-files.js")
  await using open = new Resources()
  if (parts.lock) open.add(await lockedState(stateDir, around))
  // KMS first: what is wrong with flags shows before a PIN is read
  const kms = parts.kms === null ? null : await parts.kms()
  if (kms !== null) open.add(kms)
  const files = stateFiles(stateDir, clock)
  const token =
    parts.token === null
      ? null
      : custodial(await parts.token(), files, { clock, progress: around.progress, log: around.log })
  if (token !== null) open.add(token)
  const owned = open.move()
  return {
    owner: parts.settings.owner,
    target: parts.target ?? kms?.region,
    token,
    kms,
    kmsIn: regions(kms, parts.kms, owned),
    ...files,
    clock,
    progress: around.progress,
    log: around.log,
    policy: parts.settings.policy,
    sleep,
    [Symbol.asyncDispose]: () => owned[Symbol.asyncDispose](),
  }
}
