import { createPublicKey } from "node:crypto"

/** ImportKeyMaterial takes an import token of at most so many bytes. */
const MOST_BYTES = 6144

/**
 * Why bytes can be no import token, in words that follow what names them; null where they may be one. KMS alone can read
 * an import token, so that only what is plainly something else is told from it: most of all the public key beside it.
 */
export function importTokenFault(importToken: Uint8Array, publicKey: Uint8Array): string | null {
  if (importToken.length > MOST_BYTES) return `has ${importToken.length} bytes, too many for an import token`
  if (Buffer.from(importToken).equals(publicKey)) return "is the wrapping public key, and no import token"
  if (isPem(importToken)) return "is PEM, and no import token"
  return isPublicKey(importToken) ? "is a public key, and no import token" : null
}

function isPem(bytes: Uint8Array): boolean {
  return Buffer.from(bytes).toString("latin1").trimStart().startsWith("-----BEGIN ")
}

function isPublicKey(bytes: Uint8Array): boolean {
  try {
    createPublicKey({ key: Buffer.from(bytes), format: "der", type: "spki" })
    return true
  } catch {
    return false
  }
}
