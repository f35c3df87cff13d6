import type { PolicyNeeds } from "./needs.js"

/**
 * What each command asks of AWS KMS: ONE table, from which the printed policies and docs/policies.md follow. `needs` are the
 * keys for which an action is asked; an action that no key of the manifest needs stands in no policy.
 */

/** The role that works every day, and the one that ends things. */
export type PolicyRole = "iam" | "break-glass"

interface ActionRow {
  /** Of keys, which makes it an action of the role. */
  readonly needs: (needs: PolicyNeeds) => boolean
  /** What it is on: any key, to look at; what has no ARN; keys of ours; a key that is made; an alias beside its key. */
  readonly on: "any key" | "account" | "our keys" | "new key" | "alias"
  /** Which keys those are, for people. */
  readonly keys: string
}

const always = (): boolean => true

export const KMS_ACTIONS = {
  ListKeys: { needs: always, on: "account", keys: "all" },
  ListAliases: { needs: always, on: "account", keys: "all" },
  DescribeKey: { needs: always, on: "any key", keys: "all" },
  ListResourceTags: { needs: always, on: "any key", keys: "all" },
  GetKeyLastUsage: { needs: always, on: "our keys", keys: "all" },
  CreateKey: { needs: ({ made }) => made, on: "new key", keys: "without `keyArn`" },
  TagResource: { needs: ({ tagged }) => tagged, on: "our keys", keys: "but those with `tagKey: false`" },
  GetParametersForImport: { needs: always, on: "our keys", keys: "all" },
  ImportKeyMaterial: { needs: always, on: "our keys", keys: "all" },
  GetPublicKey: { needs: ({ asymmetric }) => asymmetric, on: "our keys", keys: "RSA and EC" },
  VerifyMac: { needs: ({ hmac }) => hmac, on: "our keys", keys: "HMAC" },
  Sign: { needs: ({ signing }) => signing, on: "our keys", keys: "SIGN_VERIFY" },
  ListKeyRotations: { needs: ({ symmetric }) => symmetric, on: "our keys", keys: "SYMMETRIC_DEFAULT" },
  GetKeyRotationStatus: { needs: ({ symmetric }) => symmetric, on: "our keys", keys: "SYMMETRIC_DEFAULT" },
  RotateKeyOnDemand: { needs: ({ symmetric }) => symmetric, on: "our keys", keys: "SYMMETRIC_DEFAULT" },
  GetKeyPolicy: { needs: ({ made }) => made, on: "our keys", keys: "without `keyArn`" },
  PutKeyPolicy: { needs: ({ keyPolicy }) => keyPolicy, on: "our keys", keys: "with `keyPolicy`" },
  UpdateKeyDescription: { needs: ({ description }) => description, on: "our keys", keys: "with `description`" },
  CreateAlias: { needs: ({ aliases }) => aliases.length > 0, on: "alias", keys: "with `alias`" },
  UpdateAlias: { needs: ({ aliases }) => aliases.length > 0, on: "alias", keys: "with `alias`" },
  ReplicateKey: { needs: ({ replicas }) => replicas.length > 0, on: "our keys", keys: "with `multiRegion.replicas`" },
  EnableKey: { needs: always, on: "our keys", keys: "all" },
  DisableKey: { needs: always, on: "our keys", keys: "all" },
  DeleteImportedKeyMaterial: { needs: always, on: "our keys", keys: "all" },
  ScheduleKeyDeletion: { needs: always, on: "our keys", keys: "all" },
} as const satisfies Readonly<Record<string, ActionRow>>

export type KmsAction = keyof typeof KMS_ACTIONS

interface CommandRow {
  /** Both where it imports and does what break-glass is for. */
  readonly roles: readonly PolicyRole[]
  readonly actions: readonly KmsAction[]
}

const IAM = ["iam"] as const
const BREAK_GLASS = ["break-glass"] as const

