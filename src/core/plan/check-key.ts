import type { ErrorCode } from "../base/error.js"
import { keyStateRow } from "../key/key-state.js"
import { IDENTITY_NAMES, settingOf } from "../manifest/key-settings.js"
import type { KeyRotation } from "../key/rotation.js"
import { type Check, type Context, day, keyWord, seenKey, stagedGeneration } from "./context.js"
import type { ReasonCode } from "./reason.js"
import { isGone, isOfUnknownState, isUnseen } from "./snapshot.js"

/** Checks of what keeps keyferry from looking at the KMS key, or from touching it. */

/** A key that could not be looked at, by what KMS or the way to it said. */
const FAILURES: Readonly<Partial<Record<ErrorCode, ReasonCode>>> = {
  ERR_KMS_UNREACHABLE: "KMS_UNREACHABLE",
  ERR_KMS_THROTTLED: "KMS_LATER",
  ERR_KMS_UNAVAILABLE: "KMS_LATER",
  ERR_KMS_ACCESS_DENIED: "KMS_DENIED",
  ERR_KMS_CREDENTIALS: "KMS_CREDENTIALS",
  ERR_POLICY_REFUSED: "OTHER_ACCOUNT",
}

export const entryUnreadable: Check = ({ snapshot: { damage } }) =>
  damage === null ? undefined : { reason: "ENTRY_UNREADABLE", facts: { fault: damage } }

export const couldNotLook: Check = (context) => {
  const { key } = context.snapshot
  if (!isUnseen(key)) return undefined
  return { reason: FAILURES[key.code] ?? "KMS_FAILED", facts: { key: keyWord(context), error: key.error } }
}

/** What a lost or an older state has forgotten is not made a second time. */
export const unknownHere: Check = (context) => (context.snapshot.entry === null ? placeTaken(context) : undefined)

/** Another copy of the state has replaced it. What was replaced is kept alive like any other, and no more. */
export const placeTaken: Check = ({ snapshot: { unknownKey } }) =>
  unknownKey === null ? undefined : { reason: "UNKNOWN_HERE", facts: { key: unknownKey } }

/** A KMS key that somebody else made is looked at before anything is put into it. */
export const unfit: Check = ({ snapshot: { entry, binding, key, claimedBy } }) => {
  const { keyArn, keySpec, keyUsage } = binding
  if (entry !== null || keyArn === null) return undefined
  if (isGone(key)) return { reason: "KEY_UNFIT", facts: { key: keyArn, field: "state", found: "none", wanted: EMPTY } }
  if (key.seen !== "key") return undefined
  if (claimedBy !== null) return { reason: "KEY_CLAIMED", facts: { key: keyArn, owner: claimedBy } }
  const { description, rotations } = key
  const lostCount = rotations?.length ?? 0
  const rows = [
    ["origin", description.origin, "EXTERNAL"],
    ["key spec", description.keySpec, keySpec],
    ["key usage", description.keyUsage, keyUsage],
    ["kind", description.multiRegionConfiguration?.type === "REPLICA" ? "replica" : PRIMARY, PRIMARY],
    ["state", description.keyState, EMPTY],
    ["lost key materials", lostCount === 0 ? NONE : String(lostCount), NONE],
  ] as const
  const [field, found, wanted] = rows.find(([, actual, expected]) => actual !== expected) ?? []
  return field === undefined ? undefined : { reason: "KEY_UNFIT", facts: { key: keyArn, field, found, wanted } }
}

const EMPTY = "PendingImport"
const PRIMARY = "single-Region or primary"
const NONE = "none"

export const nothingYet: Check = ({ snapshot: { entry } }) => (entry === null ? { reason: "NOTHING_YET" } : undefined)

export const elsewhere: Check = ({ snapshot: { entry, region } }) =>
  entry !== null && entry.region !== region
    ? { reason: "ELSEWHERE", facts: { found: entry.region, wanted: region } }
    : undefined

/** What of a KMS key cannot be changed after it was made. */
const FIXED = IDENTITY_NAMES.filter((name) => settingOf(name).fixed === true)

