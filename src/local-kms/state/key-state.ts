import { documented, recorded } from "../protocol/refusal.js"
import type { Key, KeySet, Material } from "./state.js"

export type KeyState =
  "Creating" | "Enabled" | "Disabled" | "PendingDeletion" | "PendingImport" | "PendingReplicaDeletion" | "Updating"

const REFUSALS = {
  creating: documented.creating,
  disabled: documented.disabled,
  notPendingDeletion: documented.notPendingDeletion,
  pendingDeletion: recorded.pendingDeletion,
  pendingImport: recorded.pendingImport,
  pendingReplicaDeletion: documented.pendingReplicaDeletion,
  updating: documented.updating,
} as const satisfies Record<string, (arn: string) => Error>

type Row = Readonly<Record<KeyState, keyof typeof REFUSALS | "ok">>

const OK: Row = {
  Creating: "ok",
  Enabled: "ok",
  Disabled: "ok",
  PendingDeletion: "ok",
  PendingImport: "ok",
  PendingReplicaDeletion: "ok",
  Updating: "ok",
}
const ALIVE: Row = { ...OK, PendingDeletion: "pendingDeletion", PendingReplicaDeletion: "pendingReplicaDeletion" }
const CREATED: Row = { ...ALIVE, Creating: "creating" }
const WITH_MATERIAL: Row = { ...CREATED, PendingImport: "pendingImport" }
const USABLE: Row = { ...WITH_MATERIAL, Disabled: "disabled" }
const NOT_PENDING_DELETION: Row = {
  Creating: "notPendingDeletion",
  Enabled: "notPendingDeletion",
  Disabled: "notPendingDeletion",
  PendingDeletion: "ok",
  PendingImport: "notPendingDeletion",
  PendingReplicaDeletion: "ok",
  Updating: "notPendingDeletion",
}

/** What each kind of operation does in each key state (AWS KMS Developer Guide, "Key states of AWS KMS keys"). */
export const STATE_TABLE = {
  look: OK,
  deleteMaterial: { ...OK, Creating: "creating", Updating: "updating" },
  getParameters: { ...CREATED, Updating: "updating" },
  importMaterial: CREATED,
  manage: ALIVE,
  grant: USABLE,
  publicKey: WITH_MATERIAL,
  scheduleDeletion: { ...ALIVE, Updating: "updating" },
  toggle: { ...WITH_MATERIAL, Updating: "updating" },
  use: USABLE,
  changeSet: { ...USABLE, Updating: "updating" },
  cancelDeletion: NOT_PENDING_DELETION,
} as const satisfies Record<string, Row>

export type StateRow = keyof typeof STATE_TABLE

/** Whether every associated material is there; one that is missing makes the key unusable. */
function hasAllMaterial({ set, holdings }: Key): boolean {
  const associated = set.materials.filter((material) => material.state !== "PENDING")
  return associated.length > 0 && associated.every(({ id }) => holdings.get(id)?.secret !== undefined)
}

/** The state of a key that was settled. */
export function keyState(key: Key): KeyState {
  if (key.deletion !== undefined) return key.deletion.at === undefined ? "PendingReplicaDeletion" : "PendingDeletion"
  if (key.creatingUntil !== undefined) return "Creating"
  if (!hasAllMaterial(key)) return "PendingImport"
  if (key.updatingUntil !== undefined) return "Updating"
  return key.enabled ? "Enabled" : "Disabled"
}

/** Throws what KMS answers when the state of the key forbids the operation. */
export function requireState(key: Key, row: StateRow): void {
  const verdict = STATE_TABLE[row][keyState(key)]
  if (verdict !== "ok") throw REFUSALS[verdict](key.arn)
}

/** `KeyMaterialState` of a material. New material waits until every related key has it. */
export function materialState(set: KeySet, { id, state }: Material): string {
  if (state !== "PENDING") return state
  const everywhere = [...set.keys.values()].every(({ holdings }) => holdings.get(id)?.secret !== undefined)
  return everywhere ? "PENDING_ROTATION" : "PENDING_MULTI_REGION_IMPORT_AND_ROTATION"
}
