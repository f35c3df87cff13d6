import type { PinToken } from "../token/pin-marker.js"
import type { Secret } from "../base/secret.js"

/**
 * Gives the PIN once the token's flags allow a login, and remembers a PIN that the token refused (invariant I6).
 * `read` throws ERR_TOKEN_PIN_REFUSED_BEFORE where this source was refused before and has not changed since.
 */
export interface PinProvider {
  read(token: PinToken): Promise<Secret>
  refused(token: PinToken): Promise<void>
  accepted(token: PinToken): Promise<void>
}
