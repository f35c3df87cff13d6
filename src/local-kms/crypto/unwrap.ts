import { constants, createDecipheriv, privateDecrypt } from "node:crypto"
import { WRAPPING_KEY_SPECS, type WrappingKeySpec } from "../../core/key/key-spec.js"
import { KEY_SPECS, type KeySpec } from "../protocol/key-spec.js"
import { recorded } from "../protocol/refusal.js"
import type { WrappingKey } from "../state/state.js"
import { privateKeyOf } from "./wrapping-keys.js"

/** `AlgorithmSpec` of GetParametersForImport; those without a row's `hash` exist in the API and are refused. */
const ALGORITHMS = {
  RSAES_PKCS1_V1_5: undefined,
  RSAES_OAEP_SHA_1: { hybrid: false, hash: "sha1" },
  RSAES_OAEP_SHA_256: { hybrid: false, hash: "sha256" },
  RSA_AES_KEY_WRAP_SHA_1: { hybrid: true, hash: "sha1" },
  RSA_AES_KEY_WRAP_SHA_256: { hybrid: true, hash: "sha256" },
  SM2PKE: undefined,
} as const

export type WrappingAlgorithm = keyof typeof ALGORITHMS

export const WRAPPING_ALGORITHMS = Object.keys(ALGORITHMS) as readonly WrappingAlgorithm[]

/** Whether KMS takes material of the key spec so (Developer Guide, "Select a wrapping algorithm"). */
export function wrappingAllowed(
  keySpec: KeySpec,
  algorithm: WrappingAlgorithm,
  wrappingKeySpec: WrappingKeySpec,
): boolean {
  const row = ALGORITHMS[algorithm]
  if (row === undefined) return false
  return row.hybrid ? KEY_SPECS[keySpec].rsaAes : KEY_SPECS[keySpec].oaepUnder.includes(wrappingKeySpec)
}

/** The alternative initial value of RFC 5649 section 3, without the length. */
const KWP_IV = Buffer.from("a65959a6", "hex")

/**
 * Opens wrapped key material: `RSA-OAEP(material)`, or `RSA-OAEP(AES-256 key) || AES-KWP(material)`.
 * Throws InvalidCiphertextException, whatever is wrong.
 */
export function unwrap(wrappingKey: WrappingKey, algorithm: WrappingAlgorithm, wrapped: Buffer): Buffer {
  const row = ALGORITHMS[algorithm]
  const size = WRAPPING_KEY_SPECS[wrappingKey.spec].modulusBits / 8
  if (row === undefined) throw recorded.invalidCiphertext()
  try {
    const opened = openOaep(wrappingKey, row.hash, row.hybrid ? wrapped.subarray(0, size) : wrapped, size)
    return row.hybrid ? openKwp(opened, wrapped.subarray(size)) : opened
  } catch {
    throw recorded.invalidCiphertext()
  }
}

function openOaep(wrappingKey: WrappingKey, oaepHash: string, wrapped: Buffer, size: number): Buffer {
  // node:crypto would take a ciphertext whose leading zeros were left out
  if (wrapped.length !== size) throw new Error("length")
  const padding = constants.RSA_PKCS1_OAEP_PADDING
  // MGF1 takes the same hash, the label is empty
  return privateDecrypt({ key: privateKeyOf(wrappingKey), padding, oaepHash }, wrapped)
}

function openKwp(aesKey: Buffer, wrapped: Buffer): Buffer {
  // throws for a key that is not 256 bits
  const decipher = createDecipheriv("id-aes256-wrap-pad", aesKey, KWP_IV)
  return Buffer.concat([decipher.update(wrapped), decipher.final()])
}
