import { algorithmsOf } from "../crypto/algorithms.js"
import { keyState } from "../state/key-state.js"
import { currentMaterial, isSymmetric } from "../state/material.js"
import { isPrimary, type Key } from "../state/state.js"

/** KeyMetadata of CreateKey, ReplicateKey and DescribeKey. */
export function keyMetadata(key: Key): object {
  const state = keyState(key)
  const { deletion } = key
  return {
    AWSAccountId: key.region.account,
    KeyId: key.id,
    Arn: key.arn,
    CreationDate: key.createdAt / 1000,
    Enabled: state === "Enabled",
    Description: key.description,
    KeyUsage: key.keyUsage,
    KeyState: state,
    DeletionDate: deletion?.at === undefined ? undefined : deletion.at / 1000,
    PendingDeletionWindowInDays: state === "PendingReplicaDeletion" ? deletion?.windowDays : undefined,
    Origin: "EXTERNAL",
    KeyManager: "CUSTOMER",
    CustomerMasterKeySpec: key.keySpec,
    KeySpec: key.keySpec,
    ...algorithmsOf(key),
    MultiRegion: key.set.multiRegion,
    MultiRegionConfiguration: key.set.multiRegion ? multiRegionConfiguration(key) : undefined,
    ...(state === "PendingImport" ? {} : expiry(key)),
    CurrentKeyMaterialId: isSymmetric(key.keySpec) && state !== "Creating" ? currentMaterial(key)?.id : undefined,
  }
}

/** The earliest expiry of all associated materials. */
function expiry({ set, holdings }: Key): object {
  const associated = set.materials.filter((material) => material.state !== "PENDING")
  const held = associated.flatMap(({ id }) => holdings.get(id) ?? [])
  if (!held.some(({ secret }) => secret !== undefined)) return {}
  const dates = held.flatMap(({ validTo }) => (validTo === undefined ? [] : [validTo]))
  if (dates.length === 0) return { ExpirationModel: "KEY_MATERIAL_DOES_NOT_EXPIRE" }
  return { ExpirationModel: "KEY_MATERIAL_EXPIRES", ValidTo: Math.min(...dates) / 1000 }
}

const regional = ({ arn, region }: Key) => ({ Arn: arn, Region: region.name })

function multiRegionConfiguration(key: Key): object {
  const related = [...key.set.keys.values()]
  return {
    MultiRegionKeyType: isPrimary(key) ? "PRIMARY" : "REPLICA",
    PrimaryKey: related.filter(isPrimary).map(regional)[0],
    ReplicaKeys: related.filter((member) => !isPrimary(member)).map(regional),
  }
}
