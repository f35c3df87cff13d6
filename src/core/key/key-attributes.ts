/**
 * A key object's attributes as the token reads them back, named as in PKCS #11 v3.1 section 4 without `CKA_`; null
 * where the token does not know the attribute or will not tell.
 */
export interface KeyAttributes {
  readonly class: string
  readonly keyType: string
  readonly token: boolean | null
  readonly private: boolean | null
  readonly sensitive: boolean | null
  readonly extractable: boolean | null
  readonly alwaysSensitive: boolean | null
  readonly neverExtractable: boolean | null
  readonly local: boolean | null
  readonly modifiable: boolean | null
  readonly wrapWithTrusted: boolean | null
  readonly encrypt: boolean | null
  readonly decrypt: boolean | null
  readonly sign: boolean | null
  readonly verify: boolean | null
  readonly wrap: boolean | null
  readonly unwrap: boolean | null
  readonly derive: boolean | null
  /** `CKM_…` of CKA_KEY_GEN_MECHANISM. */
  readonly keyGenMechanism: string | null
}
