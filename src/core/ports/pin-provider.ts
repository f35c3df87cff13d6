import type { Secret } from "../base/secret.js"
import type { LoginAnswer, PinToken } from "../token/pin-marker.js"

/** How long a PIN may be by CK_TOKEN_INFO, in bytes; null where the token says nothing of it. */
export interface PinLength {
  readonly min: number | null
  readonly max: number | null
  /** Whether what stands before the first colon, a user's name, counts. */
  readonly countsUser: boolean
}

/** Gives the PIN once the token's flags allow a login, and remembers one that the token did not take (invariant I6). */
export interface PinProvider {
  /**
   * The PIN as its source has it now.
   *
   * @throws ERR_TOKEN_PIN_REFUSED_BEFORE where the token did not take it before, ERR_PIN_SOURCE where it cannot be read
   * or cannot be a PIN of this token
   */
  read(token: PinToken, length: PinLength, flags: number): Promise<PinAttempt>
}

/** One presentation of a PIN. */
export interface PinAttempt {
  readonly pin: Secret
  /** To be called before C_Login, with the token's flags. @throws ERR_STATE_WRITE: what cannot be noted is not presented */
  begin(flags: number): Promise<void>
  taken(): Promise<void>
  /** Whatever the token answered. Never throws: the refusal is the error to report. */
  refused(answer: LoginAnswer): Promise<void>
}
