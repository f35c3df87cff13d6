/**
 * The KMS key specs whose material can be imported (Origin EXTERNAL): one row says everything that differs between
 * them, and the code asks the row. A spec is named elsewhere in three places only: the local KMS has the numbers of its
 * curves for itself, probing takes three specs as examples, and what KMS does with `SYMMETRIC_DEFAULT` alone (rotation,
 * several key materials, ciphertexts that name them) is asked by that name. Sources: AWS KMS Developer Guide "Importing
 * key material", "Select a wrapping algorithm" and "Key spec reference"; PKCS #11 v3.1 mechanisms; RFC 5480, RFC 8410
 * and SEC 2 for the curves.
 */

/** What the material is, which decides its plaintext format: raw bytes for `aes` and `hmac`, PKCS #8 for the rest. */
export type KeyFamily = "aes" | "hmac" | "rsa" | "ec" | "edwards"

export const KEY_USAGES = ["ENCRYPT_DECRYPT", "SIGN_VERIFY", "GENERATE_VERIFY_MAC", "KEY_AGREEMENT"] as const

export type KeyUsage = (typeof KEY_USAGES)[number]

/** How it can be proven that KMS holds the same material (docs/threat-model.md, "What proves what"). */
export type ProofKind = "public-key" | "mac" | "key-material-id" | "none"

export type WrappingKeySpec = "RSA_2048" | "RSA_3072" | "RSA_4096"

type Hash = "sha224" | "sha256" | "sha384" | "sha512"

/** How a signature of KMS is checked without KMS. */
export interface SigningScheme {
  /** KMS `SigningAlgorithmSpec`. */
  readonly algorithm: "RSASSA_PSS_SHA_256" | "ECDSA_SHA_256" | "ECDSA_SHA_384" | "ECDSA_SHA_512" | "ED25519_SHA_512"
  /** Of the message; null for EdDSA, which hashes it itself (RFC 8032). */
  readonly hash: Exclude<Hash, "sha224"> | null
  /** RSASSA-PSS with a salt as long as the hash (RFC 8017 section 8.1). */
  readonly pss: boolean
}

interface KeySpecRow {
  readonly family: KeyFamily
  /** Bits of the key: AES and HMAC key length, RSA modulus, EC field. */
  readonly bits: number
  /** Key usages that KMS allows for the spec; a single one is its default. */
  readonly usages: readonly KeyUsage[]
  /** Wrapping key specs under which KMS takes the bare material by RSAES_OAEP_*; empty where KMS refuses OAEP. */
  readonly oaepUnder: readonly WrappingKeySpec[]
  /** Whether KMS takes the material by RSA_AES_KEY_WRAP_*. */
  readonly rsaAes: boolean
  /** PKCS #11 key type of the (private or secret) key object. */
  readonly keyType: "CKK_AES" | "CKK_GENERIC_SECRET" | "CKK_RSA" | "CKK_EC" | "CKK_EC_EDWARDS"
  readonly generation:
    | "CKM_AES_KEY_GEN"
    | "CKM_GENERIC_SECRET_KEY_GEN"
    | "CKM_RSA_PKCS_KEY_PAIR_GEN"
    | "CKM_EC_KEY_PAIR_GEN"
    | "CKM_EC_EDWARDS_KEY_PAIR_GEN"
  /** CKA_EC_PARAMS: the DER of the named curve's object identifier. */
  readonly ecParams?: Uint8Array
  /** The curve's name in a JSON Web Key (RFC 7518 section 6.2.1.1, RFC 8812, RFC 8037). */
  readonly jwkCurve?: "P-256" | "P-384" | "P-521" | "secp256k1" | "Ed25519"
  /** The HMAC that KMS computes with it, and the token's mechanism for the same. */
  readonly mac?: {
    readonly hash: Hash
    readonly mechanism: "CKM_SHA224_HMAC" | "CKM_SHA256_HMAC" | "CKM_SHA384_HMAC" | "CKM_SHA512_HMAC"
    /** KMS MacAlgorithmSpec. */
    readonly algorithm: "HMAC_SHA_224" | "HMAC_SHA_256" | "HMAC_SHA_384" | "HMAC_SHA_512"
  }
  /** By what KMS signs for `keyferry verify`; null where the spec cannot sign. */
  readonly signing: SigningScheme | null
  readonly proof: Exclude<ProofKind, "none">
}

const ANY_RSA = ["RSA_2048", "RSA_3072", "RSA_4096"] as const
/** OAEP with SHA-256 under RSA_2048 carries 190 bytes, too few for these; KMS refuses SHA-1 there as well. */
const LARGE_RSA = ["RSA_3072", "RSA_4096"] as const

const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, "hex"))

const hmac = (bits: 224 | 256 | 384 | 512): KeySpecRow => ({
  family: "hmac",
  bits,
  usages: ["GENERATE_VERIFY_MAC"],
  oaepUnder: ANY_RSA,
  rsaAes: false,
  keyType: "CKK_GENERIC_SECRET",
  generation: "CKM_GENERIC_SECRET_KEY_GEN",
  mac: { hash: `sha${bits}`, mechanism: `CKM_SHA${bits}_HMAC`, algorithm: `HMAC_SHA_${bits}` },
  signing: null,
  proof: "mac",
})

