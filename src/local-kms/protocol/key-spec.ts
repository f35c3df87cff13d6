import {
  KEY_SPECS as CARRIED,
  type KeyFamily,
  type KeySpec as CarriedKeySpec,
  type KeyUsage,
  type WrappingKeySpec,
} from "../../core/key/key-spec.js"

/** The key specs of KMS whose material can be imported: those that keyferry carries, and China's own. */
export type KeySpec = CarriedKeySpec | "SM2"

interface KeySpecRow {
  readonly family: KeyFamily
  /** Of the key: key length, modulus, field. */
  readonly bits: number
  readonly usages: readonly KeyUsage[]
  readonly oaepUnder: readonly WrappingKeySpec[]
  readonly rsaAes: boolean
  /** DER of the named curve's object identifier. */
  readonly ecParams?: Uint8Array
  readonly mac?: (typeof CARRIED)[CarriedKeySpec]["mac"]
}

export const KEY_SPECS: Readonly<Record<KeySpec, KeySpecRow>> = {
  ...CARRIED,
  SM2: {
    family: "ec",
    bits: 256,
    usages: ["ENCRYPT_DECRYPT", "SIGN_VERIFY", "KEY_AGREEMENT"],
    oaepUnder: ["RSA_2048", "RSA_3072", "RSA_4096"],
    rsaAes: false,
    // 1.2.156.10197.1.301 (GB/T 32918.5)
    ecParams: Buffer.from("06082a811ccf5501822d", "hex"),
  },
}

export const KEY_SPEC_NAMES = Object.keys(KEY_SPECS) as readonly KeySpec[]

/** Where KMS has SM2, SM4 in the place of AES, and no RSA_AES_KEY_WRAP. */
export const CHINA = "aws-cn"

/** Whether KMS of a partition imports material of the key spec. */
export function isImportable(name: string, partition: string): name is KeySpec {
  return Object.hasOwn(KEY_SPECS, name) && (name !== "SM2" || partition === CHINA)
}

export const isAsymmetric = (keySpec: KeySpec): boolean => !["aes", "hmac"].includes(KEY_SPECS[keySpec].family)
