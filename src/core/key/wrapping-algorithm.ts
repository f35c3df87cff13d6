import { KEY_SPECS, type KeySpec, WRAPPING_KEY_SPECS, type WrappingKeySpec } from "./key-spec.js"

export type OaepHash = "SHA-1" | "SHA-256"

/**
 * - `oaep`: the material itself under RSAES-OAEP
 * - `rsa-aes`: `RSA-OAEP(AES-256 key) || AES-KWP(PKCS #8)` (RFC 8017 section 7.1, RFC 5649)
 */
export type WrapScheme = "oaep" | "rsa-aes"

/** How the token did it: one `C_WrapKey` with OAEP; two joined here; or the token's own CKM_RSA_AES_KEY_WRAP. */
export type WrapPath = "oaep" | "composed" | "native"

/** KMS `AlgorithmSpec` values that can be used, strongest first: the order in which `auto` looks. */
export const WRAPPING_ALGORITHMS = {
  RSA_AES_KEY_WRAP_SHA_256: { scheme: "rsa-aes", hash: "SHA-256" },
  RSAES_OAEP_SHA_256: { scheme: "oaep", hash: "SHA-256" },
  RSA_AES_KEY_WRAP_SHA_1: { scheme: "rsa-aes", hash: "SHA-1" },
  RSAES_OAEP_SHA_1: { scheme: "oaep", hash: "SHA-1" },
} as const satisfies Record<string, { scheme: WrapScheme; hash: OaepHash }>

export type WrappingAlgorithm = keyof typeof WRAPPING_ALGORITHMS

export const WRAPPING_ALGORITHM_NAMES = Object.keys(WRAPPING_ALGORITHMS) as readonly WrappingAlgorithm[]

/** Whether KMS takes material of `keySpec` by this algorithm under this wrapping key spec (its row of key-spec.ts). */
export function kmsAllows(keySpec: KeySpec, algorithm: WrappingAlgorithm, wrappingKeySpec: WrappingKeySpec): boolean {
  const row = KEY_SPECS[keySpec]
  return WRAPPING_ALGORITHMS[algorithm].scheme === "oaep" ? row.oaepUnder.includes(wrappingKeySpec) : row.rsaAes
}

/** Bytes of plaintext that OAEP can carry under a modulus: k - 2 hLen - 2 (RFC 8017 section 7.1.1). */
export function oaepCapacity(modulusBits: number, hash: OaepHash): number {
  return modulusBits / 8 - 2 * (hash === "SHA-1" ? 20 : 32) - 2
}

/**
 * The length in bytes that a wrapped result must have: a number for OAEP; for RSA-AES the OAEP part plus a whole
 * number of 8-byte blocks, at least two (RFC 5649 section 4.1), so only a predicate can say it.
 */
export function plausibleWrappedLength(
  algorithm: WrappingAlgorithm,
  wrappingKeySpec: WrappingKeySpec,
  length: number,
): boolean {
  const oaepPart = WRAPPING_KEY_SPECS[wrappingKeySpec].modulusBits / 8
  if (WRAPPING_ALGORITHMS[algorithm].scheme === "oaep") return length === oaepPart
  const kwpPart = length - oaepPart
  return kwpPart >= 16 && kwpPart % 8 === 0 && length <= MAX_ENCRYPTED_KEY_MATERIAL
}

/** ImportKeyMaterial: EncryptedKeyMaterial is 1 to 6144 bytes. */
const MAX_ENCRYPTED_KEY_MATERIAL = 6144