const rsa = (bits: number): KeySpecRow => ({
  family: "rsa",
  bits,
  usages: ["ENCRYPT_DECRYPT", "SIGN_VERIFY"],
  oaepUnder: [],
  rsaAes: true,
  keyType: "CKK_RSA",
  generation: "CKM_RSA_PKCS_KEY_PAIR_GEN",
  signing: { algorithm: "RSASSA_PSS_SHA_256", hash: "sha256", pss: true },
  proof: "public-key",
})

/** A curve over a prime field. `ecParams` in hex. */
interface EcCurve extends Pick<KeySpecRow, "bits" | "usages" | "oaepUnder"> {
  readonly ecParams: string
  readonly jwkCurve: "P-256" | "P-384" | "P-521" | "secp256k1"
  readonly hash: "sha256" | "sha384" | "sha512"
}

const ec = ({ bits, usages, oaepUnder, ecParams, jwkCurve, hash }: EcCurve): KeySpecRow => ({
  family: "ec",
  bits,
  usages,
  oaepUnder,
  rsaAes: true,
  keyType: "CKK_EC",
  generation: "CKM_EC_KEY_PAIR_GEN",
  ecParams: hex(ecParams),
  jwkCurve,
  signing: { algorithm: ECDSA[hash], hash, pss: false },
  proof: "public-key",
})
const ECDSA = { sha256: "ECDSA_SHA_256", sha384: "ECDSA_SHA_384", sha512: "ECDSA_SHA_512" } as const
const SIGN_OR_AGREE = ["SIGN_VERIFY", "KEY_AGREEMENT"] as const

const KEY_SPEC_ROWS = {
  SYMMETRIC_DEFAULT: {
    family: "aes",
    bits: 256,
    usages: ["ENCRYPT_DECRYPT"],
    oaepUnder: ANY_RSA,
    rsaAes: false,
    keyType: "CKK_AES",
    generation: "CKM_AES_KEY_GEN",
    signing: null,
    proof: "key-material-id",
  },
  HMAC_224: hmac(224),
  HMAC_256: hmac(256),
  HMAC_384: hmac(384),
  HMAC_512: hmac(512),
  RSA_2048: rsa(2048),
  RSA_3072: rsa(3072),
  RSA_4096: rsa(4096),
  ECC_NIST_P256: ec({
    bits: 256,
    usages: SIGN_OR_AGREE,
    oaepUnder: ANY_RSA,
    ecParams: "06082a8648ce3d030107",
    jwkCurve: "P-256",
    hash: "sha256",
  }),
  ECC_NIST_P384: ec({
    bits: 384,
    usages: SIGN_OR_AGREE,
    oaepUnder: ANY_RSA,
    ecParams: "06052b81040022",
    jwkCurve: "P-384",
    hash: "sha384",
  }),
  ECC_NIST_P521: ec({
    bits: 521,
    usages: SIGN_OR_AGREE,
    oaepUnder: LARGE_RSA,
    ecParams: "06052b81040023",
    jwkCurve: "P-521",
    hash: "sha512",
  }),
  ECC_SECG_P256K1: ec({
    bits: 256,
    usages: ["SIGN_VERIFY"],
    oaepUnder: ANY_RSA,
    ecParams: "06052b8104000a",
    jwkCurve: "secp256k1",
    hash: "sha256",
  }),
  ECC_NIST_EDWARDS25519: {
    family: "edwards",
    bits: 255,
    usages: ["SIGN_VERIFY"],
    oaepUnder: LARGE_RSA,
    rsaAes: true,
    keyType: "CKK_EC_EDWARDS",
    generation: "CKM_EC_EDWARDS_KEY_PAIR_GEN",
    ecParams: hex("06032b6570"),
    jwkCurve: "Ed25519",
    signing: { algorithm: "ED25519_SHA_512", hash: null, pss: false },
    proof: "public-key",
  },
} as const satisfies Record<string, KeySpecRow>

export type KeySpec = keyof typeof KEY_SPEC_ROWS

export const KEY_SPECS: Readonly<Record<KeySpec, KeySpecRow>> = KEY_SPEC_ROWS

export const KEY_SPEC_NAMES = Object.keys(KEY_SPEC_ROWS) as readonly KeySpec[]

export const WRAPPING_KEY_SPECS: Readonly<Record<WrappingKeySpec, { readonly modulusBits: number }>> = {
  RSA_2048: { modulusBits: 2048 },
  RSA_3072: { modulusBits: 3072 },
  RSA_4096: { modulusBits: 4096 },
}

export const WRAPPING_KEY_SPEC_NAMES = Object.keys(WRAPPING_KEY_SPECS) as readonly WrappingKeySpec[]

export function isKeySpec(name: string): name is KeySpec {
  return Object.hasOwn(KEY_SPEC_ROWS, name)
}

/** Why keyferry carries no key of a key spec that KMS knows; undefined where there is nothing to say. */
export function whyNotCarried(name: string): string | undefined {
  if (name === "SM2")
    return "SM2 exists in China Regions alone, and keyferry carries no SM2 key: it knows no token that makes one"
  return /^ML_(DSA|KEM)_\d+$/.test(name) ? `KMS imports no key material of ${name}` : undefined
}

export function isWrappingKeySpec(name: string): name is WrappingKeySpec {
  return Object.hasOwn(WRAPPING_KEY_SPECS, name)
}

/** Whether the material is a key pair, whose public half both sides can show. */
export function isAsymmetric(keySpec: KeySpec): boolean {
  return KEY_SPECS[keySpec].proof === "public-key"
}
