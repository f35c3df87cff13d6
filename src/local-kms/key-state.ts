import { documented, recorded } from "./refusal.js"
import type { Key, Region } from "./state.js"

export type KeyState = "Enabled" | "Disabled" | "PendingDeletion" | "PendingImport"

type Refusal = "disabled" | "pendingDeletion" | "pendingImport" | "notPendingDeletion"
type Row = Readonly<Record<KeyState, Refusal | "ok">>

const OK: Row = { Enabled: "ok", Disabled: "ok", PendingDeletion: "ok", PendingImport: "ok" }
const ALIVE: Row = { ...OK, PendingDeletion: "pendingDeletion" }
const WITH_MATERIAL: Row = { ...ALIVE, PendingImport: "pendingImport" }

/** What each kind of operation does in each key state (AWS KMS Developer Guide, "Key states of AWS KMS keys"). */
export const STATE_TABLE = {
  look: OK,
  deleteMaterial: OK,
  importMaterial: ALIVE,
  manage: ALIVE,
  toggle: WITH_MATERIAL,
  use: { ...WITH_MATERIAL, Disabled: "disabled" },
  cancelDeletion: {
    Enabled: "notPendingDeletion",
    Disabled: "notPendingDeletion",
    PendingDeletion: "ok",
    PendingImport: "notPendingDeletion",
  },
} as const satisfies Record<string, Row>

export type StateRow = keyof typeof STATE_TABLE

const REFUSALS = {
  disabled: documented.disabled,
  notPendingDeletion: documented.notPendingDeletion,
  pendingDeletion: recorded.pendingDeletion,
  pendingImport: recorded.pendingImport,
} as const satisfies Record<Refusal, (arn: string) => Error>

/** Whether every associated material is there; one that is missing makes the key unusable. */
export function hasAllMaterial(key: Key): boolean {
  const associated = key.materials.filter((material) => material.state !== "PENDING_ROTATION")
  return associated.length > 0 && associated.every((material) => material.secret !== undefined)
}

export function keyState(key: Key): KeyState {
  if (key.deletion !== undefined) return "PendingDeletion"
  if (!hasAllMaterial(key)) return "PendingImport"
  return key.enabled ? "Enabled" : "Disabled"
}

/** Throws what KMS answers when the state of the key forbids the operation. */
export function requireState(key: Key, row: StateRow): void {
  const verdict = STATE_TABLE[row][keyState(key)]
  if (verdict !== "ok") throw REFUSALS[verdict](key.arn)
}

/** Lets everything happen to a key that was due by `now`: rotation, then expiry. The result is false once it is gone. */
export function settleKey(key: Key, now: number): boolean {
  if (key.deletion !== undefined && key.deletion.at <= now) return false
  if (key.rotation !== undefined && key.rotation.endsAt <= now) completeRotation(key, key.rotation.endsAt)
  for (const material of key.materials) {
    const due = material.validTo !== undefined && material.validTo <= now && material.secret !== undefined
    // the expiry of pending material is not enforced before it is rotated in
    if (!due || material.state === "PENDING_ROTATION") continue
    material.secret = undefined
    material.expired = true
  }
  return true
}

function completeRotation(key: Key, at: number): void {
  key.rotation = undefined
  // whatever is pending at the end is rotated in, even if it replaced what was pending at the start
  const pending = key.materials.find((material) => material.state === "PENDING_ROTATION")
  if (pending === undefined) return
  for (const material of key.materials) material.state = "NON_CURRENT"
  pending.state = "CURRENT"
  pending.rotatedAt = at
  key.rotations += 1
}

/** The same for a whole Region; a deleted key takes its aliases along. */
export function settleRegion(region: Region, now: number): void {
  for (const key of region.keys.values()) {
    if (!settleKey(key, now)) forgetKey(region, key)
  }
}

export function forgetKey(region: Region, key: Key): void {
  region.keys.delete(key.id)
  for (const alias of region.aliases.values()) {
    if (alias.keyId === key.id) region.aliases.delete(alias.name)
  }
}
