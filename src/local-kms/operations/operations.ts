import type { Operation } from "./operation.js"
import * as aliases from "./aliases.js"
import * as grants from "./grants.js"
import * as dataKeys from "./data-keys.js"
import * as encrypt from "./encrypt.js"
import * as imports from "./import.js"
import * as keys from "./keys.js"
import * as mac from "./mac.js"
import * as multiRegion from "./multi-region.js"
import * as policy from "./policy.js"
import * as rotation from "./rotation.js"
import * as sign from "./sign.js"
import * as tags from "./tags.js"

/** Every operation that the local KMS knows, by its name in `X-Amz-Target: TrentService.<name>`. */
export const OPERATIONS = {
  CancelKeyDeletion: keys.CancelKeyDeletion,
  CreateAlias: aliases.CreateAlias,
  CreateGrant: grants.CreateGrant,
  CreateKey: keys.CreateKey,
  Decrypt: encrypt.Decrypt,
  DeleteAlias: aliases.DeleteAlias,
  DeleteImportedKeyMaterial: imports.DeleteImportedKeyMaterial,
  DeriveSharedSecret: sign.DeriveSharedSecret,
  DescribeKey: keys.DescribeKey,
  DisableKey: keys.DisableKey,
  DisableKeyRotation: rotation.DisableKeyRotation,
  EnableKey: keys.EnableKey,
  EnableKeyRotation: rotation.EnableKeyRotation,
  Encrypt: encrypt.Encrypt,
  GenerateDataKey: dataKeys.GenerateDataKey,
  GenerateDataKeyPair: dataKeys.GenerateDataKeyPair,
  GenerateDataKeyPairWithoutPlaintext: dataKeys.GenerateDataKeyPairWithoutPlaintext,
  GenerateDataKeyWithoutPlaintext: dataKeys.GenerateDataKeyWithoutPlaintext,
  GenerateMac: mac.GenerateMac,
  GenerateRandom: dataKeys.GenerateRandom,
  GetKeyLastUsage: keys.GetKeyLastUsage,
  GetKeyPolicy: policy.GetKeyPolicy,
  GetKeyRotationStatus: rotation.GetKeyRotationStatus,
  GetParametersForImport: imports.GetParametersForImport,
  GetPublicKey: sign.GetPublicKey,
  ImportKeyMaterial: imports.ImportKeyMaterial,
  ListAliases: aliases.ListAliases,
  ListGrants: grants.ListGrants,
  ListKeyPolicies: policy.ListKeyPolicies,
  ListKeyRotations: rotation.ListKeyRotations,
  ListKeys: keys.ListKeys,
  ListResourceTags: tags.ListResourceTags,
  ListRetirableGrants: grants.ListRetirableGrants,
  PutKeyPolicy: policy.PutKeyPolicy,
  ReEncrypt: encrypt.ReEncrypt,
  ReplicateKey: multiRegion.ReplicateKey,
  RetireGrant: grants.RetireGrant,
  RevokeGrant: grants.RevokeGrant,
  RotateKeyOnDemand: rotation.RotateKeyOnDemand,
  ScheduleKeyDeletion: keys.ScheduleKeyDeletion,
  Sign: sign.Sign,
  TagResource: tags.TagResource,
  UntagResource: tags.UntagResource,
  UpdateAlias: aliases.UpdateAlias,
  UpdateKeyDescription: keys.UpdateKeyDescription,
  UpdatePrimaryRegion: multiRegion.UpdatePrimaryRegion,
  Verify: sign.Verify,
  VerifyMac: mac.VerifyMac,
} as const satisfies Record<string, Operation>

export type OperationName = keyof typeof OPERATIONS

/** What AWS has besides, and the local KMS has not. */
const MISSING = [
  "ConnectCustomKeyStore",
  "CreateCustomKeyStore",
  "Decapsulate",
  "DeleteCustomKeyStore",
  "DescribeCustomKeyStores",
  "DisconnectCustomKeyStore",
  "Encapsulate",
  "UpdateCustomKeyStore",
]

export const isMissing = (name: string): boolean => MISSING.includes(name)

export function isOperation(name: string): name is OperationName {
  return Object.hasOwn(OPERATIONS, name)
}