const LOOK = ["DescribeKey", "ListKeys", "ListResourceTags"] as const
const IMPORT = ["GetParametersForImport", "ImportKeyMaterial", "GetPublicKey", "VerifyMac"] as const
const MAKE = ["CreateKey", "TagResource"] as const
const SURVEY = [...LOOK, "ListAliases", "ListKeyRotations", "GetKeyPolicy"] as const
const ROTATE = ["ListKeyRotations", "GetKeyRotationStatus", "RotateKeyOnDemand", "TagResource"] as const
const PROVISION = [
  ...LOOK,
  ...MAKE,
  ...IMPORT,
  "ListKeyRotations",
  "CreateAlias",
  "ReplicateKey",
  "GetKeyPolicy",
] as const
const END = ["DescribeKey", "ListAliases"] as const
const DESTROY = [...END, "GetKeyLastUsage"] as const

export const COMMAND_ACTIONS: Readonly<Record<string, CommandRow>> = {
  provision: { roles: IAM, actions: PROVISION },
  "apply, agent": {
    roles: IAM,
    actions: [...SURVEY, ...PROVISION, ...ROTATE, "PutKeyPolicy", "UpdateKeyDescription", "UpdateAlias"],
  },
  "plan, status, check": { roles: IAM, actions: SURVEY },
  "status --usage": { roles: IAM, actions: [...SURVEY, "GetKeyLastUsage"] },
  "status --rebuild": { roles: IAM, actions: [...LOOK, "ListAliases", "ListKeyRotations"] },
  "rewrap, recover": { roles: IAM, actions: [...SURVEY, ...IMPORT] },
  rotate: { roles: IAM, actions: [...LOOK, ...IMPORT, ...ROTATE] },
  replace: { roles: IAM, actions: [...PROVISION, "UpdateAlias"] },
  verify: { roles: IAM, actions: [...LOOK, ...IMPORT, "ListKeyRotations", "Sign"] },
  params: { roles: IAM, actions: [...LOOK, ...MAKE, "GetParametersForImport"] },
  import: { roles: IAM, actions: [...LOOK, "TagResource", "ImportKeyMaterial", "GetPublicKey", "VerifyMac"] },
  "key adopt": { roles: IAM, actions: [...LOOK, "ListKeyRotations", "GetPublicKey", "VerifyMac", "TagResource"] },
  "key destroy": { roles: IAM, actions: LOOK },
  doctor: { roles: IAM, actions: ["ListKeys"] },
  "state merge": { roles: IAM, actions: ["ListKeyRotations"] },
  enable: { roles: BREAK_GLASS, actions: [...END, "EnableKey"] },
  disable: { roles: BREAK_GLASS, actions: [...END, "DisableKey"] },
  "delete-material": {
    roles: BREAK_GLASS,
    actions: [...DESTROY, "ListKeyRotations", "GetKeyRotationStatus", "DeleteImportedKeyMaterial"],
  },
  "schedule-deletion": { roles: BREAK_GLASS, actions: [...DESTROY, "ScheduleKeyDeletion"] },
  retire: { roles: BREAK_GLASS, actions: [...DESTROY, "DisableKey", "ScheduleKeyDeletion"] },
  "rewrap --include-disabled": { roles: ["iam", "break-glass"], actions: [...SURVEY, ...IMPORT, "DisableKey"] },
  "rotate --abandon": {
    roles: ["iam", "break-glass"],
    actions: ["DescribeKey", "ListKeyRotations", "GetKeyRotationStatus", "DeleteImportedKeyMaterial"],
  },
}

/** The commands of one role alone that ask for an action. */
export function commandsFor(action: KmsAction, role: PolicyRole): readonly string[] {
  return Object.entries(COMMAND_ACTIONS)
    .filter(([, { roles, actions }]) => roles.length === 1 && roles[0] === role && actions.includes(action))
    .map(([command]) => command)
}

/** The actions that a role's commands ask for with these keys, in the table's order. */
export function actionsOf(role: PolicyRole, needs: PolicyNeeds): readonly KmsAction[] {
  const names = Object.keys(KMS_ACTIONS) as readonly KmsAction[]
  return names.filter((action) => commandsFor(action, role).length > 0 && KMS_ACTIONS[action].needs(needs))
}
