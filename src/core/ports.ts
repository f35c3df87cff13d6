import type { CustodyVerdict, EnforcementFacts, SealingVerdict } from "./custody.js"
import type { KeySpec, KeyUsage, WrappingKeySpec } from "./key-spec.js"
import type { ImportParameters } from "./import-parameters.js"
import type { InventoryEntry } from "./inventory.js"
import type { CustodyEvent } from "./custody-event.js"
import type {
  CustodyKey,
  CustodyKeyRecord,
  CustodyKeyTemplate,
  DamagedMaterial,
  SealedMaterial,
} from "./sealed-material.js"
import type { PinToken } from "./pin-marker.js"
import type { Secret } from "./secret.js"
import type { SourceKey, SourceKeyIdentity, SourceKeyTemplate } from "./source-key.js"
import type { TokenInfo } from "./token-info.js"
import type { WrapPath, WrappingAlgorithm } from "./wrapping-algorithm.js"
import type { WrappingKey } from "./wrapping-key.js"

/** One way to carry one kind of key: what the self-test is asked about. */
export interface WrapRequest {
  readonly keySpec: KeySpec
  readonly wrappingAlgorithm: WrappingAlgorithm
  readonly wrappingKeySpec: WrappingKeySpec
}

/** The self-test's verdict on one {@link WrapRequest} (invariant I9). */
export interface WrapCapability extends WrapRequest {
  /** The path that passed; null if none did. */
  readonly wrapPath: WrapPath | null
  /** `CKM_…` names that the path calls, in order. */
  readonly mechanisms: readonly string[]
  readonly usable: boolean
  /** In words: why it is usable, or what is wrong with each path that was tried. */
  readonly reason: string
}

/** What the token made of a source key under a wrapping key. */
export interface WrappedKeyMaterial {
  /** RSAES-OAEP(material), or `RSA-OAEP(aesKey) || AES-KWP(material)`. */
  readonly bytes: Uint8Array
  readonly wrappingAlgorithm: WrappingAlgorithm
  readonly wrapPath: WrapPath
  readonly mechanisms: readonly string[]
  readonly wrappingKeyFingerprint: string
}

/** An object of the token that carries a keyferry label but is no whole source key. */
export interface StrayObject {
  readonly id: string
  readonly label: string
  /** In words: what is missing or odd. */
  readonly reason: string
}

export interface SearchResult {
  readonly keys: readonly SourceKey[]
  readonly strays: readonly StrayObject[]
}

/** What probing showed of custody: of the token as a whole, and of sealing for the key specs that were asked about. */
export interface CustodyProbe {
  readonly facts: EnforcementFacts
  readonly verdicts: readonly CustodyVerdict[]
  readonly sealing: Readonly<Partial<Record<KeySpec, SealingVerdict>>>
}

/** Key material under a custody key. */
export interface SealedBytes {
  /** AES-KWP (RFC 5649) of the material. */
  readonly ciphertext: Uint8Array
  /** `CKM_…` */
  readonly mechanism: string
}