export const identityChanged: Check = ({ snapshot: { binding, entry } }) => {
  if (entry === null) return undefined
  for (const name of FIXED) {
    if (entry[name] !== binding[name]) {
      const field = settingOf(name).identity ?? name
      return { reason: "IDENTITY_CHANGED", facts: { field, found: String(entry[name]), wanted: String(binding[name]) } }
    }
  }
  if (binding.keyArn !== null && entry.keyArn !== null && entry.keyArn !== binding.keyArn) {
    return { reason: "IDENTITY_CHANGED", facts: { field: "ARN", found: entry.keyArn, wanted: binding.keyArn } }
  }
  // a key that is multi-Region and need not be is no fault
  if (!binding.multiRegion || entry.multiRegion) return undefined
  return { reason: "IDENTITY_CHANGED", facts: { field: "kind", found: "single-Region", wanted: "multi-Region" } }
}

export const unfinished: Check = ({ snapshot: { entry, binding } }) => {
  if (entry === null || !binding.managed) return undefined
  const isUnfinished = entry.keyArn === null || entry.imports.length === 0
  return isUnfinished ? { reason: "UNFINISHED" } : undefined
}

export const keyGone: Check = (context) => {
  return isGone(context.snapshot.key) ? { reason: "KEY_GONE", facts: { key: keyWord(context) } } : undefined
}

export const keyClaimed: Check = (context) => {
  const { claimedBy } = context.snapshot
  return claimedBy === null ? undefined : { reason: "KEY_CLAIMED", facts: { key: keyWord(context), owner: claimedBy } }
}

export const keyMismatch: Check = (context) => {
  const key = seenKey(context)
  const { entry } = context.snapshot
  if (key === undefined || entry === null) return undefined
  const rows = [
    ["origin", key.description.origin, "EXTERNAL"],
    ["key spec", key.description.keySpec, entry.keySpec],
    ["key usage", key.description.keyUsage, entry.keyUsage],
  ] as const
  const differing = rows.find(([, actual, expected]) => actual !== expected)
  if (differing === undefined) return undefined
  const [field, actual, expected] = differing
  return { reason: "KEY_MISMATCH", facts: { key: key.keyArn, field, found: actual, wanted: expected } }
}

export const keyState: Check = (context) => {
  const key = seenKey(context)
  if (key === undefined) return undefined
  const { keyState: state, deletionDate } = key.description
  const reason = keyStateRow(state).blocks
  if (reason === null) return undefined
  const on = deletionDate === null ? "" : `, on ${day(deletionDate)}`
  return { reason, facts: { key: key.keyArn, state, on } }
}

/** The same of a replica; what can be imported elsewhere goes before. */
export const replicaStateUnknown: Check = ({ snapshot: { replicas } }) => {
  const unknown = replicas.find(isOfUnknownState)
  if (unknown?.seen !== "key") return undefined
  return { reason: "STATE_UNKNOWN", facts: { key: unknown.keyArn, state: unknown.description.keyState } }
}

/**
 * Material in KMS that no record here names. While an import or a rotation is open its ID is not known here yet, so
 * then nothing is said.
 */
export const foreignMaterial: Check = (context) => {
  const { entry, replicas, key } = context.snapshot
  const open = entry?.importing != null || stagedGeneration(context) !== undefined
  if (entry === null || open) return undefined
  const ours = new Set(entry.imports.map(({ keyMaterialId }) => keyMaterialId))
  // an endpoint that names no material leaves nothing to compare
  if (![...ours].some((id) => id !== null)) return undefined
  for (const view of [key, ...replicas]) {
    if (view.seen !== "key") continue
    const { currentKeyMaterialId } = view.description
    const ids = [...(view.rotations ?? []).map(({ keyMaterialId }: KeyRotation) => keyMaterialId), currentKeyMaterialId]
    const unknown = ids.find((id) => id !== null && !ours.has(id))
    if (unknown != null) return { reason: "FOREIGN_MATERIAL", facts: { key: view.keyArn, id: unknown } }
  }
  return undefined
}

export const proofFailed: Check = (context: Context) => {
  const { entry } = context.snapshot
  const failed = entry?.imports.find(({ proof }) => proof.result === "failed")
  if (failed === undefined) return undefined
  return { reason: "PROOF_FAILED", facts: { generation: failed.generation, key: keyWord(context) } }
}
