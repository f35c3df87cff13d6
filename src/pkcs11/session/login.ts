import type { Session as GrapheneSession } from "graphene-pk11"
import { KeyferryError } from "../../core/base/error.js"
import type { PinProvider } from "../../core/ports/pin-provider.js"
import { attempt, ckrOf, restate } from "../cryptoki/errors.js"
import { USER_STATES } from "./health.js"
import type { TokenSlot } from "./module.js"
import { hasFlag, type TokenFlag } from "../cryptoki/token-flag.js"

const CKU_USER = 1

/** The flags after which no login is tried (invariant I6), with what they mean; checked before the PIN is read. */
const REFUSALS: readonly {
  readonly flag: TokenFlag
  readonly set: boolean
  readonly code: "ERR_TOKEN_PIN_LOCKED" | "ERR_TOKEN_PIN_FINAL_TRY" | "ERR_TOKEN_PIN_UNUSABLE"
  readonly words: string
}[] = [
  { flag: "CKF_USER_PIN_LOCKED", set: true, code: "ERR_TOKEN_PIN_LOCKED", words: "is locked" },
  { flag: "CKF_USER_PIN_FINAL_TRY", set: true, code: "ERR_TOKEN_PIN_FINAL_TRY", words: "has one try left" },
  { flag: "CKF_USER_PIN_INITIALIZED", set: false, code: "ERR_TOKEN_PIN_UNUSABLE", words: "is not set" },
  { flag: "CKF_USER_PIN_TO_BE_CHANGED", set: true, code: "ERR_TOKEN_PIN_UNUSABLE", words: "must be changed" },
]

/** What the token's flags say of a login. */
export interface PinState {
  /** Whether the token wants a login at all. */
  readonly loginRequired: boolean
  /** Whether the PIN is entered at the token, so that keyferry has none to give. */
  readonly enteredAtToken: boolean
  /** A login that could lock the token or cannot work; null if one may be tried. */
  readonly refusal: KeyferryError | null
  /** What the operator should know before the one attempt; null for nothing. */
  readonly warning: string | null
}

/** Reads the PIN flags as they are now, without logging in. */
export function pinState({ token, info }: TokenSlot): PinState {
  const { flags } = token
  const loginRequired = hasFlag(flags, "CKF_LOGIN_REQUIRED")
  const refused = REFUSALS.find(({ flag, set }) => hasFlag(flags, flag) === set)
  return {
    loginRequired,
    enteredAtToken: hasFlag(flags, "CKF_PROTECTED_AUTHENTICATION_PATH"),
    refusal:
      loginRequired && refused
        ? new KeyferryError(refused.code, `the user PIN of token "${info.label}" ${refused.words}`, {
            causes: [
              { code: refused.flag, message: refused.set ? "set in CK_TOKEN_INFO" : "not set in CK_TOKEN_INFO" },
            ],
          })
        : null,
    warning: hasFlag(flags, "CKF_USER_PIN_COUNT_LOW")
      ? `a wrong PIN was given to token "${info.label}" since its last login; some tokens lock after a few`
      : null,
  }
}

interface LoginPin {
  readonly provider: PinProvider
  /** By which NSS knows which of its databases the PIN opens. */
  readonly libraryParameters: string | null
}

/**
 * Logs the user in on this session, once: the login holds for every session of the process. The PIN is read after the
 * flags allow it and presented a single time (invariant I6).
 *
 * @throws ERR_TOKEN_PIN_*, and what the provider throws
 */
export async function login(chosen: TokenSlot, session: GrapheneSession, pin: LoginPin): Promise<void> {
  const state = pinState(chosen)
  if (!state.loginRequired || loggedIn(session)) return
  if (state.refusal) throw state.refusal
  const { serial, label, manufacturer } = chosen.info
  const owner = { serial, label, manufacturer, libraryParameters: pin.libraryParameters }
  const secret = state.enteredAtToken ? undefined : await pin.provider.read(owner)
  try {
    attempt("C_Login", () => session.lib.C_Login(session.handle, CKU_USER, secret?.reveal()))
  } catch (error) {
    if (ckrOf(error) === "CKR_USER_ALREADY_LOGGED_IN" && loggedIn(session)) return
    if (!(error instanceof KeyferryError) || error.code !== "ERR_TOKEN_PIN_INCORRECT") throw error
    if (secret) await pin.provider.refused(owner)
    throw restate(error, { message: `token "${label}" refused the PIN` })
  }
  if (secret) await pin.provider.accepted(owner)
}

function loggedIn(session: GrapheneSession): boolean {
  const { state } = attempt("C_GetSessionInfo", () => session.lib.C_GetSessionInfo(session.handle))
  return USER_STATES.includes(state)
}
