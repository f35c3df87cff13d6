import type { KeyAttributes } from "#src/core/key/key-attributes.js"

/** An AES token key, extractable and good for nothing but to be wrapped, as a good token reads it back. */
export const TOKEN_KEY_ATTRIBUTES: KeyAttributes = {
  class: "CKO_SECRET_KEY",
  keyType: "CKK_AES",
  token: true,
  private: true,
  sensitive: true,
  extractable: true,
  alwaysSensitive: true,
  neverExtractable: false,
  local: true,
  modifiable: true,
  wrapWithTrusted: false,
  encrypt: false,
  decrypt: false,
  sign: false,
  verify: false,
  wrap: false,
  unwrap: false,
  derive: false,
  keyGenMechanism: "CKM_AES_KEY_GEN",
}
