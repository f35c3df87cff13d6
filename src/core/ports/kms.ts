import type { Account } from "../key/aws-name.js"
import type { KeySpec, KeyUsage, WrappingKeySpec } from "../key/key-spec.js"
import type { ValidTo } from "../base/expiry.js"
import type { KeyDescription } from "../key/key-description.js"
import type { WrappingAlgorithm } from "../key/wrapping-algorithm.js"
import type { ImportParameters } from "../key/wrapping-key.js"
import type { Secret } from "../base/secret.js"
import type { KeyLastUsage } from "../key/last-usage.js"
import type { KeyRotation } from "../key/rotation.js"

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
  /** The account that answers have shown; null before the first one. */
  knownAccount(): Account | null
  /** Whose credentials are at hand; STS is asked where no answer of KMS has shown it. */
  callersAccount(): Promise<Account>
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
   * Asks the primary for a replica in another Region; it is still being created at first, then waits for its material.
   *
   * @throws ERR_KMS_REPLICA_EXISTS where that Region has one
   */
  replicateKey(keyArn: string, request: ReplicateKeyRequest): Promise<KeyDescription>
  /** The last cryptographic operation with the key in this Region; null where KMS does not know the question. */
  getKeyLastUsage(keyArn: string): Promise<KeyLastUsage | null>
  updateKeyDescription(keyArn: string, description: string): Promise<void>
  /** The policy named `default`, JSON. */
  getKeyPolicy(keyArn: string): Promise<string>
  putKeyPolicy(keyArn: string, policy: string): Promise<void>
  enableKey(keyArn: string): Promise<void>
  disableKey(keyArn: string): Promise<void>
  /** `days` is 7 to 30. A primary with replicas has no date: it waits for theirs to be deleted. */
  scheduleKeyDeletion(keyArn: string, days: number): Promise<{ deletionDate: Date | null }>
  getParametersForImport(keyArn: string, algorithm: WrappingAlgorithm, spec: WrappingKeySpec): Promise<ImportParameters>
  /**
   * `associated`: sent as NEW_KEY_MATERIAL, it was that KMS key's already, so an answer was lost before. `keyExchange` is
   * the group of TLS by which the connection's keys were agreed on, where that is known.
   */
  importKeyMaterial(
    keyArn: string,
    importToken: Secret<Uint8Array>,
    encryptedKeyMaterial: Uint8Array,
    terms: ImportTerms,
  ): Promise<{
    keyMaterialId: string | null
    requestId: string | null
    associated?: boolean
    keyExchange?: string | null
  }>
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
