import type {
  KeyMetadata,
  MultiRegionConfiguration as AwsMultiRegionConfiguration,
  MultiRegionKey,
} from "@aws-sdk/client-kms"
import { KeyferryError } from "../core/base/error.js"
import { parseKeyArn } from "../core/key/key-arn.js"
import type { KeyDescription, MultiRegionConfiguration, RegionalKey } from "../core/key/key-description.js"

/** A field that the operation always answers. Throws ERR_KMS_ANSWER where the endpoint left it out. */
export function required<T>(value: T | null | undefined, operation: string, field: string): T {
  if (value !== undefined && value !== null) return value
  throw new KeyferryError("ERR_KMS_ANSWER", `${operation}: the answer lacks ${field}`)
}

/** Bytes that the operation always answers. Throws ERR_KMS_ANSWER where they are missing, empty, or more than `most`. */
export function requiredBytes(
  value: Uint8Array | undefined,
  field: { readonly operation: string; readonly name: string; readonly most: number },
): Uint8Array {
  const bytes = required(value, field.operation, field.name)
  if (bytes.length > 0 && bytes.length <= field.most) return Uint8Array.from(bytes)
  throw new KeyferryError("ERR_KMS_ANSWER", `${field.operation}: ${field.name} is ${bytes.length} bytes long`)
}

/** Refuses an answer about another key than the one asked for (ID or ARN). Throws ERR_KMS_ANSWER. */
export function sameKey(answered: string, requested: string, operation: string): string {
  const idOf = (key: string): string => parseKeyArn(key)?.keyId ?? key
  const bothArns = answered.startsWith("arn:") && requested.startsWith("arn:")
  if (bothArns ? answered === requested : idOf(answered) === idOf(requested)) return answered
  throw new KeyferryError("ERR_KMS_ANSWER", `${operation}: the answer is about ${answered}`, { key: requested })
}

/** KMS `KeyMetadata`; emulators of before 2021 spell KeySpec CustomerMasterKeySpec. Throws ERR_KMS_ANSWER. */
export function keyDescription(metadata: KeyMetadata | undefined, operation: string): KeyDescription {
  const key = required(metadata, operation, "KeyMetadata")
  const keyArn = required(key.Arn, operation, "KeyMetadata.Arn")
  return {
    keyArn,
    keyId: key.KeyId ?? parseKeyArn(keyArn)?.keyId ?? keyArn,
    keyState: required(key.KeyState, operation, "KeyMetadata.KeyState"),
    description: key.Description ?? "",
    // eslint-disable-next-line @typescript-eslint/no-deprecated -- the older name of the same field
    keySpec: required(key.KeySpec ?? key.CustomerMasterKeySpec, operation, "KeyMetadata.KeySpec"),
    keyUsage: required(key.KeyUsage, operation, "KeyMetadata.KeyUsage"),
    origin: required(key.Origin, operation, "KeyMetadata.Origin"),
    multiRegion: key.MultiRegion ?? false,
    multiRegionConfiguration: multiRegionConfiguration(key.MultiRegionConfiguration),
    creationDate: key.CreationDate ?? null,
    deletionDate: key.DeletionDate ?? null,
    expirationModel: key.ExpirationModel ?? null,
    validTo: key.ValidTo ?? null,
    currentKeyMaterialId: key.CurrentKeyMaterialId ?? null,
  }
}

function multiRegionConfiguration(
  configuration: AwsMultiRegionConfiguration | undefined,
): MultiRegionConfiguration | null {
  const regional = ({ Arn: arn, Region: region }: MultiRegionKey = {}): RegionalKey[] =>
    arn === undefined || region === undefined ? [] : [{ arn, region }]
  const [primary] = regional(configuration?.PrimaryKey)
  if (configuration?.MultiRegionKeyType === undefined || primary === undefined) return null
  return {
    type: configuration.MultiRegionKeyType,
    primary,
    replicas: (configuration.ReplicaKeys ?? []).flatMap(regional),
  }
}

/**
 * The answer of CreateKey or ReplicateKey. One that lacks something is an answer all the same: a key was made, so it
 * must be looked for.
 *
 * @throws ERR_KMS_OUTCOME_UNKNOWN
 */
export function createdKey(metadata: KeyMetadata | undefined, operation: string): KeyDescription {
  try {
    return keyDescription(metadata, operation)
  } catch (cause) {
    const { message } = cause as Error
    throw new KeyferryError("ERR_KMS_OUTCOME_UNKNOWN", message, { cause })
  }
}
