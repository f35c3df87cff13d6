import type { HeldWork } from "../core/ports/held-work.js"
import type { PinProvider } from "../core/ports/pin-provider.js"
import type { Token } from "../core/ports/token.js"
import { systemClock } from "./clock.js"
import { coreDumpsOff } from "./core-limits.js"
import { logCalls } from "./logged.js"
import type { CallDeadline } from "../pkcs11/session/call-watch.js"
import type { Progress } from "../core/ports/progress.js"
import type { Log } from "../core/ports/log.js"
import type { Texts } from "../store/records/texts.js"
import type { Env, TokenSetting } from "./settings.js"

/** What a login needs besides the token's setting. */
interface Login {
  readonly env: Env
  readonly progress: Progress
  readonly log: Log
  /** How the run ends where the token hangs. */
  readonly lastWords?: CallDeadline["lastWords"] | undefined
  readonly texts: Texts
  /** Null where the lock of the state keeps others out. */
  readonly heldWork: HeldWork | null
  /** Presents a PIN that the token refused before. */
  readonly retryPin: boolean
  /** Called with what the token says of its PIN, such as that only one try is left. */
  readonly warnOfPin: (text: string) => void
}

/** How long who logs in waits for another that logs in to the same token, in ms. */
const PATIENCE = 120_000

/**
 * Logs in to a token, once core dumps are off. Of agents that share a state one logs in after the other: each that came
 * at the same time would present a wrong PIN once (invariant I6).
 *
 * @throws ERR_PIN_SOURCE where the source is not understood, ERR_MODULE_UNUSABLE, ERR_TOKEN_*, ERR_KEY_HELD
 */
export async function logIn(setting: TokenSetting, login: Login): Promise<Token> {
  const { heldWork } = login
  if (heldWork === null) return await present(setting, login)
  const selectors = Object.entries(setting.uri.selectors).map(([name, value]) => `${name} ${value}`)
  const held = { name: "login", target: selectors.sort().join(", ") }
  return await heldWork.during([held], () => present(setting, login), { patience: PATIENCE })
}

async function present(setting: TokenSetting, login: Login): Promise<Token> {
  const { openToken } = await import("../pkcs11/token.js")
  const { profileNamed } = await import("../pkcs11/profiles.js")
  const { storedVerdicts } = await import("../store/records/verdict-cache.js")
  const { uri, sessions } = setting
  const profile = setting.profile === null ? undefined : profileNamed(setting.profile)
  const pin = await pinProvider(setting, login)
  await coreDumpsOff()
  const token = await openToken({
    uri,
    pin,
    cache: storedVerdicts(login.texts, (text) => login.progress.warn(text)),
    warn: login.warnOfPin,
    ...(profile === undefined ? {} : { profile }),
    ...moduleOptions(setting, login.lastWords),
    ...(sessions === null ? {} : { sessions }),
  })
  logCalls(token, login.log)
  return token
}

/** What the module of a token is loaded with. */
export function moduleOptions(
  { libraryParameters, callTimeout }: Pick<TokenSetting, "libraryParameters" | "callTimeout">,
  lastWords: CallDeadline["lastWords"] | undefined,
): { readonly libraryParameters?: string; readonly deadline?: CallDeadline } {
  return {
    ...(libraryParameters === null ? {} : { libraryParameters }),
    ...(callTimeout === null || lastWords === undefined ? {} : { deadline: { seconds: callTimeout, lastWords } }),
  }
}

/** Where the PIN comes from, and what is remembered of refusals. */
async function pinProvider({ pinSource }: TokenSetting, login: Login): Promise<PinProvider> {
  const { createPinProvider } = await import("../config/pin-provider.js")
  const { storedPinMarkers } = await import("../store/records/pin-markers.js")
  return createPinProvider({
    source: pinSource,
    markers: storedPinMarkers(login.texts),
    retryPin: login.retryPin,
    env: login.env,
    clock: systemClock,
    warn: (text) => login.progress.warn(text),
  })
}
