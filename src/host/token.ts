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
  /** Presents a PIN that the token refused before. */
  readonly retryPin: boolean
  /** Called with what the token says of its PIN, such as that only one try is left. */
  readonly warnOfPin: (text: string) => void
}

/**
 * Logs in to a token, once core dumps are off.
 *
 * @throws ERR_PIN_SOURCE where the source is not understood, ERR_MODULE_UNUSABLE, ERR_TOKEN_*
 */
export async function logIn(setting: TokenSetting, login: Login): Promise<Token> {
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
