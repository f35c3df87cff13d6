import { randomBytes, randomUUID } from "node:crypto"
import { isKeySpec, KEY_SPECS, KEY_SPEC_NAMES, type KeySpec, type KeyUsage } from "../../core/key-spec.js"
import { algorithmsOf } from "../algorithms.js"
import { keyState, settleRegion } from "../key-state.js"
import { currentMaterial, isSymmetric } from "../material.js"
import { keyOperation, operation, USE_FIELDS } from "../operation.js"
import { byName, pageFields, pageOf } from "../page.js"
import { documented, recorded } from "../refusal.js"
import { flag, oneOf, required, text, whole } from "../request.js"
import { arnOf, type Key } from "../state.js"
import { defaultPolicy, POLICY } from "./policy.js"
import { checkTags, TAGS } from "./tags.js"

const DAY = 24 * 3600 * 1000
const DESCRIPTION = text({ min: 0, max: 8192 })
const KEY_SPEC = oneOf([...KEY_SPEC_NAMES, "SM2", "ML_DSA_44", "ML_DSA_65", "ML_DSA_87"])
const KEY_USAGE = oneOf(["SIGN_VERIFY", "ENCRYPT_DECRYPT", "GENERATE_VERIFY_MAC", "KEY_AGREEMENT"])

/** KeyMetadata of CreateKey and DescribeKey. */
export function keyMetadata(key: Key, account: string): object {
  const state = keyState(key)
  const current = currentMaterial(key)
  return {
    AWSAccountId: account,
    KeyId: key.id,
    Arn: key.arn,
    CreationDate: key.createdAt / 1000,
    Enabled: state === "Enabled",
    Description: key.description,
    KeyUsage: key.keyUsage,
    KeyState: state,
    DeletionDate: key.deletion === undefined ? undefined : key.deletion.at / 1000,
    Origin: "EXTERNAL",
    KeyManager: "CUSTOMER",
    CustomerMasterKeySpec: key.keySpec,
    KeySpec: key.keySpec,
    ...algorithmsOf(key),
    MultiRegion: key.multiRegion,
    ...(key.multiRegion ? { MultiRegionConfiguration: multiRegionConfiguration(key) } : {}),
    ...(state === "PendingImport" ? {} : expiry(key)),
    CurrentKeyMaterialId: isSymmetric(key.keySpec) ? current?.id : undefined,
  }
}

/** The earliest expiry of all associated materials. */
function expiry(key: Key): object {
  const associated = key.materials.filter((material) => material.state !== "PENDING_ROTATION")
  if (!associated.some((material) => material.secret !== undefined)) return {}
  const dates = associated.flatMap(({ validTo }) => (validTo === undefined ? [] : [validTo]))
  if (dates.length === 0) return { ExpirationModel: "KEY_MATERIAL_DOES_NOT_EXPIRE" }
  return { ExpirationModel: "KEY_MATERIAL_EXPIRES", ValidTo: Math.min(...dates) / 1000 }
}

const multiRegionConfiguration = (key: Key) => ({
  MultiRegionKeyType: "PRIMARY",
  PrimaryKey: { Arn: key.arn, Region: key.arn.split(":")[3] },
  ReplicaKeys: [],
})

interface Wanted {
  readonly KeySpec: string | undefined
  readonly CustomerMasterKeySpec: string | undefined
  readonly KeyUsage: KeyUsage | undefined
}

function specAndUsage(wanted: Wanted): { readonly keySpec: KeySpec; readonly keyUsage: KeyUsage } {
  if (wanted.KeySpec !== undefined && wanted.CustomerMasterKeySpec !== undefined) {
    throw documented.invalid(
      "You cannot specify KeySpec and CustomerMasterKeySpec in the same request. CustomerMasterKeySpec is deprecated.",
    )
  }
  const keySpec = wanted.KeySpec ?? wanted.CustomerMasterKeySpec ?? "SYMMETRIC_DEFAULT"
  if (!isKeySpec(keySpec)) throw recorded.notForExternal(keySpec)
  const keyUsage = wanted.KeyUsage ?? (isSymmetric(keySpec) ? "ENCRYPT_DECRYPT" : undefined)
  if (keyUsage === undefined) {
    throw documented.invalid("You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.")
  }
  if (!KEY_SPECS[keySpec].usages.includes(keyUsage)) {
    throw documented.invalid(`KeyUsage ${keyUsage} is not compatible with KeySpec ${keySpec}`)
  }
  return { keySpec, keyUsage }
}

