import { materialOf } from "../crypto/ciphertext.js"
import type { OperationName } from "../operations/operations.js"
import { KmsError } from "../protocol/error.js"
import { findKey } from "../state/find-key.js"
import { arnOf, isPrimary, type Key, type Region } from "../state/state.js"
import type { RequestContext } from "./condition.js"
import type { AccessRequest } from "./evaluate.js"

/** A request of IAM, with the key whose policy counts too. */
export interface KeyAccess extends AccessRequest {
  readonly key: Key | null
}

interface OperationCall {
  readonly name: OperationName
  readonly region: Region
  readonly now: number
  readonly body: Readonly<Record<string, unknown>>
}

/**
 * What IAM is asked for an operation: usually its action on the key that KeyId names; more where the service reference
 * says so. Keys that are not there are left out: the operation itself says that.
 */
export function accessesOf(call: OperationCall): readonly KeyAccess[] {
  return (ACCESSES[call.name] ?? onNamedKey)(call)
}

type Accesses = (call: OperationCall) => readonly KeyAccess[]

const text = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined)

const elsewhere = (call: OperationCall, action: string, context: RequestContext = {}, resource = "*"): KeyAccess => ({
  action: `kms:${action}`,
  resource,
  key: null,
  context: { ...ofRequest(call), ...context },
})

const onKey = (call: OperationCall, key: Key | null, action: string = call.name): readonly KeyAccess[] =>
  key === null
    ? []
    : [{ action: `kms:${action}`, resource: key.arn, key, context: { ...ofKey(key), ...ofRequest(call) } }]

const onNamedKey: Accesses = (call) =>
  text(call.body["KeyId"]) === undefined ? [elsewhere(call, call.name)] : onKey(call, keyOf(call, "KeyId"))

const onNothing: Accesses = (call) => [elsewhere(call, call.name)]

/** An alias is a resource of its own beside the keys that it names, or named. */
const onAlias: Accesses = (call) => {
  const alias = text(call.body["AliasName"]) ?? ""
  const holder = call.region.aliases.get(alias)?.keyId
  const keys = [
    call.name === "CreateAlias" || holder === undefined ? null : keyOf(call, holder),
    call.name === "DeleteAlias" ? null : keyOf(call, "TargetKeyId"),
  ]
  const resource = arnOf(call.region, alias)
  return [elsewhere(call, call.name, {}, resource), ...keys.flatMap((key) => onKey(call, key))]
}

const onCiphertext =
  (action: string, member: string): Accesses =>
  (call) => {
    const named = text(call.body[member])
    if (named !== undefined) return onKey(call, keyOf(call, member), action)
    try {
      const { key } = materialOf(call.region, Buffer.from(text(call.body["CiphertextBlob"]) ?? "", "base64"))
      return onKey(call, key, action)
    } catch (error) {
      if (error instanceof KmsError) return [elsewhere(call, action)]
      throw error
    }
  }

/** Tags of a request that makes a key are an action of their own, on a key that is not there yet. */
const tagging = (call: OperationCall, region: string): readonly KeyAccess[] =>
  tagsOf(call).length === 0
    ? []
    : [
        elsewhere(
          call,
          "TagResource",
          { "aws:requestedregion": [region] },
          arnOf({ ...call.region, name: region }, "key/00000000-0000-0000-0000-000000000000"),
        ),
      ]