/** A logged-in token. Disposing it closes its sessions, and with them every session object. */
export interface Token extends AsyncDisposable {
  readonly info: TokenInfo
  /** Source keys (objects with a keyferry label) by CKA_ID, by label, or all; as read back from the token now. */
  findSourceKeys(by?: { readonly id?: string; readonly label?: string }): Promise<readonly SourceKey[]>
  /** Both in one search, which on some tokens reads every object: source keys, and what only carries such a label. */
  search(by?: { readonly id?: string; readonly label?: string }): Promise<SearchResult>
  /**
   * Generates key material in the token and reads its attributes back. A key whose attributes are not as its custody
   * asks is destroyed again. With custody `session` the key lives until the token is disposed; with `locked` it is
   * made extractable, for {@link lock} to close. `sealed` is no custody of an object: seal a `session` one.
   *
   * @throws ERR_KEY_SPEC_UNSUPPORTED, ERR_KEY_ATTRIBUTES, ERR_NAME_TAKEN (ID or label in use), ERR_TOKEN_*
   */
  generateSourceKey(template: SourceKeyTemplate): Promise<SourceKey>
  /** Destroys every object of the source key. */
  destroySourceKey(key: Pick<SourceKey, "id" | "label">): Promise<void>
  /** Proves each path with throw-away keys, or answers from the cache unless `fresh`; one verdict a request, in order. */
  selfTest(requests: readonly WrapRequest[], options?: { readonly fresh?: boolean }): Promise<readonly WrapCapability[]>
  /**
   * Probes with throw-away keys what the token enforces, and for the key specs named whether it can seal them; cached
   * like the self-test.
   */
  probeCustody(options?: { readonly fresh?: boolean; readonly keySpecs?: readonly KeySpec[] }): Promise<CustodyProbe>
  /**
   * Wraps the source key under the wrapping key by the path that the self-test proved. The wrapping key exists in the
   * token as a session object for the time of the call.
   *
   * @throws ERR_KEY_NOT_FOUND, ERR_KEY_NOT_EXTRACTABLE, ERR_WRAP_RESULT, ERR_TOKEN_*
   */
  wrap(key: SourceKey, under: WrappingKey, capability: WrapCapability): Promise<WrappedKeyMaterial>
  /** SubjectPublicKeyInfo, DER, of an asymmetric source key. */
  publicKey(key: SourceKey): Promise<Uint8Array>
  /** HMAC of the message by an HMAC source key, full length of its hash. */
  mac(key: SourceKey, message: Uint8Array): Promise<Uint8Array>
  /** Custody keys of an owner in the token, by number, newest last. */
  findCustodyKeys(owner: string): Promise<readonly CustodyKey[]>
  /**
   * Makes a custody key and reads it back; one that is not as asked is destroyed again.
   *
   * @throws ERR_CUSTODY_REFUSED where the token cannot seal, ERR_KEY_ATTRIBUTES, ERR_NAME_TAKEN, ERR_TOKEN_*
   */
  generateCustodyKey(template: CustodyKeyTemplate): Promise<CustodyKey>
  destroyCustodyKey(key: Pick<CustodyKey, "id" | "label">): Promise<void>
  /**
   * Seals a source key that is an object of the token now, by the mechanism that was proven for its key spec.
   *
   * @throws ERR_CUSTODY_REFUSED, ERR_CUSTODY_KEY_MISSING, ERR_KEY_NOT_FOUND, ERR_KEY_NOT_EXTRACTABLE, ERR_WRAP_RESULT
   */
  seal(key: SourceKey, under: Pick<CustodyKey, "id" | "label">): Promise<SealedBytes>
  /**
   * Unseals into a session object with the ID and label of the source key: sensitive, extractable, read back. It lives
   * until {@link destroySourceKey}. Two calls for one key make two objects, each known by the SourceKey it was given as.
   *
   * @throws ERR_CUSTODY_KEY_MISSING, ERR_SEALED_UNREADABLE, ERR_KEY_ATTRIBUTES, ERR_TOKEN_*
   */
  unseal(sealed: SealedMaterial): Promise<SourceKey>
  /**
   * Sets CKA_EXTRACTABLE to false for good, and reads it back.
   *
   * @throws ERR_KEY_ATTRIBUTES, ERR_KEY_NOT_FOUND, ERR_TOKEN_*
   */
  lock(key: SourceKey): Promise<SourceKey>
  /** Keys by CKA_ID or CKA_LABEL, whatever their label: for adoption. */
  findKeys(by: { readonly id?: string; readonly label?: string }): Promise<readonly SourceKey[]>
  /**
   * Gives every object of the key a new CKA_ID and label, and reads them back.
   *
   * @throws ERR_NAME_TAKEN, ERR_KEY_NOT_FOUND, ERR_KEY_ATTRIBUTES where the token keeps the old ones, ERR_TOKEN_*
   */
  relabel(key: SourceKey, to: { readonly id: string; readonly label: string }): Promise<SourceKey>
}

/** KMS `KeyMetadata`, as far as keyferry looks at it. */
export interface KeyDescription {
  readonly keyArn: string
  readonly keyId: string
  readonly keyState: string
  readonly enabled: boolean
  /** Empty where there is none. */
  readonly description: string
  readonly keySpec: string
  readonly keyUsage: string
  readonly origin: string
  readonly multiRegion: boolean
  /** Null for a key that is not multi-Region, and where the endpoint does not say. */
  readonly multiRegionConfiguration: MultiRegionConfiguration | null
  readonly creationDate: Date | null
  readonly deletionDate: Date | null
  readonly expirationModel: ExpirationModel | null
  readonly validTo: Date | null
  readonly currentKeyMaterialId: string | null
}

/** The KMS keys that share key ID and key material: one primary, and a replica in each of other Regions. */
export interface MultiRegionConfiguration {
  /** What the key that was asked about is. */
  readonly type: "PRIMARY" | "REPLICA"
  readonly primary: RegionalKey
  readonly replicas: readonly RegionalKey[]
}

export interface RegionalKey {
  readonly arn: string
  readonly region: string
}

export type ExpirationModel = "KEY_MATERIAL_EXPIRES" | "KEY_MATERIAL_DOES_NOT_EXPIRE"

/** When the material is to expire: a whole second, under 365 days ahead (ImportKeyMaterial `ValidTo`); null for never. */
export type ValidTo = Date | null

