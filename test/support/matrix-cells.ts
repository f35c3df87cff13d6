import type { KeySpec, WrappingKeySpec } from "#src/core/key/key-spec.js"
import type { WrappingAlgorithm } from "#src/core/key/wrapping-algorithm.js"

/** One way to carry one kind of key. */
export interface Cell {
  readonly keySpec: KeySpec
  readonly wrappingAlgorithm: WrappingAlgorithm
  readonly wrappingKeySpec: WrappingKeySpec
}

export const nameOf = ({ keySpec, wrappingAlgorithm, wrappingKeySpec }: Cell): string =>
  `${keySpec} by ${wrappingAlgorithm} under ${wrappingKeySpec}`

const ALL: readonly WrappingKeySpec[] = ["RSA_2048", "RSA_3072", "RSA_4096"]
const NOT_2048: readonly WrappingKeySpec[] = ["RSA_3072", "RSA_4096"]

type Row = Readonly<Record<WrappingAlgorithm, readonly WrappingKeySpec[]>>

const row = (oaep: readonly WrappingKeySpec[], rsaAes: readonly WrappingKeySpec[]): Row => ({
  RSAES_OAEP_SHA_1: oaep,
  RSAES_OAEP_SHA_256: oaep,
  RSA_AES_KEY_WRAP_SHA_1: rsaAes,
  RSA_AES_KEY_WRAP_SHA_256: rsaAes,
})

/**
 * Under which wrapping keys KMS takes which material: written from the AWS KMS Developer Guide ("Select a wrapping
 * algorithm") and what was seen on the wire, apart from the table in `src`, which is held against it.
 */
export const TAKEN_BY_KMS: Readonly<Record<KeySpec, Row>> = {
  SYMMETRIC_DEFAULT: row(ALL, []),
  HMAC_224: row(ALL, []),
  HMAC_256: row(ALL, []),
  HMAC_384: row(ALL, []),
  HMAC_512: row(ALL, []),
  RSA_2048: row([], ALL),
  RSA_3072: row([], ALL),
  RSA_4096: row([], ALL),
  ECC_NIST_P256: row(ALL, ALL),
  ECC_NIST_P384: row(ALL, ALL),
  ECC_NIST_P521: row(NOT_2048, ALL),
  ECC_SECG_P256K1: row(ALL, ALL),
  ECC_NIST_EDWARDS25519: row(NOT_2048, ALL),
}

/** Every combination, whether KMS takes it or not. */
export const CELLS: readonly Cell[] = (Object.keys(TAKEN_BY_KMS) as KeySpec[]).flatMap((keySpec) =>
  (Object.keys(TAKEN_BY_KMS[keySpec]) as WrappingAlgorithm[]).flatMap((wrappingAlgorithm) =>
    ALL.map((wrappingKeySpec) => ({ keySpec, wrappingAlgorithm, wrappingKeySpec })),
  ),
)

export const isTaken = ({ keySpec, wrappingAlgorithm, wrappingKeySpec }: Cell): boolean =>
  TAKEN_BY_KMS[keySpec][wrappingAlgorithm].includes(wrappingKeySpec)

/**
 * What SoftHSM 2.6.1 and NSS 3.87 must carry between them. Neither has Ed25519 cleanly; secp256k1 is SoftHSM's alone,
 * which has OAEP with SHA-1 only and does not wrap private keys by plain OAEP.
 */
export const isDemanded = (cell: Cell): boolean => {
  if (cell.keySpec === "ECC_NIST_EDWARDS25519") return false
  if (cell.keySpec === "ECC_SECG_P256K1") return cell.wrappingAlgorithm === "RSA_AES_KEY_WRAP_SHA_1"
  return isTaken(cell)
}
