import type { Session as GrapheneSession, Slot } from "graphene-pk11"
import { KeyferryError } from "../../core/base/error.js"
import { attempt, failureText } from "../cryptoki/errors.js"
import { SessionFlag } from "../cryptoki/graphene.js"
import { hasFlag } from "../cryptoki/token-flag.js"
import type { TokenSlot } from "./slots.js"

export function openSession(slot: Slot, { readOnly = false }: { readonly readOnly?: boolean } = {}): GrapheneSession {
  return attempt("C_OpenSession", () =>
    readOnly ? slot.open(SessionFlag.SERIAL_SESSION) : slot.open(SessionFlag.SERIAL_SESSION | SessionFlag.RW_SESSION),
  )
}

/** The session that keeps the login, and what it shows of the right to write. */
interface Anchor {
  readonly session: GrapheneSession
  /** Whether the token gives R/O sessions alone. */
  readonly readOnly: boolean
  /** In words: why no token object can be written; null where nothing is known to stand against it. */
  readonly writeProtection: string | null
}

/** CKS_RO_PUBLIC_SESSION and CKS_RO_USER_FUNCTIONS. */
const READ_ONLY_STATES: readonly number[] = [0, 1]

/** An R/W session, or an R/O one where the token or the role has no other: it serves all that needs no write. */
export function openAnchor({ slot, token }: TokenSlot): Anchor {
  try {
    const session = openSession(slot)
    // NSS gives an R/O one to whom asks for R/W
    const readOnly = READ_ONLY_STATES.includes(stateOrClose(session))
    const isFlagged = hasFlag(token.flags, "CKF_WRITE_PROTECTED")
    const flagged = isFlagged ? "CKF_WRITE_PROTECTED is set" : null
    return { session, readOnly, writeProtection: readOnly ? "it gives read-only sessions" : flagged }
  } catch (error) {
    if (!isWriteRefusal(error)) throw error
    return { session: openSession(slot, { readOnly: true }), readOnly: true, writeProtection: failureText(error) }
  }
}

/** The state of a session that was opened a moment ago; one that does not tell it is closed. */
export function stateOrClose(session: GrapheneSession): number {
  try {
    return stateOf(session)
  } catch (error) {
    close(session)
    throw error
  }
}

export function isWriteRefusal(error: unknown): boolean {
  return error instanceof KeyferryError && error.code === "ERR_TOKEN_WRITE_PROTECTED"
}

/** Sessions to lend besides the anchor: as many as wished, or what CK_TOKEN_INFO leaves. */
export function sessionLimit({ token }: TokenSlot, wished: number, { readOnly }: Pick<Anchor, "readOnly">): number {
  // CK_EFFECTIVELY_INFINITE, and CK_UNAVAILABLE_INFORMATION as pkcs11js gives it
  const unbounded = (count: number): boolean => count === 0 || count >= 0xffffffff || count < 0
  const counts = [token.maxSessionCount, ...(readOnly ? [] : [token.maxRwSessionCount])]
  const bounds = counts.filter((count) => !unbounded(count))
  return Math.min(wished, ...bounds.map((count) => count - 1))
}

/** CK_STATE, such as CKS_RW_USER_FUNCTIONS. */
export function stateOf(session: GrapheneSession): number {
  return attempt("C_GetSessionInfo", () => session.lib.C_GetSessionInfo(session.handle)).state
}

export function close(session: GrapheneSession): void {
  try {
    session.close()
  } catch {
    // gone with the token, or with C_Finalize
  }
}