export interface CreateKeyRequest {
  readonly keySpec: KeySpec
  readonly keyUsage: KeyUsage
  readonly description: string | null
  readonly multiRegion: boolean
  /** The key policy, JSON; KMS' default where none is given. */
  readonly policy?: string | null
  readonly tags: Readonly<Record<string, string>>
}

/** What ReplicateKey asks for; nothing of the primary is copied but its key material's identity. */
export interface ReplicateKeyRequest {
  /** Of the replica. */
  readonly region: string
  readonly description: string | null
  /** JSON; null for KMS' default. */
  readonly policy: string | null
  readonly tags: Readonly<Record<string, string>>
}

export interface ImportTerms {
  readonly validTo: ValidTo
  /** Symmetric keys only; leave undefined for others, since KMS refuses it. */
  readonly importType?: "NEW_KEY_MATERIAL" | "EXISTING_KEY_MATERIAL"
  readonly keyMaterialId?: string
}

export interface KeyRotation {
  readonly keyMaterialId: string
  readonly importState: string | null
  readonly keyMaterialState: string | null
  readonly expirationModel: ExpirationModel | null
  readonly validTo: Date | null
  /** When it became current; null for the first material and for one that waits for its rotation. */
  readonly rotationDate: Date | null
  /** `ON_DEMAND`, or null like `rotationDate`. */
  readonly rotationType: string | null
}

/**
 * AWS KMS in one account and Region: one method an API operation. Every method throws a KeyferryError ERR_KMS_* whose
 * causes hold the AWS error name, its message and the request ID; an operation whose outcome is unknown (its answer was
 * lost) throws ERR_KMS_OUTCOME_UNKNOWN if it is one that cannot simply be sent again: CreateKey, ReplicateKey,
 * CreateAlias, RotateKeyOnDemand, ScheduleKeyDeletion and an import of new key material. Who asked looks what is there.
 */
export interface Kms {
  readonly region: string
  /** The endpoint, where one was named; null for AWS' own of the Region. `origin` says who named it. */
  readonly endpoint: { readonly url: string; readonly origin: string } | null
  /** What KMS' clock said (the Date of its last answer) and when that was seen here; null before the first answer. */
  serverTime(): { readonly at: Date; readonly seen: Date } | null
  /** STS GetCallerIdentity. */
  callerIdentity(): Promise<{ account: string; arn: string }>
  createKey(request: CreateKeyRequest): Promise<{ key: KeyDescription; requestId: string | null }>
  /** Takes a key ID, key ARN, alias name or alias ARN. */
  describeKey(keyId: string): Promise<KeyDescription>
  /** All keys of the account and Region; pages are fetched as they are asked for. */
  listKeys(): AsyncIterable<{ keyId: string; keyArn: string }>
  listResourceTags(keyId: string): Promise<Readonly<Record<string, string>>>
  tagResource(keyId: string, tags: Readonly<Record<string, string>>): Promise<void>
  untagResource(keyId: string, tagKeys: readonly string[]): Promise<void>
  createAlias(alias: string, keyId: string): Promise<void>
  /** Makes an alias that exists name another key. @throws ERR_KMS_KEY_NOT_FOUND where it does not exist */
  updateAlias(alias: string, keyId: string): Promise<void>
  /** The aliases of a key, or all of the account and Region; AWS' own may name no key. */
  listAliases(keyId?: string): AsyncIterable<{ alias: string; keyId: string | null }>
  /**
   * Asks the primary for a replica in another Region; it is Creating at first, then PendingImport.
   *
   * @throws ERR_KMS_REPLICA_EXISTS where that Region has one
   */
  replicateKey(keyArn: string, request: ReplicateKeyRequest): Promise<KeyDescription>
  updateKeyDescription(keyArn: string, description: string): Promise<void>
  /** The policy named `default`, JSON. */
  getKeyPolicy(keyArn: string): Promise<string>
  putKeyPolicy(keyArn: string, policy: string): Promise<void>
  enableKey(keyArn: string): Promise<void>
  disableKey(keyArn: string): Promise<void>
  /** `days` is 7 to 30. A primary with replicas has no date: it waits for theirs (PendingReplicaDeletion). */
  scheduleKeyDeletion(keyArn: string, days: number): Promise<{ deletionDate: Date | null; keyState: string }>
  getParametersForImport(keyArn: string, algorithm: WrappingAlgorithm, spec: WrappingKeySpec): Promise<ImportParameters>
  /** `associated`: sent as NEW_KEY_MATERIAL, it was that KMS key's already, so an answer was lost before. */
  importKeyMaterial(
    keyArn: string,
    importToken: Secret<Uint8Array>,
    encryptedKeyMaterial: Uint8Array,
    terms: ImportTerms,
  ): Promise<{ keyMaterialId: string | null; requestId: string | null; associated?: boolean }>
  /** Deletes the material with that ID, or the current one; a second time is no error. Symmetric keys only have IDs. */
  deleteImportedKeyMaterial(keyArn: string, keyMaterialId: string | null): Promise<void>
  /** Every key material of a symmetric key, whatever its state. */
  listKeyRotations(keyArn: string): Promise<readonly KeyRotation[]>
  /** Begins the rotation to the pending material, which takes minutes: poll {@link listKeyRotations}. */
  rotateKeyOnDemand(keyArn: string): Promise<void>
  /** When the rotation in progress was asked for; null while none is. */
  keyRotationStatus(keyArn: string): Promise<{ onDemandRotationStartDate: Date | null }>
  /** SubjectPublicKeyInfo, DER. */
  getPublicKey(keyArn: string): Promise<Uint8Array>
  /** Whether KMS computes the same MAC over the message; false when it answers KMSInvalidMacException. */
  verifyMac(keyArn: string, message: Uint8Array, mac: Uint8Array, algorithm: string): Promise<boolean>
  /** A signature over the message, of at most 4096 bytes; `algorithm` is a KMS `SigningAlgorithmSpec`. */
  sign(keyArn: string, message: Uint8Array, algorithm: string): Promise<Uint8Array>
}

