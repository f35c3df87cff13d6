import pkcs11js from "pkcs11js"

const VENDOR = 0x80000000

/**
 * Mechanisms that keyferry calls or reports. Numbers that pkcs11js lacks are from pkcs11t.h of PKCS #11 v3.1; a vendor's
 * own are from the header named beside them. The number proves nothing: the self-test does.
 */
export const MECHANISMS = {
  CKM_AES_KEY_GEN: pkcs11js.CKM_AES_KEY_GEN,
  CKM_GENERIC_SECRET_KEY_GEN: pkcs11js.CKM_GENERIC_SECRET_KEY_GEN,
  CKM_RSA_PKCS_KEY_PAIR_GEN: pkcs11js.CKM_RSA_PKCS_KEY_PAIR_GEN,
  CKM_RSA_X9_31_KEY_PAIR_GEN: pkcs11js.CKM_RSA_X9_31_KEY_PAIR_GEN,
  CKM_EC_KEY_PAIR_GEN: pkcs11js.CKM_EC_KEY_PAIR_GEN,
  CKM_EC_EDWARDS_KEY_PAIR_GEN: 0x1055,
  CKM_RSA_PKCS: pkcs11js.CKM_RSA_PKCS,
  CKM_RSA_PKCS_OAEP: pkcs11js.CKM_RSA_PKCS_OAEP,
  /** RFC 3394 */
  CKM_AES_KEY_WRAP: 0x2109,
  /** RFC 5649 in SoftHSM 2.7 and nShield; RFC 3394 with PKCS #7 padding in NSS and openCryptoki */
  CKM_AES_KEY_WRAP_PAD: 0x210a,
  /** RFC 5649 (PKCS #11 v3.0) */
  CKM_AES_KEY_WRAP_KWP: 0x210b,
  CKM_RSA_AES_KEY_WRAP: 0x1054,
  CKM_AES_ECB: pkcs11js.CKM_AES_ECB,
  CKM_AES_CBC: pkcs11js.CKM_AES_CBC,
  CKM_AES_CBC_PAD: pkcs11js.CKM_AES_CBC_PAD,
  CKM_AES_GCM: pkcs11js.CKM_AES_GCM,
  CKM_SHA224_HMAC: pkcs11js.CKM_SHA224_HMAC,
  CKM_SHA256_HMAC: pkcs11js.CKM_SHA256_HMAC,
  CKM_SHA384_HMAC: pkcs11js.CKM_SHA384_HMAC,
  CKM_SHA512_HMAC: pkcs11js.CKM_SHA512_HMAC,
  /** cloudhsm_pkcs11_vendor_defs.h */
  CKM_CLOUDHSM_AES_KEY_WRAP_ZERO_PAD: VENDOR + 0x216f,
  /** cryptoki_v2.h of Luna: CKM_AES_KWP */
  CKM_LUNA_AES_KWP: VENDOR + 0x171,
} as const

export type MechanismName = keyof typeof MECHANISMS

const NAMES: ReadonlyMap<number, string> = new Map(Object.entries(MECHANISMS).map(([name, value]) => [value, name]))

/** `CKM_…` of a number; one that keyferry has no name for is written as its number. */
export function mechanismName(value: number): string {
  return NAMES.get(value) ?? `CKM_0x${value.toString(16).padStart(4, "0")}`
}

export function isMechanismName(name: string): name is MechanismName {
  return Object.hasOwn(MECHANISMS, name)
}
