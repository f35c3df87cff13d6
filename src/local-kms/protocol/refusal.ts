import { KmsError } from "./error.js"

const invalid = (message?: string) => new KmsError("ValidationException", message)
const state = (message: string) => new KmsError("KMSInvalidStateException", message)
const missing = (message: string) => new KmsError("NotFoundException", message)
const mismatch = (message: string) => new KmsError("IncorrectKeyMaterialException", message)
const unsupported = (message?: string) => new KmsError("UnsupportedOperationException", message)
const bad = (message: string) => new KmsError("InvalidKeyUsageException", message)

/** Refusals that were recorded from the real service: error name and message are letter for letter. */
export const recorded = {
  invalidCiphertext: () => new KmsError("InvalidCiphertextException"),
  invalidImportToken: () => new KmsError("InvalidImportTokenException"),
  notForFamily: (member: string, keySpec: string) =>
    invalid(`Input parameter ${member} cannot be used with ${keySpec} imported keys.`),
  idWithNewMaterial: () => invalid("Input parameter keyMaterialId cannot be used with NEW_KEY_MATERIAL importType."),
  alreadyAssociated: (id: string, arn: string) =>
    mismatch(`Key material (id: ${id}) being imported as NEW_KEY_MATERIAL is already associated with KMS key ${arn}.`),
  anotherPending: (id: string, arn: string, pending: string) =>
    state(
      `New key material (id: ${id}) cannot be imported into KMS key ${arn}, because another key material (id: ${pending}) is pending rotation.`,
    ),
  unexpectedMaterial: (id: string) => mismatch(`Imported key material does not have the expected identifier (${id}).`),
  neverImported: (id: string, arn: string) =>
    invalid(`Key material (id: ${id}) has never been imported into KMS key ${arn}.`),
  nothingToRotate: (arn: string) => state(`No available key material pending rotation for the key: ${arn}.`),
  externalOrigin: (arn: string) => unsupported(`${arn} origin is EXTERNAL which is not valid for this operation.`),
  wrapping: (algorithm: string, wrappingKeySpec: string, keySpec: string) =>
    invalid(
      `Wrapping algorithm ${algorithm} and wrapping key spec ${wrappingKeySpec} cannot be used to import a ${keySpec} key.`,
    ),
  validToMissing: () => invalid("A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES"),
  validToSuperfluous: () =>
    invalid("A validTo date cannot be set if the ExpirationModel is KEY_MATERIAL_DOES_NOT_EXPIRE"),
  validToPast: () => invalid("ValidTo must be in the future"),
  validToFar: () => invalid("ValidTo must be less than 365 days in the future"),
  includeKeyMaterial: () => invalid("Input parameter includeKeyMaterial can only be used with symmetric keys."),
  notForExternal: (keySpec: string) => invalid(`KeySpec ${keySpec} is not supported for Origin EXTERNAL`),
  pendingDeletion: (arn: string) => state(`${arn} is pending deletion.`),
  pendingImport: (arn: string) => state(`${arn} is pending import.`),
  newMaterialOnReplica: () =>
    invalid("Input parameter ImportType NEW_KEY_MATERIAL cannot be used on replica Multi-Region keys"),
  descriptionOnReplica: () => invalid("Key material description can only be specified on primary Multi-Region keys"),
  missingInReplicas: () =>
    state(
      "Cannot perform key material rotation: Key material has not been imported for replicas of the Multi-Region key.",
    ),
  notPrimary: (arn: string) => unsupported(`${arn} is not a multi-region primary key.`),
  ownRegion: (region: string) => invalid(`${region} cannot have a replica because it contains the primary.`),
  otherPartition: () => invalid("The replica key Region must be in the same AWS partition as the primary key Region."),
  noRegion: (region: string) =>
    invalid(`Region ${region} is not a valid Region or multi-Region keys are not supported in Region ${region}.`),
  invalidKeyId: (keyId: string) => missing(`Invalid keyId '${keyId}'`),
  invalidAlias: () =>
    invalid(
      'Alias must start with the prefix "alias/". Please see https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html',
    ),
  wrongAlgorithm: (algorithm: string, keySpec: string) =>
    bad(`Algorithm ${algorithm} is incompatible with key spec ${keySpec}.`),
  wrongMessageType: (type: string, keySpec: string) =>
    bad(`Message type ${type} is incompatible with key spec ${keySpec}.`),
  notThisKeySpec: () => unsupported(),
  noContext: () => invalid("EncryptionContext is not supported when encrypting/decrypting with asymmetric CMKs."),
  noKeyId: () => invalid("KeyId must not be null"),
  wrongKey: () =>
    new KmsError(
      "IncorrectKeyException",
      "The key ID in the request does not identify a CMK that can perform this operation.",
    ),
  noLength: () => invalid("NumberOfBytes is required."),
  noUsage: () => invalid("You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys."),
  rotationsSpent: (arn: string) =>
    new KmsError(
      "LimitExceededException",
      `The on-demand rotations limit has been reached for the given keyId. No more on-demand rotations can be performed for this key: ${arn}`,
    ),
  otherCurve: () => invalid(),
  tag: (message: string) => new KmsError("TagException", message),
  dryRun: () =>
    new KmsError("DryRunOperationException", "The request would have succeeded, but the DryRun option is set."),
  throttled: () =>
    new KmsError(
      "ThrottlingException",
      "You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls.",
    ),
} as const

