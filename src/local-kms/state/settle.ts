import { isPrimary, type Key, type KeySet, type Region } from "./state.js"

const DAY = 24 * 3600 * 1000

/**
 * Lets everything happen to a key that was due by `now`: the deletion of related keys, its own, rotation, then expiry.
 * The result is false once it is gone.
 */
export function settleKey(key: Key, now: number): boolean {
  settleReplicas(key.set, now)
  if (isDeleted(key, now)) {
    forgetKey(key)
    return false
  }
  const { rotation, materials } = key.set
  if (rotation !== undefined && rotation.endsAt <= now) completeRotation(key.set, rotation.endsAt)
  if (key.creatingUntil !== undefined && key.creatingUntil <= now) key.creatingUntil = undefined
  if (key.updatingUntil !== undefined && key.updatingUntil <= now) key.updatingUntil = undefined
  for (const { id, state } of materials) {
    const holding = key.holdings.get(id)
    // the expiry of pending material is not enforced before it is rotated in
    if (holding?.secret === undefined || holding.validTo === undefined || state === "PENDING") continue
    if (holding.validTo > now) continue
    holding.secret = undefined
    holding.expired = true
  }
  return true
}

/** Deletes the keys of a Region whose time has come. */
export function settleRegion(region: Region, now: number): void {
  for (const key of region.deletions) settleKey(key, now)
}

const isDeleted = ({ deletion }: Key, now: number): boolean => deletion?.at !== undefined && deletion.at <= now

/** Deletes replicas. The waiting period of a primary key that is to be deleted begins when its last replica is gone. */
function settleReplicas(set: KeySet, now: number): void {
  if (set.keys.size === 1) return
  const gone = [...set.keys.values()].filter((key) => !isPrimary(key) && isDeleted(key, now))
  if (gone.length === 0) return
  for (const key of gone) forgetKey(key)
  const primary = set.keys.get(set.primaryRegion)
  if (set.keys.size > 1 || primary?.deletion === undefined) return
  const { windowDays } = primary.deletion
  const begin = Math.max(...gone.map(({ deletion }) => deletion?.at ?? now))
  primary.deletion = { at: begin + windowDays * DAY, windowDays }
}

function completeRotation(set: KeySet, endsAt: number): void {
  set.rotation = undefined
  // whatever is pending at the end is rotated in, even if it replaced what was pending at the start
  const pending = set.materials.find((material) => material.state === "PENDING")
  if (pending === undefined) return
  for (const material of set.materials) material.state = "NON_CURRENT"
  pending.state = "CURRENT"
  pending.rotatedAt = endsAt
  set.rotations += 1
}

/** A deleted key takes its aliases along. */
function forgetKey(key: Key): void {
  const { id, region, set, aliases } = key
  if (!set.keys.delete(region.name)) return
  region.keys.delete(id)
  region.deletions.delete(key)
  for (const name of aliases) region.aliases.delete(name)
}

/** Schedules the deletion of a key; without a date while it is a primary key that has replicas. */
export function scheduleDeletion(key: Key, windowDays: number, now: number): void {
  const hasReplicas = isPrimary(key) && key.set.keys.size > 1
  key.deletion = { at: hasReplicas ? undefined : now + windowDays * DAY, windowDays }
  key.enabled = false
  key.region.deletions.add(key)
}

export function cancelDeletion(key: Key): void {
  key.deletion = undefined
  key.region.deletions.delete(key)
}
