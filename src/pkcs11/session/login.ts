import type { Session as GrapheneSession, Token as GrapheneToken } from "graphene-pk11"
import { KeyferryError } from "../../core/base/error.js"
import type { PinLength, PinProvider } from "../../core/ports/pin-provider.js"
import { attempt, ckrOf, failureText, restate } from "../cryptoki/errors.js"
import { USER_STATES } from "./health.js"
import type { Pkcs11Module } from "./module.js"
import type { TokenSlot } from "./slots.js"
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
  /** Of {@link TokenProfile}. */
  readonly pinHasUser: boolean
  readonly module: Pick<Pkcs11Module, "path" | "locks">
  /** Told where somebody has to enter the PIN at the token. */
  readonly warn: ((text: string) => void) | undefined
}

/**
 * Logs the user in on this session, once: the login holds for every session of the process. The PIN is read after the
 * flags allow it and presented a single time; whatever the token answers, one that it did not take is noted (invariant
 * I6). Where the token has a keypad of its own, it asks for the PIN there, and keyferry has none.
 *
 * @throws ERR_TOKEN_PIN_*, ERR_TOKEN_LOGIN_FAILED, and what the provider throws
 */
export async function login(chosen: TokenSlot, session: GrapheneSession, pin: LoginPin): Promise<void> {
  const state = pinState(chosen)
  if (!state.loginRequired || loggedIn(session)) return
  if (state.refusal) throw state.refusal
  if (state.enteredAtToken) await loginAtKeypad(chosen, session, pin)
  else await loginByPin(chosen, session, pin)
}

async function loginByPin(chosen: TokenSlot, session: GrapheneSession, pin: LoginPin): Promise<void> {
  const { token, info } = chosen
  const { serial, label, manufacturer } = info
  const slot = serial === "" ? chosen.slot.handle.readBigUInt64LE().toString() : null
  const owner = { serial, label, manufacturer, slot, libraryParameters: pin.libraryParameters }
  const attempted = await pin.provider.read(owner, pinLength(token, pin), token.flags)
  // somebody may have taken minutes to type it, and others have tried theirs meanwhile
  const present = { ...chosen, token: attempt("C_GetTokenInfo", () => chosen.slot.getToken()) }
  const { refusal } = pinState(present)
  if (refusal) throw refusal
  const flagsBefore = present.token.flags
  await attempted.begin(flagsBefore)
  try {
    attempt("C_Login", () => session.lib.C_Login(session.handle, CKU_USER, attempted.pin.reveal()))
  } catch (error) {
    const answer = ckrOf(error)
    if (answer === undefined) throw error
    if (answer === "CKR_USER_ALREADY_LOGGED_IN" && loggedIn(session)) {
      await attempted.taken()
      return
    }
    await attempted.refused({ answer, flagsBefore, flagsAfter: flagsNow(chosen) ?? flagsBefore })
    throw notTaken(error, label)
  }
  await attempted.taken()
}

/** No PIN is known here, so none can be noted: each try is somebody's at the keypad. */
async function loginAtKeypad({ info }: TokenSlot, session: GrapheneSession, pin: LoginPin): Promise<void> {
  pin.warn?.(`token "${info.label}" asks for its PIN itself: enter it there (the PIN source is not read)`)
  const { loginWithoutPin } = await import("../cryptoki/login-without-pin.js")
  try {
    await loginWithoutPin(pin.module, session.handle, CKU_USER)
  } catch (error) {
    if (ckrOf(error) === "CKR_USER_ALREADY_LOGGED_IN" && loggedIn(session)) return
    throw restate(notTaken(error, info.label), {
      message: `token "${info.label}" did not take the PIN from its own keypad (${failureText(error)})`,
    })
  }
}

/** CK_TOKEN_INFO's limits; zero and CK_UNAVAILABLE_INFORMATION say nothing. */
function pinLength({ minPinLen, maxPinLen }: GrapheneToken, { pinHasUser }: LoginPin): PinLength {
  const said = (length: number): number | null => (length > 0 && length < 0xffff ? length : null)
  const [min, max] = [said(minPinLen), said(maxPinLen)]
  const isContradiction = min !== null && max !== null && min > max
  return { ...(isContradiction ? { min: null, max: null } : { min, max }), countsUser: !pinHasUser }
}

/** Null where the token does not say. */
function flagsNow({ slot }: TokenSlot): number | null {
  try {
    return slot.getToken().flags
  } catch {
    return null
  }
}

/** The refusal in words; what is no word about the PIN itself is said as such, since nobody knows what the token counted. */
function notTaken(error: unknown, label: string): unknown {
  if (!(error instanceof KeyferryError)) return error
  if (error.code === "ERR_TOKEN_PIN_INCORRECT") return restate(error, { message: `token "${label}" refused the PIN` })
  if (error.code.startsWith("ERR_TOKEN_PIN_")) return error
  return restate(error, {
    code: "ERR_TOKEN_LOGIN_FAILED",
    message: `token "${label}" did not take the login, and does not say that the PIN is wrong (${failureText(error)})`,
  })
}

function loggedIn(session: GrapheneSession): boolean {
  const { state } = attempt("C_GetSessionInfo", () => session.lib.C_GetSessionInfo(session.handle))
  return USER_STATES.includes(state)
}
