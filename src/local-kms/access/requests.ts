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

interface Asked {
  readonly name: OperationName
  readonly region: Region
  readonly now: number
  readonly body: Readonly<Record<string, unknown>>
}

/**
 * What IAM is asked for an operation: usually its action on the key that KeyId names; more where the service reference
 * says so. Keys that are not there are left out: the operation itself says that.
 */
export function accessesOf(asked: Asked): readonly KeyAccess[] {
  return (ACCESSES[asked.name] ?? onNamedKey)(asked)
}

type Accesses = (asked: Asked) => readonly KeyAccess[]

const text = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined)

const elsewhere = (asked: Asked, action: string, context: RequestContext = {}, resource = "*"): KeyAccess => ({
  action: `kms:${action}`,
  resource,
  key: null,
  context: { ...ofRequest(asked), ...context },
})

const onKey = (asked: Asked, key: Key | null, action: string = asked.name): readonly KeyAccess[] =>
  key === null
    ? []
    : [{ action: `kms:${action}`, resource: key.arn, key, context: { ...ofKey(key), ...ofRequest(asked) } }]

const onNamedKey: Accesses = (asked) =>
  text(asked.body["KeyId"]) === undefined ? [elsewhere(asked, asked.name)] : onKey(asked, keyOf(asked, "KeyId"))

const onNothing: Accesses = (asked) => [elsewhere(asked, asked.name)]

/** An alias is a resource of its own beside the keys that it names, or named. */
const onAlias: Accesses = (asked) => {
  const alias = text(asked.body["AliasName"]) ?? ""
  const holder = asked.region.aliases.get(alias)?.keyId
  const keys = [
    asked.name === "CreateAlias" || holder === undefined ? null : keyOf(asked, holder),
    asked.name === "DeleteAlias" ? null : keyOf(asked, "TargetKeyId"),
  ]
  const resource = arnOf(asked.region, alias)
  return [elsewhere(asked, asked.name, {}, resource), ...keys.flatMap((key) => onKey(asked, key))]
}

const onCiphertext =
  (action: string, member: string): Accesses =>
  (asked) => {
    const named = text(asked.body[member])
    if (named !== undefined) return onKey(asked, keyOf(asked, member), action)
    try {
      const { key } = materialOf(asked.region, Buffer.from(text(asked.body["CiphertextBlob"]) ?? "", "base64"))
      return onKey(asked, key, action)
    } catch (error) {
      if (error instanceof KmsError) return [elsewhere(asked, action)]
      throw error
    }
  }

/** Tags of a request that makes a key are an action of their own, on a key that is not there yet. */
const tagging = (asked: Asked, region: string): readonly KeyAccess[] =>
  tagsOf(asked).length === 0
    ? []
    : [
        elsewhere(
          asked,
          "TagResource",
          { "aws:requestedregion": [region] },
          arnOf({ ...asked.region, name: region }, "key/00000000-0000-0000-0000-000000000000"),
        ),
      ]

const ACCESSES: Partial<Record<OperationName, Accesses>> = {
  CreateKey: (asked) => {
    const { KeySpec, CustomerMasterKeySpec, KeyUsage, Origin = "AWS_KMS", MultiRegion = false } = asked.body
    const keySpec = text(KeySpec ?? CustomerMasterKeySpec) ?? "SYMMETRIC_DEFAULT"
    const context = {
      "kms:keyorigin": [String(Origin)],
      "kms:keyspec": [keySpec],
      "kms:keyusage": [text(KeyUsage) ?? "ENCRYPT_DECRYPT"],
      "kms:multiregion": [String(MultiRegion)],
      ...(MultiRegion === true ? { "kms:multiregionkeytype": ["PRIMARY"] } : {}),
    }
    return [elsewhere(asked, "CreateKey", context), ...tagging(asked, asked.region.name)]
  },
  ListKeys: onNothing,
  ListAliases: onNothing,
  ListRetirableGrants: onNothing,
  GenerateRandom: onNothing,
  CreateAlias: onAlias,
  UpdateAlias: onAlias,
  DeleteAlias: onAlias,
  Decrypt: onCiphertext("Decrypt", "KeyId"),
  ReEncrypt: (asked) => [
    ...onCiphertext("ReEncryptFrom", "SourceKeyId")(asked),
    ...onKey(asked, keyOf(asked, "DestinationKeyId"), "ReEncryptTo"),
  ],
  ReplicateKey: (asked) => {
    const replicaRegion = text(asked.body["ReplicaRegion"]) ?? ""
    // which of CreateKey's condition keys this implied one has is documented of these alone
    const made = { "kms:multiregion": ["true"], "aws:requestedregion": [replicaRegion] }
    return [
      ...onNamedKey(asked),
      { ...elsewhere(asked, "CreateKey"), context: { ...callerOnly(asked), ...made } },
      ...tagging(asked, replicaRegion),
    ]
  },
  UpdatePrimaryRegion: (asked) => {
    const key = keyOf(asked, "KeyId")
    const replica = key?.set.keys.get(text(asked.body["PrimaryRegion"]) ?? "") ?? null
    return [...onKey(asked, key), ...onKey(asked, replica)]
  },
}

/** The key that a member of the request, or a key ID, names; null where there is none. */
function keyOf({ region, now, body }: Asked, memberOrId: string): Key | null {
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

const callerOnly = ({ region }: Asked): RequestContext => ({ "kms:calleraccount": [region.account] })

/** The condition keys that are members of a request: absent where the request leaves them out. */
function ofRequest(asked: Asked): RequestContext {
  const { WrappingAlgorithm, WrappingKeySpec, ExpirationModel, ValidTo, ReplicaRegion, TagKeys } = asked.body
  const tags = tagsOf(asked)
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
    ...callerOnly(asked),
    "aws:requestedregion": [asked.region.name],
    ...Object.fromEntries(present.map(([key, member]) => [key, [String(member)]])),
    ...(tagKeys.length === 0 ? {} : { "aws:tagkeys": tagKeys }),
    ...Object.fromEntries(tags.map(({ TagKey, TagValue }) => [`aws:requesttag/${TagKey.toLowerCase()}`, [TagValue]])),
  }
}

function tagsOf({ body }: Asked): readonly { readonly TagKey: string; readonly TagValue: string }[] {
  const { Tags: tags } = body
  if (!Array.isArray(tags)) return []
  return tags.flatMap((tag: unknown) => {
    const { TagKey, TagValue } = (tag ?? {}) as Readonly<Record<string, unknown>>
    return typeof TagKey === "string" && typeof TagValue === "string" ? [{ TagKey, TagValue }] : []
  })
}
