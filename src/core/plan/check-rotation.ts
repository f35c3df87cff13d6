import { type Check, type Context, day, replicasWanted, seenKey, stagedGeneration, viewsOf } from "./context.js"
import { isSymmetric } from "./material.js"

/** Checks of rotation and replicas. */

/** On-demand rotations that KMS permits of one key (AWS KMS Developer Guide, "Quotas": 25, not adjustable). */
export const MOST_ROTATIONS = 25
export const FEW_ROTATIONS_FROM = 20

/** Rotations of this KMS key so far: what KMS counts, or the generations that are known where it was not asked. */
export function rotationsUsed(context: Context): number {
  const counted = (seenKey(context)?.rotations ?? []).filter(({ rotationDate }) => rotationDate !== null).length
  return Math.max(counted, context.snapshot.entry?.source.generation ?? 0)
}

export const rotationStaged: Check = (context) => {
  const generation = stagedGeneration(context)
  return generation === undefined ? undefined : { reason: "ROTATION_STAGED", facts: { generation } }
}

/** What a `rotate` that did not come to its end has not begun of this key yet. */
export const rotationAsked: Check = ({ snapshot: { unfinished, role } }) =>
  unfinished.rotation === null || role !== "current"
    ? undefined
    : { reason: "ROTATION_ASKED", facts: { date: unfinished.rotation.askedAt } }

export const replacementUnfinished: Check = ({ snapshot: { entry, unfinished, role } }) => {
  if (role !== "current") return undefined
  if (entry?.replacement != null) return { reason: "REPLACEMENT_STAGED" }
  if (unfinished.replacement === null) return undefined
  return { reason: "REPLACEMENT_ASKED", facts: { date: unfinished.replacement.askedAt } }
}

/** When the material in use is to be followed by another; null for never. */
export function rotationAt(context: Context): Date | null {
  const { binding, entry, role } = context.snapshot
  const key = seenKey(context)
  if (binding.rotateEvery === null || !binding.managed || role !== "current") return null
  if (entry === null || key === undefined || !isSymmetric(binding.keySpec)) return null
  return new Date(inUseSince(context).getTime() + binding.rotateEvery * 1000)
}

function inUseSince(context: Context): Date {
  const key = seenKey(context)
  const { entry, now } = context.snapshot
  const current = key?.rotations?.find(
    (keyRotation) => keyRotation.keyMaterialId === key.description.currentKeyMaterialId,
  )
  if (current?.rotationDate != null) return current.rotationDate
  const intendedAt = entry === null ? now : new Date(entry.intendedAt)
  const newest = entry?.imports.findLast(({ generation }) => generation === entry.source.generation)
  const imported = newest === undefined ? intendedAt : new Date(newest.importedAt)
  // the first material is as old as the KMS key; of a later one without a date the newest import is all that is known
  return entry?.source.generation === 0 ? (key?.description.creationDate ?? intendedAt) : imported
}

export const rotationDue: Check = (context) => {
  const dueAt = rotationAt(context)
  if (dueAt === null || dueAt > context.snapshot.now) return undefined
  if (rotationsUsed(context) >= MOST_ROTATIONS) return { reason: "ROTATIONS_EXHAUSTED" }
  return { reason: "ROTATION_DUE", facts: { date: day(inUseSince(context)) } }
}

export const replicaMissing: Check = (context) => {
  const { binding, entry, role } = context.snapshot
  if (entry === null || role !== "current" || !binding.managed) return undefined
  const region = replicasWanted(context.snapshot).find(
    (replicaRegion) => !entry.replicas.some((replica) => replica.region === replicaRegion && replica.keyArn !== null),
  )
  if (region === undefined) return undefined
  return { reason: binding.keyArn === null ? "REPLICA_MISSING" : "REPLICA_EMPTY", facts: { region } }
}

export const replicaUnseen: Check = (context) => {
  const failed = viewsOf(context).find((view) => view.seen === "failed")
  return failed?.seen !== "failed"
    ? undefined
    : { reason: "REPLICA_UNSEEN", facts: { region: failed.region, error: failed.error } }
}
