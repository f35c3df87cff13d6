import { KeyferryError } from "../base/error.js"
import type { Custody } from "../key/custody.js"
import type { KeySpec, KeyUsage, ProofKind, WrappingKeySpec } from "../key/key-spec.js"
import { DEFAULT_EXPIRES_IN, DEFAULT_WRAPPING_KEY_SPEC } from "../manifest/key-settings.js"
import type { TokenInfo } from "../token/token-info.js"
import type { KeyAttributes } from "../key/key-attributes.js"
import type { WrapPath, WrappingAlgorithm } from "../key/wrapping-algorithm.js"

export interface Proof {
  readonly kind: ProofKind
  readonly result: "proven" | "accepted" | "failed"
}

/** One import that KMS took, and its proof. Times are RFC 3339 UTC. */
export interface ImportRecord {
  /** Of the KMS key that took it: the entry's own, or a replica's. */
  readonly region: string
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
  /** The group of TLS under which it was sent (`X25519MLKEM768`), where that is known. */
  readonly keyExchange?: string
  readonly proof: Proof
  /**
   * When the material was seen to be gone from KMS before its expiry, or was deleted by `delete-material`: it is brought
   * back only for who names the key, however long ago that is. The next import is a record without it.
   */
  readonly deletedAt?: string
}

/**
 * The source key as it was when it was generated: what unwrapping or a loss would forget. CKA_ID is its identity; a
 * label may repeat, since every KMS key of a name counts its generations from 0.
 */
export interface SourceKeyRecord {
  readonly id: string
  readonly label: string
  /** 0 for the first key material of a KMS key, one more for each rotation. */
  readonly generation: number
  readonly attributes: KeyAttributes | null
  readonly kcv: string | null
  readonly publicKeyFingerprint: string | null
}

/**
 * One source key and one target: a file of the state directory. `requestId` is written before CreateKey is called and
 * becomes a tag of the KMS key, so that a key whose creation was not answered can be found again (app/kms-key/create.ts).
 */
export interface InventoryEntry {
  /** Of the format; files of version 1, keyferry 0.1.0's, are brought to this one as they are read. */
  readonly version: 2
  readonly owner: string
  readonly name: string
  readonly target: string
  readonly region: string
  readonly keySpec: KeySpec
  readonly keyUsage: KeyUsage
  readonly custody: Custody
  /** What the token was seen not to enforce of the custody, in words, where policy takes that; null where all of it is. */
  readonly unenforced: string | null
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
  /** The KMS key was made by others, who want no tags of keyferry on it: only this entry and the configuration know it. */
  readonly untagged?: true
  readonly token: TokenInfo | null
  /** The newest generation's: KMS' current material, or what is about to be rotated to. */
  readonly source: SourceKeyRecord
  /** Older generations, oldest first: each is imported again for ever. */
  readonly earlier: readonly SourceKeyRecord[]
  /** Whether the rotation to `source` was begun and is not over. */
  readonly rotating: boolean
  /** What an import that may have happened was about, written before ImportKeyMaterial; null when its outcome is known. */
  readonly importing: Omit<ImportRecord, "keyMaterialId" | "importedAt" | "requestId" | "keyExchange" | "proof"> | null
  /** The newest of each generation and Region, newest last. */
  readonly imports: readonly ImportRecord[]
  /** KMS keys in other Regions of a multi-Region key. */
  readonly replicas: readonly ReplicaRecord[]
  /**
   * When the operator deleted its material from KMS, or scheduled the deletion of the KMS key: lost material is not
   * imported again before he asks. RFC 3339 UTC.
   */
  readonly withheldAt: string | null
  /** How it was last asked to be imported, which a rewrap without other word repeats; null for an entry of an older version. */
  readonly terms: ImportWishes | null
  /** The KMS key that is to take this one's place, while `replace` makes it: an entry of its own, without another inside. */
  readonly replacement: InventoryEntry | null
  /** KMS keys that were replaced, oldest first: rewrapped like this one until they are retired. */
  readonly former: readonly FormerEntry[]
}

/** An entry whose KMS key is known. */
export type MadeEntry = InventoryEntry & { readonly keyArn: string }

/** A replica of a multi-Region key. */
export interface ReplicaRecord {
  readonly region: string
  /** Null while ReplicateKey was called and its answer is not known. */
  readonly keyArn: string | null
  /** Whether the alias was seen to name it in its Region. */
  readonly aliasGiven: boolean
}

export interface ImportWishes {
  /** A duration, a time or `never`, as it was given. */
  readonly expiresIn: string
  readonly wrappingAlgorithm: WrappingAlgorithm | "auto"
  readonly wrappingKeySpec: WrappingKeySpec
}

/** A KMS key whose place another has taken. */
export interface FormerEntry extends InventoryEntry {
  readonly replacedAt: string
  /** When `retire` scheduled its deletion; null until then. */
  readonly retiredAt: string | null
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
    version: 2,
    ...identity,
    unenforced: null,
    intendedAt: now.toISOString(),
    requestId,
    aliasGiven: false,
    creating: false,
    keyArn: null,
    token: null,
    source: { ...source, generation: 0, attributes: null, kcv: null, publicKeyFingerprint: null },
    importing: null,
    imports: [],
    earlier: [],
    rotating: false,
    replicas: [],
    withheldAt: null,
    terms: null,
    replacement: null,
    former: [],
  }
}

