import type { Slot } from "graphene-pk11"
import { KeyferryError } from "../../core/base/error.js"
import type { Session } from "../cryptoki/calls.js"
import { ckrOf, failureText, restate, tokenError } from "../cryptoki/errors.js"

/** CKS_RO_USER_FUNCTIONS and CKS_RW_USER_FUNCTIONS of CK_SESSION_INFO.state. */
export const USER_STATES: readonly number[] = [1, 3]

/** C_GetTokenInfo of a software token may fail beside another process that writes. */
const TRIES = 3

/**
 * Asks whether the token is still there and the login holds. A token that is gone need not say so: SoftHSM then finds
 * no object and calls every handle invalid, while its sessions look alive (2.6.1).
 *
 * @throws ERR_TOKEN_UNAVAILABLE
 */
export function assertThere({ lib, handle }: Session, slot: Slot, loggedIn: boolean): void {
  let state: number
  try {
    tries(() => lib.C_GetTokenInfo(slot.handle))
    state = lib.C_GetSessionInfo(handle).state
  } catch (error) {
    const failure = tokenError("C_GetTokenInfo", error)
    if (ckrOf(failure) === undefined) throw error
    throw restate(failure, {
      code: "ERR_TOKEN_UNAVAILABLE",
      message: `the token does not answer any more (${failureText(failure)})`,
    })
  }
  if (!loggedIn || USER_STATES.includes(state)) return
  throw new KeyferryError("ERR_TOKEN_UNAVAILABLE", "the token has ended the login: run the same command again")
}

function tries<T>(ask: () => T): T {
  for (let tried = 1; ; tried++) {
    try {
      return ask()
    } catch (error) {
      if (tried === TRIES) throw error
    }
  }
}
