import type { Custody } from "./custody.js"
import type { KeySpec, KeyUsage, ProofKind, WrappingKeySpec } from "./key-spec.js"
import type { TokenInfo } from "./token-info.js"
import type { KeyAttributes } from "./key-attributes.js"
import type { WrapPath, WrappingAlgorithm } from "./wrapping-algorithm.js"

export interface Proof {
  readonly kind: ProofKind
  readonly result: "proven" | "accepted" | "failed"
}

/** One import that KMS took, and its proof. Times are RFC 3339 UTC. */
export interface ImportRecord {
  readonly generation: number
  readonly keyMaterialId: string | null
  readonly wrappingAlgorithm: WrappingAlgorithm
  readonly wrappingKeySpec: WrappingKeySpec
  /** Null where the material was wrapped elsewhere and no bundle says how. */
  readonly wrapPath: WrapPath | null
  readonly mechanisms: readonly string[]
  readonly wrappingKeyFingerprint: string
  readonly encryptedKeyMaterialDigest: string
  readonly expirationModel: "KEY_MATERIAL_EXPIRES" | "KEY_MATERIAL_DOES_NOT_EXPIRE"
  readonly validTo: string | null
  readonly importedAt: string
  readonly requestId: string | null
  readonly proof: Proof
}

/** The source key as it was when it was generated: what unwrapping or a loss would forget. */
export interface SourceKeyRecord {
  readonly id: string
  readonly label: string
  readonly generation: number
  readonly attributes: KeyAttributes | null
  readonly kcv: string | null
  readonly publicKeyFingerprint: string | null
}

/**
 * One source key and one target: a file of the state directory. `requestId` is written before CreateKey is called and
 * becomes a tag of the KMS key, so that a key whose creation was not answered can be found again (PRODUCT.md section 8).
 */
export interface InventoryEntry {
  readonly version: 1
  readonly owner: string
  readonly name: string
  readonly target: string
  readonly region: string
  readonly keySpec: KeySpec
  readonly keyUsage: KeyUsage
  readonly custody: Custody
  readonly alias: string | null
  /** Whether the alias was seen to name the KMS key; it is given last. */
  readonly aliasGiven: boolean
  readonly multiRegion: boolean
  /** When this entry was begun: a KMS key made for it is no older. */
  readonly intendedAt: string
  readonly requestId: string
  /** Whether CreateKey was called and its answer is still unknown. */
  readonly creating: boolean
  readonly keyArn: string | null
  readonly token: TokenInfo | null
  readonly source: SourceKeyRecord
  /** What an import that may have happened was about, written before ImportKeyMaterial; null when its outcome is known. */
  readonly importing: Omit<ImportRecord, "keyMaterialId" | "importedAt" | "requestId" | "proof"> | null
  /** Newest last. */
  readonly imports: readonly ImportRecord[]
}

/** What a name stands for; the same flags again take an entry up, others are refused. */
export type EntryIdentity = Pick<
  InventoryEntry,
  "owner" | "name" | "target" | "region" | "keySpec" | "keyUsage" | "custody" | "alias" | "multiRegion"
>

/** The inventory's first word on a name: nothing is made yet, the ids are chosen. */
export function beginEntry(
  identity: EntryIdentity,
  source: { readonly id: string; readonly label: string },
  requestId: string,
  now: Date,
): InventoryEntry {
  return {
    version: 1,
    ...identity,
    intendedAt: now.toISOString(),
    requestId,
    aliasGiven: false,
    creating: false,
    keyArn: null,
    token: null,
    source: { ...source, generation: 0, attributes: null, kcv: null, publicKeyFingerprint: null },
    importing: null,
    imports: [],
  }
}