/** @throws ERR_KEY_NOT_FOUND where no KMS key was made yet */
export function madeEntry(entry: InventoryEntry): MadeEntry {
  if (entry.keyArn !== null) return { ...entry, keyArn: entry.keyArn }
  throw new KeyferryError("ERR_KEY_NOT_FOUND", `no KMS key of ${entry.name} is known yet`, {
    key: entry.name,
    hint: "run the same provision again, which goes on where it stopped",
  })
}

/** @throws ERR_KEY_NOT_FOUND where no key material was imported yet: there is nothing to rotate or to replace */
export function importedEntry(entry: InventoryEntry): MadeEntry {
  const { name, keyArn, imports } = entry
  if (keyArn !== null && imports.length > 0) return { ...entry, keyArn }
  throw new KeyferryError("ERR_KEY_NOT_FOUND", `${name} has no KMS key with key material yet`, {
    key: name,
    hint: "provision it first, with the same flags as before if that was begun",
  })
}

/** The source keys of a KMS key by generation, oldest first. */
export function generationsOf({ earlier, source }: InventoryEntry): readonly SourceKeyRecord[] {
  return [...earlier, source]
}

/** An entry with the ones inside it: the KMS key that is to replace its own, and those that were replaced. */
export function withNested(entry: InventoryEntry): readonly InventoryEntry[] {
  return [entry, ...(entry.replacement === null ? [] : [entry.replacement]), ...entry.former]
}

/** The newest import of a generation in a Region; undefined if there was none. */
export function importOf(entry: InventoryEntry, generation: number, region: string): ImportRecord | undefined {
  return entry.imports.findLast((record) => record.generation === generation && record.region === region)
}

/** The newest import into the entry's own Region: what results show; undefined before the first. */
export function lastImport(entry: InventoryEntry): ImportRecord | undefined {
  return entry.imports.findLast(({ region }) => region === entry.region)
}

/** The import into the entry's own Region of the newest generation that has one; undefined before the first. */
export function newestImport(entry: InventoryEntry): ImportRecord | undefined {
  return generationsOf(entry)
    .map(({ generation }) => importOf(entry, generation, entry.region))
    .findLast((record) => record !== undefined)
}

/** The entry with the record in place of the one before of its generation and Region. */
export function withImport(entry: InventoryEntry, record: ImportRecord): InventoryEntry {
  const others = entry.imports.filter(
    ({ generation, region }) => generation !== record.generation || region !== record.region,
  )
  return { ...entry, imports: [...others, record] }
}

/** The entry with the imports marked as deleted, of those that a test picks and that were not before. */
export function withDeleted<E extends InventoryEntry>(
  entry: E,
  deletedAt: string,
  isDeleted: (record: ImportRecord) => boolean,
): E {
  const imports = entry.imports.map((record) =>
    record.deletedAt === undefined && isDeleted(record) ? { ...record, deletedAt } : record,
  )
  return { ...entry, imports }
}

/** Every KMS key of the entry with its Region, the entry's own first. */
export function keysOf(entry: InventoryEntry): readonly { readonly region: string; readonly keyArn: string }[] {
  return [entry, ...entry.replicas].flatMap(({ region, keyArn }) => (keyArn === null ? [] : [{ region, keyArn }]))
}

/** The ARN of the entry's KMS key in a Region, its own or a replica's; undefined where it has none there. */
export function keyArnIn(entry: InventoryEntry, region: string): string | undefined {
  return keysOf(entry).find((key) => key.region === region)?.keyArn
}

/** How the entry was last asked to be imported; for one of an older version, as its last import was. */
export function termsOf(entry: InventoryEntry): ImportWishes {
  if (entry.terms !== null) return entry.terms
  const last = lastImport(entry)
  const expiresIn = last?.expirationModel === "KEY_MATERIAL_DOES_NOT_EXPIRE" ? "never" : DEFAULT_EXPIRES_IN
  return { expiresIn, wrappingAlgorithm: "auto", wrappingKeySpec: last?.wrappingKeySpec ?? DEFAULT_WRAPPING_KEY_SPEC }
}

/**
 * The entry once key material has gone into the vault: `sealed`, for each KMS key all of whose source keys are there,
 * former and replacing ones too. The same object where nothing changes.
 */
export function withSealed(
  entry: InventoryEntry,
  inVault: ReadonlyMap<string, { readonly unenforced: string | null }>,
): InventoryEntry {
  const asSealed = <E extends InventoryEntry>(single: E): E => {
    const sealed = generationsOf(single).map(({ id }) => inVault.get(id))
    if (single.custody === "sealed" || sealed.includes(undefined)) return single
    return { ...single, custody: "sealed", unenforced: sealed.at(-1)?.unenforced ?? null }
  }
  const replacement = entry.replacement && asSealed(entry.replacement)
  const former = entry.former.map(asSealed)
  const unchanged = replacement === entry.replacement && former.every((inner, index) => inner === entry.former[index])
  return unchanged ? asSealed(entry) : { ...asSealed(entry), replacement, former }
}
