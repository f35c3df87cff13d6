import type { KeyFamily, KeyUsage } from "../../core/key/key-spec.js"
import { KEY_SPECS, type KeySpec } from "../protocol/key-spec.js"
import { documented, recorded } from "../protocol/refusal.js"
import type { Key } from "../state/state.js"
import { curveOf } from "./curve.js"

const RSA_SIGNING = [
  "RSASSA_PKCS1_V1_5_SHA_256",
  "RSASSA_PKCS1_V1_5_SHA_384",
  "RSASSA_PKCS1_V1_5_SHA_512",
  "RSASSA_PSS_SHA_256",
  "RSASSA_PSS_SHA_384",
  "RSASSA_PSS_SHA_512",
] as const

export const SIGNING_ALGORITHMS = {
  RSASSA_PKCS1_V1_5_SHA_256: { scheme: "pkcs1", hash: "sha256" },
  RSASSA_PKCS1_V1_5_SHA_384: { scheme: "pkcs1", hash: "sha384" },
  RSASSA_PKCS1_V1_5_SHA_512: { scheme: "pkcs1", hash: "sha512" },
  RSASSA_PSS_SHA_256: { scheme: "pss", hash: "sha256" },
  RSASSA_PSS_SHA_384: { scheme: "pss", hash: "sha384" },
  RSASSA_PSS_SHA_512: { scheme: "pss", hash: "sha512" },
  ECDSA_SHA_256: { scheme: "ecdsa", hash: "sha256" },
  ECDSA_SHA_384: { scheme: "ecdsa", hash: "sha384" },
  ECDSA_SHA_512: { scheme: "ecdsa", hash: "sha512" },
  ED25519_SHA_512: { scheme: "ed25519", hash: "sha512" },
  ED25519_PH_SHA_512: { scheme: "ed25519ph", hash: "sha512" },
} as const

export type SigningAlgorithm = keyof typeof SIGNING_ALGORITHMS

export const ENCRYPTION_ALGORITHMS = ["SYMMETRIC_DEFAULT", "RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256", "SM2PKE"] as const

export const MAC_ALGORITHMS = ["HMAC_SHA_224", "HMAC_SHA_256", "HMAC_SHA_384", "HMAC_SHA_512"] as const

const BY_FAMILY: Readonly<Record<KeyFamily, (keySpec: KeySpec, usage: KeyUsage) => Algorithms>> = {
  aes: () => ({ EncryptionAlgorithms: ["SYMMETRIC_DEFAULT"] }),
  hmac: (keySpec) => ({ MacAlgorithms: [KEY_SPECS[keySpec].mac?.algorithm ?? ""] }),
  rsa: (_, usage) =>
    usage === "SIGN_VERIFY"
      ? { SigningAlgorithms: RSA_SIGNING }
      : { EncryptionAlgorithms: ["RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"] },
  ec(keySpec, usage) {
    if (usage === "SIGN_VERIFY") return { SigningAlgorithms: [curveOf(keySpec).signing] }
    return usage === "KEY_AGREEMENT" ? { KeyAgreementAlgorithms: ["ECDH"] } : { EncryptionAlgorithms: ["SM2PKE"] }
  },
  edwards: () => ({ SigningAlgorithms: ["ED25519_SHA_512", "ED25519_PH_SHA_512"] }),
}

/** The one member of KeyMetadata and GetPublicKey that lists what the key can do. */
type Algorithms = Readonly<Record<string, readonly string[]>>

export function algorithmsOf(key: Pick<Key, "keySpec" | "keyUsage">): Algorithms {
  return BY_FAMILY[KEY_SPECS[key.keySpec].family](key.keySpec, key.keyUsage)
}

/** Those that node:crypto does not have as KMS has them, and this service has no SM cryptography of its own. */
const NOT_HERE = ["SM2DSA", "SM2PKE"] as const

type NotHere = (typeof NOT_HERE)[number]

/** As KMS lists them. */
export const ALL_SIGNING_ALGORITHMS = [...(Object.keys(SIGNING_ALGORITHMS) as SigningAlgorithm[]), "SM2DSA"] as const

/** Throws InvalidKeyUsageException unless the key can do the algorithm, UnsupportedOperationException where this service cannot. */
export function requireAlgorithm<Algorithm extends string>(
  key: Key,
  algorithm: Algorithm,
): asserts algorithm is Exclude<Algorithm, NotHere> {
  const listed = Object.values(algorithmsOf(key)).some((names) => names.includes(algorithm))
  if (!listed) throw recorded.wrongAlgorithm(algorithm, key.keySpec)
  if (NOT_HERE.some((name) => name === algorithm))
    throw documented.unsupported(`the local KMS does not have ${algorithm}`)
}