/** What was done and proven, one entry for each source key and target; kept until the operator removes it. */
export interface Inventory {
  get(name: string, target: string): Promise<InventoryEntry | undefined>
  /** Entries of all keys, or of one, over all targets. */
  list(name?: string): Promise<readonly InventoryEntry[]>
  /** Replaces the entry: temporary name, fsync, rename, fsync of the folder. Throws ERR_STATE_WRITE. */
  put(entry: InventoryEntry): Promise<void>
  remove(name: string, target: string): Promise<void>
}

/** Sealed key material: one file a source key, whole or not there, with its own digest. */
export interface Vault {
  /**
   * By CKA_ID, hex; where it is said whose it is, other files are looked through only if it is not there.
   *
   * @throws ERR_VAULT_DAMAGED where the file is not what was written
   */
  get(id: string, of?: SourceKeyIdentity): Promise<SealedMaterial | undefined>
  /** Of one name of an owner, or all; what is damaged is told apart. */
  list(of?: {
    readonly owner: string
    readonly name: string
  }): Promise<{ readonly sealed: readonly SealedMaterial[]; readonly damaged: readonly DamagedMaterial[] }>
  /** Durable when it returns: temporary name, fsync, rename, fsync of the folder. Throws ERR_STATE_WRITE. */
  put(sealed: SealedMaterial): Promise<void>
  remove(id: string): Promise<void>
}

/** What is kept of custody keys: their canaries, and whether a backup was confirmed. */
export interface CustodyKeyRecords {
  /** By CKA_ID, hex. @throws ERR_STATE_INVALID */
  get(id: string): Promise<CustodyKeyRecord | undefined>
  list(): Promise<readonly CustodyKeyRecord[]>
  put(record: CustodyKeyRecord): Promise<void>
  remove(id: string): Promise<void>
}

/**
 * Which source keys are to be locked once their import is proven: until then they are objects like those of custody
 * `token`, which nothing in the token tells apart.
 */
export interface ToBeLocked {
  /** By CKA_ID, hex. */
  list(): Promise<ReadonlySet<string>>
  add(key: Pick<SourceKey, "id" | "label">): Promise<void>
  remove(id: string): Promise<void>
}

/** The record of every change of state (PRODUCT.md section 8): appended and fsynced, each line chained to the one before. */
export interface CustodyLog {
  append(event: CustodyEvent): Promise<void>
}

/** A cache of self-test verdicts. A key is a digest of what the verdicts depend on; values are plain JSON. */
export interface VerdictCache {
  get(key: string): Promise<unknown>
  put(key: string, value: unknown): Promise<void>
}

/**
 * Gives the PIN once the token's flags allow a login, and remembers a PIN that the token refused (invariant I6).
 * `read` throws ERR_TOKEN_PIN_REFUSED_BEFORE where this source was refused before and has not changed since.
 */
export interface PinProvider {
  read(token: PinToken): Promise<Secret>
  refused(token: PinToken): Promise<void>
  accepted(token: PinToken): Promise<void>
}

export interface Clock {
  now(): Date
}

/** Where a use case says what it is doing; one line a step, for people. */
export interface Progress {
  step(text: string): void
  /** Something the operator should know although it does not stop the work. */
  warn(text: string): void
}
