import type { KeyAttributes } from "../key/key-attributes.js"
import { KeyferryError } from "../base/error.js"
import type { KeySpec } from "../key/key-spec.js"
import type { SourceKeyIdentity } from "../key/source-key.js"
import type { TokenInfo } from "../token/token-info.js"

/**
 * The key under which source keys are sealed (docs/custody.md): AES-256, a token object, sensitive, never
 * extractable, CKA_WRAP and CKA_UNWRAP and no other usage. One is in force for each token.
 */
export interface CustodyKey {
  /** CKA_ID, hex. */
  readonly id: string
  /** `keyferry/custody/<owner>/<number>`; the highest number is in force. */
  readonly label: string
  readonly number: number
  readonly attributes: KeyAttributes
  /** CKA_CHECK_VALUE, hex; null where the token has none. */
  readonly kcv: string | null
  /** Whether CKA_ALLOWED_MECHANISMS holds the sealing mechanism alone, as read back. */
  readonly allowedMechanisms: boolean
  /** Whether it was made with a CKA_UNWRAP_TEMPLATE that the token was seen to honour. */
  readonly unwrapTemplate: boolean
}

const LABEL = /^keyferry\/custody\/([^/]+)\/(0|[1-9]\d*)$/

/** `keyferry/custody/<owner>/<number>` */
export function custodyLabelOf({ owner, number }: { readonly owner: string; readonly number: number }): string {
  return `keyferry/custody/${owner}/${number}`
}

/** Reads a custody key's label back; undefined for any other label. */
export function custodyIdentityOf(label: string): { readonly owner: string; readonly number: number } | undefined {
  const [, owner, number] = LABEL.exec(label) ?? []
  return owner === undefined || number === undefined ? undefined : { owner, number: Number(number) }
}

/** A custody key that is to be made. */
export interface CustodyKeyTemplate {
  readonly id: string
  readonly label: string
}

/** What was known of a source key when it was generated, or adopted: unwrapping forgets it. */
export interface Provenance {
  readonly origin: "generated" | "adopted"
  /** RFC 3339 UTC. */
  readonly at: string
  /** As read back then: CKA_LOCAL, CKA_ALWAYS_SENSITIVE, CKA_KEY_GEN_MECHANISM and the rest. */
  readonly attributes: KeyAttributes
  readonly kcv: string | null
  /** SubjectPublicKeyInfo, DER; null for secret keys. */
  readonly publicKey: Uint8Array | null
}

/** Source key material outside the token, AES-KWP (RFC 5649) under a custody key: one file of the vault. */
export interface SealedMaterial extends SourceKeyIdentity {
  /** CKA_ID of the source key, hex: what the vault finds it by. */
  readonly id: string
  readonly label: string
  readonly keySpec: KeySpec
  readonly ciphertext: Uint8Array
  /** `CKM_…` by which it was sealed. */
  readonly mechanism: string
  readonly custodyKey: { readonly id: string; readonly label: string; readonly kcv: string | null }
  readonly token: TokenInfo
  /** RFC 3339 UTC. */
  readonly sealedAt: string
  readonly provenance: Provenance
  /** What the token was seen not to enforce of this custody, in words; null where all of it is. */
  readonly unenforced: string | null
}

/** What is kept of a custody key besides the token: a file of the state directory. */
export interface CustodyKeyRecord extends CustodyKeyTemplate {
  readonly owner: string
  readonly number: number
  readonly kcv: string | null
  readonly token: TokenInfo
  /** RFC 3339 UTC. */
  readonly createdAt: string
  /** A throw-away AES key, sealed: the custody key is whole as long as it opens. */
  readonly canary: SealedMaterial
  /** When the operator confirmed a backup, RFC 3339 UTC; null until then. */
  readonly backupConfirmedAt: string | null
}

/** A file of the vault that is not what was written there, or is not there. */
export interface DamagedMaterial {
  readonly path: string
  /** As far as the path tells. */
  readonly name: string | null
  readonly generation: number | null
  readonly id: string | null
  /** In words: what is wrong with it. */
  readonly reason: string
}

/** ERR_VAULT_DAMAGED with the file and what follows from it. */
export function vaultDamage({ path, name, id, reason }: DamagedMaterial): KeyferryError {
  return new KeyferryError(
    "ERR_VAULT_DAMAGED",
    `${path} is damaged: ${reason}; without it the key material ${id ?? ""} of ${name ?? "its key"} cannot be imported again, and its KMS key dies when that expires`,
    { key: name ?? path },
  )
}

/** Key material under a custody key. */
export interface SealedBytes {
  /** AES-KWP (RFC 5649) of the material. */
  readonly ciphertext: Uint8Array
  /** `CKM_…` */
  readonly mechanism: string
}
