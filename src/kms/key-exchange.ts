import { createSecureContext, TLSSocket } from "node:tls"
import { KeyferryError } from "../core/base/error.js"

/** The group of TLS 1.3 that stays secret before a quantum computer: ML-KEM-768 beside X25519 (IANA, TLS Supported Groups). */
export const POST_QUANTUM = "X25519MLKEM768"

/** How a connection is opened whose key exchange must be post-quantum: nothing else is offered. */
export const POST_QUANTUM_ALONE = { ecdhCurve: POST_QUANTUM, minVersion: "TLSv1.3" } as const

/**
 * Refuses a runtime whose OpenSSL cannot do what is required: Node.js 24 can, early versions of 22 cannot.
 *
 * @throws ERR_KMS_SETTING
 */
export function refuseWithoutPostQuantum(requiredBy: string): void {
  try {
    createSecureContext(POST_QUANTUM_ALONE)
  } catch (cause) {
    const { node, openssl } = process.versions
    const message = `${requiredBy} requires ${POST_QUANTUM}, and OpenSSL ${openssl} of this Node.js ${node} does not offer it`
    throw new KeyferryError("ERR_KMS_SETTING", message, { cause, hint: "run keyferry by Node.js 24 or later" })
  }
}

/** The group that a connection's keys were agreed on by; null for plain http, and where Node.js does not tell. */
export function keyExchangeOf(socket: unknown): string | null {
  if (!(socket instanceof TLSSocket)) return null
  const info = socket.getEphemeralKeyInfo()
  return info !== null && "name" in info && info.name !== undefined ? info.name : null
}

/** Words of OpenSSL for a peer that has none of the groups that were offered, or no TLS 1.3. */
const NOT_AGREED = /handshake[ _]failure|protocol[ _]version|no suitable key share/i

/** The error of a connection on which nothing else was offered, by a name of its own where that is why it failed. */
export function withoutAgreement(error: unknown): unknown {
  const { code = "", message = "" } = error as { readonly code?: string; readonly message?: string }
  if (!NOT_AGREED.test(`${code} ${message}`)) return error
  return Object.assign(new Error(message, { cause: error }), { code: "ERR_TLS_NO_POST_QUANTUM" })
}
