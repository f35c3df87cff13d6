import { actionsOf, KMS_ACTIONS, type KmsAction, type PolicyRole } from "./actions.js"
import { allOf, type Conditions, oneOrMore, type PolicyDocument, documentOf, type PolicyStatement } from "./document.js"
import type { PolicyNeeds } from "./needs.js"

/** IAM tag of every KMS key of an owner, as a condition. */
export const ownerOf = (kind: "RequestTag" | "ResourceTag", { owner }: PolicyNeeds): Conditions => ({
  StringEquals: { [`aws:${kind}/keyferry:owner`]: owner },
})

/** ARNs of all KMS keys, or of one alias, in the account's Regions. */
export function arnsOf({ partition, account, regions }: PolicyNeeds, resource: string): readonly string[] {
  return regions.map((region) => `arn:${partition}:kms:${region}:${account ?? "*"}:${resource}`)
}

/** The least that a role needs, for the identity that keyferry works as. */
export function iamPolicy(role: PolicyRole, needs: PolicyNeeds): PolicyDocument {
  const actions = actionsOf(role, needs)
  return documentOf([
    ...statement("Look", actions.filter(on("any key")), arnsOf(needs, "key/*")),
    ...statement("List", actions.filter(on("account")), ["*"], inRegions(needs)),
    ...(actions.includes("CreateKey") ? createStatements(needs) : []),
    ...aliasStatements(actions.filter(on("alias")), needs),
    ...keyStatements(actions, needs),
  ])
}

/** What is on keys: by keyferry's tag, and by their ARNs where others made them. */
export function keyStatements(actions: readonly KmsAction[], needs: PolicyNeeds): readonly PolicyStatement[] {
  const { made, keyArns, taggedArns } = needs
  const anywhere = actions.filter((action) => on("our keys")(action) || on("alias")(action))
  const plain = anywhere.filter((action) => !(action in CONDITIONS))
  const parts = [...Object.keys(CONDITIONS), null].filter(
    (name) => name === null || actions.includes(name as KmsAction),
  )
  return parts.flatMap((name) => {
    const part = name === null ? plain : [name as KmsAction]
    const condition = name === null ? {} : conditionOf(name as KmsAction, needs)
    const ofOthers = part.filter((action) => !OWN_ALONE.includes(action))
    return [
      ...(made
        ? statement(name ?? "Work", part, arnsOf(needs, "key/*"), allOf(condition, ownerOf("ResourceTag", needs)))
        : []),
      ...statement(`${name ?? "Work"}Given`, ofOthers, name === "TagResource" ? taggedArns : keyArns, condition),
    ]
  })
}

const on =
  (place: (typeof KMS_ACTIONS)[KmsAction]["on"]) =>
  (action: KmsAction): boolean =>
    KMS_ACTIONS[action].on === place

/** What others made has their policy, description and aliases. */
const OWN_ALONE: readonly KmsAction[] = [
  "CreateAlias",
  "UpdateAlias",
  "GetKeyPolicy",
  "PutKeyPolicy",
  "UpdateKeyDescription",
  "ReplicateKey",
]

/** The actions whose requests have condition keys of their own (KMS Developer Guide, "Condition keys"). */
const CONDITIONS: Partial<Record<KmsAction, (needs: PolicyNeeds) => Conditions>> = {
  GetParametersForImport: ({ keySpecs, wrappingAlgorithms, wrappingKeySpecs }) => ({
    StringEquals: {
      "kms:KeyOrigin": "EXTERNAL",
      "kms:KeySpec": oneOrMore(keySpecs),
      "kms:WrappingAlgorithm": oneOrMore(wrappingAlgorithms),
      "kms:WrappingKeySpec": oneOrMore(wrappingKeySpecs),
    },
  }),
  ImportKeyMaterial: ({ keySpecs, expirationModels }) => ({
    StringEquals: {
      "kms:KeyOrigin": "EXTERNAL",
      "kms:KeySpec": oneOrMore(keySpecs),
      "kms:ExpirationModel": oneOrMore(expirationModels),
    },
  }),
  // the owner that a key has stays
  TagResource: ({ owner }) => ({ StringEqualsIfExists: { "aws:RequestTag/keyferry:owner": owner } }),
  ReplicateKey: ({ replicas }) => ({ StringEquals: { "kms:ReplicaRegion": oneOrMore(replicas) } }),
}

const conditionOf = (action: KmsAction, needs: PolicyNeeds): Conditions => CONDITIONS[action]?.(needs) ?? {}

const inRegions = ({ regions }: Pick<PolicyNeeds, "regions">): Conditions => ({
  StringEquals: { "aws:RequestedRegion": oneOrMore(regions) },
})

function createStatements(needs: PolicyNeeds): readonly PolicyStatement[] {
  const { keySpecs, keyUsages, replicas } = needs
  const creation = {
    StringEquals: {
      "kms:KeyOrigin": "EXTERNAL",
      "kms:KeySpec": oneOrMore(keySpecs),
      "kms:KeyUsage": oneOrMore(keyUsages),
    },
  }
  const conditions = allOf(creation, ownerOf("RequestTag", needs), inRegions(needs))
  // the implied CreateKey of ReplicateKey, in the replica's Region
  const replica = allOf({ Bool: { "kms:MultiRegion": "true" } }, inRegions({ regions: replicas }))
  return [
    ...statement("Create", ["CreateKey"], ["*"], conditions),
    ...(replicas.length === 0 ? [] : statement("CreateReplica", ["CreateKey"], ["*"], replica)),
    ...statement("TagOnCreate", ["TagResource"], arnsOf(needs, "key/*"), ownerOf("RequestTag", needs)),
  ]
}

/** An alias is a resource of its own; that it names is a permission on the key as well (see keyStatements). */
function aliasStatements(actions: readonly KmsAction[], needs: PolicyNeeds): readonly PolicyStatement[] {
  const resources = needs.aliases.flatMap((alias) => arnsOf(needs, alias))
  return statement("Alias", actions, resources)
}

function statement(
  sid: string,
  actions: readonly KmsAction[],
  resources: readonly string[],
  conditions: Conditions = {},
): readonly PolicyStatement[] {
  if (actions.length === 0 || resources.length === 0) return []
  return [
    {
      Sid: sid,
      Effect: "Allow",
      Action: oneOrMore(actions.map((action) => `kms:${action}`)),
      Resource: oneOrMore(resources),
      ...(Object.keys(conditions).length === 0 ? {} : { Condition: conditions }),
    },
  ]
}
