import type { KeySpec } from "./key-spec.js"

/** How a signature of KMS is checked without KMS. */
export interface SigningScheme {
  /** KMS `SigningAlgorithmSpec`. */
  readonly algorithm: string
  /** Of the message; null for EdDSA, which hashes it itself (RFC 8032). */
  readonly hash: "sha256" | "sha384" | "sha512" | null
  /** RSASSA-PSS with a salt as long as the hash (RFC 8017 section 8.1). */
  readonly pss: boolean
}

const PSS: SigningScheme = { algorithm: "RSASSA_PSS_SHA_256", hash: "sha256", pss: true }
const ecdsa = (hash: "sha256" | "sha384" | "sha512"): SigningScheme => ({
  algorithm: `ECDSA_${hash.replace("sha", "SHA_")}`,
  hash,
  pss: false,
})

/** One scheme for each key spec that can sign (KMS Developer Guide, "Key spec reference"). */
export const SIGNING: Readonly<Partial<Record<KeySpec, SigningScheme>>> = {
  RSA_2048: PSS,
  RSA_3072: PSS,
  RSA_4096: PSS,
  ECC_NIST_P256: ecdsa("sha256"),
  ECC_NIST_P384: ecdsa("sha384"),
  ECC_NIST_P521: ecdsa("sha512"),
  ECC_SECG_P256K1: ecdsa("sha256"),
  ECC_NIST_EDWARDS25519: { algorithm: "ED25519_SHA_512", hash: null, pss: false },
}