const ACCESSES: Partial<Record<OperationName, Accesses>> = {
  CreateKey: (call) => {
    const { KeySpec, CustomerMasterKeySpec, KeyUsage, Origin = "AWS_KMS", MultiRegion = false } = call.body
    const keySpec = text(KeySpec ?? CustomerMasterKeySpec) ?? "SYMMETRIC_DEFAULT"
    const context = {
      "kms:keyorigin": [String(Origin)],
      "kms:keyspec": [keySpec],
      "kms:keyusage": [text(KeyUsage) ?? "ENCRYPT_DECRYPT"],
      "kms:multiregion": [String(MultiRegion)],
      ...(MultiRegion === true ? { "kms:multiregionkeytype": ["PRIMARY"] } : {}),
    }
    return [elsewhere(call, "CreateKey", context), ...tagging(call, call.region.name)]
  },
  ListKeys: onNothing,
  ListAliases: onNothing,
  ListRetirableGrants: onNothing,
  GenerateRandom: onNothing,
  CreateAlias: onAlias,
  UpdateAlias: onAlias,
  DeleteAlias: onAlias,
  Decrypt: onCiphertext("Decrypt", "KeyId"),
  ReEncrypt: (call) => [
    ...onCiphertext("ReEncryptFrom", "SourceKeyId")(call),
    ...onKey(call, keyOf(call, "DestinationKeyId"), "ReEncryptTo"),
  ],
  ReplicateKey: (call) => {
    const replicaRegion = text(call.body["ReplicaRegion"]) ?? ""
    // which of CreateKey's condition keys this implied one has is documented of these alone
    const context = { "kms:multiregion": ["true"], "aws:requestedregion": [replicaRegion] }
    return [
      ...onNamedKey(call),
      { ...elsewhere(call, "CreateKey"), context: { ...callerOnly(call), ...context } },
      ...tagging(call, replicaRegion),
    ]
  },
  UpdatePrimaryRegion: (call) => {
    const key = keyOf(call, "KeyId")
    const replica = key?.set.keys.get(text(call.body["PrimaryRegion"]) ?? "") ?? null
    return [...onKey(call, key), ...onKey(call, replica)]
  },
}

/** The key that a member of the request, or a key ID, names; null where there is none. */
function keyOf({ region, now, body }: OperationCall, memberOrId: string): Key | null {
  const name = text(body[memberOrId]) ?? memberOrId
  try {
    return findKey({ region, now }, name, "aliases")
  } catch (error) {
    if (error instanceof KmsError) return null
    throw error
  }
}

function ofKey(key: Key): RequestContext {
  const { keySpec, keyUsage, set, tags, aliases } = key
  return {
    "kms:keyorigin": ["EXTERNAL"],
    "kms:keyspec": [keySpec],
    "kms:keyusage": [keyUsage],
    "kms:multiregion": [String(set.multiRegion)],
    ...(set.multiRegion ? { "kms:multiregionkeytype": [isPrimary(key) ? "PRIMARY" : "REPLICA"] } : {}),
    ...(aliases.size === 0 ? {} : { "kms:resourcealiases": [...aliases] }),
    ...Object.fromEntries(tags.map(({ TagKey, TagValue }) => [`aws:resourcetag/${TagKey.toLowerCase()}`, [TagValue]])),
  }
}

const callerOnly = ({ region }: OperationCall): RequestContext => ({ "kms:calleraccount": [region.account] })

/** The condition keys that are members of a request: absent where the request leaves them out. */
function ofRequest(call: OperationCall): RequestContext {
  const { WrappingAlgorithm, WrappingKeySpec, ExpirationModel, ValidTo, ReplicaRegion, TagKeys } = call.body
  const tags = tagsOf(call)
  const tagKeys = tags.length > 0 ? tags.map(({ TagKey }) => TagKey) : Array.isArray(TagKeys) ? TagKeys.map(String) : []
  const members = {
    "kms:wrappingalgorithm": WrappingAlgorithm,
    "kms:wrappingkeyspec": WrappingKeySpec,
    "kms:expirationmodel": ExpirationModel,
    "kms:validto": ValidTo,
    "kms:replicaregion": ReplicaRegion,
  }
  const present = Object.entries(members).filter(
    ([, member]) => typeof member === "string" || typeof member === "number",
  )
  return {
    ...callerOnly(call),
    "aws:requestedregion": [call.region.name],
    ...Object.fromEntries(present.map(([key, member]) => [key, [String(member)]])),
    ...(tagKeys.length === 0 ? {} : { "aws:tagkeys": tagKeys }),
    ...Object.fromEntries(tags.map(({ TagKey, TagValue }) => [`aws:requesttag/${TagKey.toLowerCase()}`, [TagValue]])),
  }
}

function tagsOf({ body }: OperationCall): readonly { readonly TagKey: string; readonly TagValue: string }[] {
  const { Tags: tags } = body
  if (!Array.isArray(tags)) return []
  return tags.flatMap((tag: unknown) => {
    const { TagKey, TagValue } = (tag ?? {}) as Readonly<Record<string, unknown>>
    return typeof TagKey === "string" && typeof TagValue === "string" ? [{ TagKey, TagValue }] : []
  })
}
