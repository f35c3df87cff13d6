import { randomBytes, randomUUID } from "node:crypto"
import type { KeyUsage } from "../../core/key/key-spec.js"
import { isImportable, KEY_SPECS, KEY_SPEC_NAMES, type KeySpec } from "../protocol/key-spec.js"
import { keyMetadata } from "./key-metadata.js"
import { keyState } from "../state/key-state.js"
import { isSymmetric } from "../state/material.js"
import { keyOperation, operation, USE_FIELDS } from "./operation.js"
import { pageFields, pageOf, settled } from "../protocol/page.js"
import { documented, recorded } from "../protocol/refusal.js"
import { flag, oneOf, required, text, wholeNumber } from "../protocol/request.js"
import { cancelDeletion, scheduleDeletion, settleRegion } from "../state/settle.js"
import { addKey, type KeySet, partitionOf } from "../state/state.js"
import { defaultPolicy, POLICY, rewritten } from "./policy.js"
import { checkTags, TAGS } from "./tags.js"

export const DESCRIPTION = text({ min: 0, max: 8192 })
const KEY_SPEC = oneOf([...KEY_SPEC_NAMES, "ML_DSA_44", "ML_DSA_65", "ML_DSA_87"])
const KEY_USAGE = oneOf(["SIGN_VERIFY", "ENCRYPT_DECRYPT", "GENERATE_VERIFY_MAC", "KEY_AGREEMENT"])

interface KeyRequest {
  readonly KeySpec: string | undefined
  readonly CustomerMasterKeySpec: string | undefined
  readonly KeyUsage: KeyUsage | undefined
}

function specAndUsage(
  request: KeyRequest,
  partition: string,
): { readonly keySpec: KeySpec; readonly keyUsage: KeyUsage } {
  if (request.KeySpec !== undefined && request.CustomerMasterKeySpec !== undefined) {
    throw documented.invalid(
      "You cannot specify KeySpec and CustomerMasterKeySpec in the same request. CustomerMasterKeySpec is deprecated.",
    )
  }
  const keySpec = request.KeySpec ?? request.CustomerMasterKeySpec ?? "SYMMETRIC_DEFAULT"
  if (!isImportable(keySpec, partition)) throw recorded.notForExternal(keySpec)
  const keyUsage = request.KeyUsage ?? (isSymmetric(keySpec) ? "ENCRYPT_DECRYPT" : undefined)
  if (keyUsage === undefined) {
    throw recorded.noUsage()
  }
  if (!KEY_SPECS[keySpec].usages.includes(keyUsage)) {
    throw documented.invalid(`KeyUsage ${keyUsage} is not compatible with KeySpec ${keySpec}`)
  }
  return { keySpec, keyUsage }
}

export const CreateKey = operation({
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
  run({ region, now, changes }, request) {
    const { CustomKeyStoreId, XksKeyId, Origin = "AWS_KMS", MultiRegion: multiRegion = false, Tags = [] } = request
    if (Origin !== "EXTERNAL" || CustomKeyStoreId !== undefined || XksKeyId !== undefined) {
      throw documented.unsupported("the local KMS makes only keys of Origin EXTERNAL")
    }
    const { keySpec, keyUsage } = specAndUsage(request, partitionOf(region.name))
    const id = multiRegion ? `mrk-${randomBytes(16).toString("hex")}` : randomUUID()
    const policy = rewritten(request.Policy ?? defaultPolicy(region), region)
    const tags = checkTags(Tags)
    const set: KeySet = {
      id,
      keySpec,
      keyUsage,
      multiRegion,
      primaryRegion: region.name,
      materials: [],
      rotations: 0,
      keys: new Map(),
    }
    const key = addKey(set, region, {
      createdAt: now,
      description: request.Description ?? "",
      policy,
      tags,
      grants: [],
      enabled: true,
      holdings: new Map(),
    })
    changes.ofSet(set)
    return { KeyMetadata: keyMetadata(key) }
  },
})

export const DescribeKey = keyOperation({
  aliases: "aliases",
  state: "look",
  request: { GrantTokens: USE_FIELDS.GrantTokens },
  run: (key) => ({ KeyMetadata: keyMetadata(key) }),
})

export const ListKeys = operation({
  request: pageFields(1000),
  run({ region, now, lag }, request) {
    settleRegion(region, now)
    const { items, answer } = pageOf(
      (name) => settled(region.keys.after(name), lag, now),
      (key) => key.id,
      request,
      100,
    )
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

export const GetKeyLastUsage = keyOperation({
  state: "look",
  request: {},
  run: ({ arn, createdAt, lastUse }) => ({
    KeyId: arn,
    ...(lastUse === undefined
      ? {}
      : {
          KeyLastUsage: {
            Operation: lastUse.operation,
            Timestamp: lastUse.at / 1000,
            KmsRequestId: lastUse.requestId,
          },
        }),
    // every use of a key here is known
    TrackingStartDate: createdAt / 1000,
    KeyCreationDate: createdAt / 1000,
  }),
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
  state: "scheduleDeletion",
  mutates: true,
  request: { PendingWindowInDays: wholeNumber(7, 30) },
  run(key, { PendingWindowInDays: windowDays = 30 }, { now }) {
    scheduleDeletion(key, windowDays, now)
    return {
      KeyId: key.arn,
      DeletionDate: key.deletion?.at && key.deletion.at / 1000,
      KeyState: keyState(key),
      PendingWindowInDays: windowDays,
    }
  },
})

export const CancelKeyDeletion = keyOperation({
  state: "cancelDeletion",
  mutates: true,
  request: {},
  run(key) {
    cancelDeletion(key)
    return { KeyId: key.arn }
  },
})
