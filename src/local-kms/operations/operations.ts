import type { Operation } from "./operation.js"
import * as aliases from "./aliases.js"
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
  GenerateDataKey: encrypt.GenerateDataKey,
  GenerateDataKeyWithoutPlaintext: encrypt.GenerateDataKeyWithoutPlaintext,
  GenerateMac: mac.GenerateMac,
  GenerateRandom: encrypt.GenerateRandom,
  GetKeyPolicy: policy.GetKeyPolicy,
  GetKeyRotationStatus: rotation.GetKeyRotationStatus,
  GetParametersForImport: imports.GetParametersForImport,
  GetPublicKey: sign.GetPublicKey,
  ImportKeyMaterial: imports.ImportKeyMaterial,
  ListAliases: aliases.ListAliases,
  ListKeyRotations: rotation.ListKeyRotations,
  ListKeys: keys.ListKeys,
  ListResourceTags: tags.ListResourceTags,
  PutKeyPolicy: policy.PutKeyPolicy,
  ReEncrypt: encrypt.ReEncrypt,
  ReplicateKey: multiRegion.ReplicateKey,
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

export function isOperation(name: string): name is OperationName {
  return Object.hasOwn(OPERATIONS, name)
}