/** Refusals whose error name is documented and whose wording is ours. */
export const documented = {
  disabled: (arn: string) => new KmsError("DisabledException", `${arn} is disabled.`),
  creating: (arn: string) => state(`${arn} is creating.`),
  updating: (arn: string) => state(`${arn} is updating.`),
  pendingReplicaDeletion: (arn: string) => state(`${arn} is pending replica deletion.`),
  keyExists: (arn: string) => new KmsError("AlreadyExistsException", `${arn} already exists.`),
  noReplica: (arn: string, region: string) => missing(`${arn} has no replica key in ${region}.`),
  samePrimaryRegion: (region: string) => invalid(`The primary Region is ${region} already.`),
  notPendingDeletion: (arn: string) => state(`${arn} is not pending deletion.`),
  noKey: (arn: string) => missing(`Key '${arn}' does not exist`),
  noAlias: (arn: string) => missing(`Alias ${arn} is not found.`),
  otherRegion: (region: string) => missing(`Invalid arn ${region}`),
  aliasArn: (arn: string) => new KmsError("InvalidArnException", `${arn} is not a valid key ARN.`),
  invalidArn: (arn: string) => new KmsError("InvalidArnException", `Invalid arn ${arn}`),
  reservedAlias: () => new KmsError("NotAuthorizedException", "The prefix alias/aws/ is reserved."),
  aliasExists: (arn: string) => new KmsError("AlreadyExistsException", `An alias with the name ${arn} already exists`),
  aliasTarget: () => invalid("Aliases must refer to keys. Not aliases"),
  aliasKind: (arn: string) => invalid(`Alias ${arn} cannot be moved to a key of another type or key usage.`),
  expiredImportToken: () =>
    new KmsError(
      "ExpiredImportTokenException",
      "The import token is expired. Use GetParametersForImport to get a new import token and public key.",
    ),
  wrongUsage: (arn: string, usage: string, operation: string) =>
    bad(`${arn} key usage is ${usage} which is not valid for ${operation}.`),
  limit: (message: string) => new KmsError("LimitExceededException", message),
  rotationInProgress: (arn: string) =>
    new KmsError("ConflictException", `On-demand rotation of ${arn} is already in progress.`),
  noGrant: (id: string) => missing(`Grant ID ${id} not found`),
  invalidGrantToken: () => new KmsError("InvalidGrantTokenException", "The grant token is not valid."),
  noPolicy: (name: string) => missing(`No such policy exists: ${name}`),
  malformedPolicy: () => new KmsError("MalformedPolicyDocumentException", "Policy is not valid JSON"),
  marker: () => new KmsError("InvalidMarkerException", "Invalid marker"),
  invalidMac: () => new KmsError("KMSInvalidMacException"),
  invalidSignature: () => new KmsError("KMSInvalidSignatureException"),
  accessDenied: (operation: string, account: string) =>
    new KmsError(
      "AccessDeniedException",
      `User: arn:aws:iam::${account}:user/local-kms is not authorized to perform: kms:${operation} because no identity-based policy allows the kms:${operation} action`,
    ),
  notAuthorized: (arn: string, { action, resource }: { action: string; resource: string }, why: string) =>
    new KmsError(
      "AccessDeniedException",
      `User: ${arn} is not authorized to perform: ${action} on resource: ${resource} ${why}`,
    ),
  internal: () => new KmsError("KMSInternalException"),
  dependencyTimeout: () => new KmsError("DependencyTimeoutException"),
  unavailable: () => new KmsError("ServiceUnavailableException"),
  unsupported,
  invalid,
} as const