export const CreateKey = operation({
  mutates: true,
  request: {
    Policy: POLICY,
    Description: DESCRIPTION,
    KeyUsage: KEY_USAGE,
    CustomerMasterKeySpec: KEY_SPEC,
    KeySpec: KEY_SPEC,
    Origin: oneOf(["AWS_KMS", "EXTERNAL", "AWS_CLOUDHSM", "EXTERNAL_KEY_STORE"]),
    CustomKeyStoreId: text({ max: 64 }),
    XksKeyId: text({ max: 128 }),
    BypassPolicyLockoutSafetyCheck: flag(),
    Tags: TAGS,
    MultiRegion: flag(),
  },
  run({ region, now }, request) {
    const { CustomKeyStoreId, XksKeyId, Origin = "AWS_KMS", MultiRegion: multiRegion = false, Tags = [] } = request
    if (Origin !== "EXTERNAL" || CustomKeyStoreId !== undefined || XksKeyId !== undefined) {
      throw documented.unsupported("the local KMS makes only keys of Origin EXTERNAL")
    }
    const { keySpec, keyUsage } = specAndUsage(request)
    const id = multiRegion ? `mrk-${randomBytes(16).toString("hex")}` : randomUUID()
    const key: Key = {
      id,
      arn: arnOf(region, `key/${id}`),
      keySpec,
      keyUsage,
      multiRegion,
      createdAt: now,
      description: request.Description ?? "",
      policy: request.Policy ?? defaultPolicy(region.account),
      tags: checkTags(Tags),
      enabled: true,
      materials: [],
      rotations: 0,
    }
    region.keys.set(id, key)
    return { KeyMetadata: keyMetadata(key, region.account) }
  },
})

export const DescribeKey = keyOperation({
  aliases: "aliases",
  state: "look",
  request: { GrantTokens: USE_FIELDS.GrantTokens },
  run: (key, _, { region }) => ({ KeyMetadata: keyMetadata(key, region.account) }),
})

export const ListKeys = operation({
  request: pageFields(1000),
  run({ region, now, lag }, request) {
    settleRegion(region, now)
    const seen = [...region.keys.values()].filter((key) => lag === 0 || key.createdAt + lag <= now)
    const idOf = (key: Key) => key.id
    const { items, answer } = pageOf(byName(seen, idOf), idOf, request, 100)
    return { Keys: items.map((key) => ({ KeyId: key.id, KeyArn: key.arn })), ...answer }
  },
})

export const UpdateKeyDescription = keyOperation({
  state: "manage",
  mutates: true,
  request: { Description: required(DESCRIPTION) },
  run(key, { Description }) {
    key.description = Description
    return {}
  },
})

const toggle = (enabled: boolean) =>
  keyOperation({
    state: "toggle",
    mutates: true,
    request: {},
    run(key) {
      key.enabled = enabled
      return {}
    },
  })

export const EnableKey = toggle(true)
export const DisableKey = toggle(false)

export const ScheduleKeyDeletion = keyOperation({
  state: "manage",
  mutates: true,
  request: { PendingWindowInDays: whole(7, 30) },
  run(key, { PendingWindowInDays: windowDays = 30 }, { now }) {
    key.deletion = { at: now + windowDays * DAY, windowDays }
    key.enabled = false
    return {
      KeyId: key.arn,
      DeletionDate: key.deletion.at / 1000,
      KeyState: "PendingDeletion",
      PendingWindowInDays: windowDays,
    }
  },
})

export const CancelKeyDeletion = keyOperation({
  state: "cancelDeletion",
  mutates: true,
  request: {},
  run(key) {
    key.deletion = undefined
    return { KeyId: key.arn }
  },
})
