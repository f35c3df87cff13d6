import { parseDuration } from "../base/expiry.js"
import { generationsOf, importOf, type ImportRecord, type InventoryEntry } from "../records/inventory.js"
import { KEY_SPECS, type KeySpec } from "../key/key-spec.js"
import { phaseOf } from "../key/key-state.js"
import type { KeyRotation } from "../key/rotation.js"
import { renewalAt } from "./due.js"
import type { SeenKey, Snapshot } from "./snapshot.js"

/** What one KMS key holds of one generation. */
export interface Material {
  readonly region: string
  readonly keyArn: string
  readonly generation: number
  readonly keyMaterialId: string | null
  /** `never` imported there; `staged` waits for its rotation; `lost` was there and expired or was deleted. */
  readonly state: "imported" | "staged" | "lost" | "never"
  /** As KMS has it, or had it; null for never. */
  readonly validTo: Date | null
  readonly importedAt: Date
  /** When an earlier run saw it missing before its expiry, or deleted it; null where none did. RFC 3339 UTC. */
  readonly deletedAt: string | null
  /** Null where it does not expire or is not imported. */
  readonly renewAt: Date | null
}

/** Whether KMS names the material, and takes pins to it. */
export function isSymmetric(keySpec: KeySpec): boolean {
  return KEY_SPECS[keySpec].proof === "key-material-id"
}

/** Life that is assumed where nothing tells it: the shortest default there is. */
const ASSUMED_SECONDS = 90 * 86_400

/** Every generation in every Region whose KMS key was seen. */
export function materialsOf(snapshot: Snapshot): readonly Material[] {
  const { entry, key, replicas } = snapshot
  if (entry === null) return []
  return [key, ...replicas].flatMap((view) =>
    view.seen === "key"
      ? generationsOf(entry).map(({ generation }) => materialOf(snapshot, entry, view, generation))
      : [],
  )
}

function materialOf(snapshot: Snapshot, entry: InventoryEntry, view: SeenKey, generation: number): Material {
  const { region, keyArn } = view
  const record = importOf(entry, generation, region)
  const id =
    record?.keyMaterialId ?? entry.imports.findLast((imported) => imported.generation === generation)?.keyMaterialId
  const keyMaterialId = id ?? null
  const { state, validTo } = seenState(snapshot, view, record, keyMaterialId)
  const importedAt = importTime(snapshot, record, validTo)
  const renewAt =
    validTo === null || state !== "imported"
      ? null
      : renewalAt({ importedAt, validTo }, snapshot.binding, snapshot.jitter)
  const deletedAt = record?.deletedAt ?? null
  return { region, keyArn, generation, keyMaterialId, state, validTo, importedAt, deletedAt, renewAt }
}

function seenState(
  { now }: Snapshot,
  { description, rotations }: SeenKey,
  record: ImportRecord | undefined,
  keyMaterialId: string | null,
): Pick<Material, "state" | "validTo"> {
  const keyRotation = rotations?.find((rotation) => rotation.keyMaterialId === keyMaterialId)
  const recorded = record?.validTo == null ? null : new Date(record.validTo)
  const pending = phaseOf(description) === "empty"
  if (keyRotation === undefined) {
    if (record === undefined) return { state: "never", validTo: null }
    // one that waited for its rotation and was deleted is not listed any more
    const lost = pending || (rotations !== null && keyMaterialId !== null)
    const validTo = lost || rotations !== null ? recorded : description.validTo
    return { state: lost ? "lost" : "imported", validTo }
  }
  const validTo = keyRotation.validTo ?? (keyRotation.importState === "IMPORTED" ? null : recorded)
  if (isStaged(keyRotation)) return { state: "staged", validTo }
  // after an expiry ListKeyRotations still says IMPORTED for a while, with a time that is past
  const expired = pending && keyRotation.validTo !== null && keyRotation.validTo <= now
  return { state: keyRotation.importState !== "IMPORTED" || expired ? "lost" : "imported", validTo }
}

export function isStaged({ keyMaterialState }: KeyRotation): boolean {
  return keyMaterialState?.startsWith("PENDING") === true
}

/** When it was imported: as recorded, unless KMS has another expiry and so somebody else imported it. */
function importTime({ binding, now }: Snapshot, record: ImportRecord | undefined, validTo: Date | null): Date {
  const isSameExpiry = record !== undefined && sameSecond(record.validTo, validTo)
  if (isSameExpiry) return new Date(record.importedAt)
  if (validTo === null) return now
  return new Date(validTo.getTime() - (parseDuration(binding.expiresIn) ?? ASSUMED_SECONDS) * 1000)
}

function sameSecond(recorded: string | null, validTo: Date | null): boolean {
  if (recorded === null || validTo === null) return recorded === null && validTo === null
  return Math.floor(Date.parse(recorded) / 1000) === Math.floor(validTo.getTime() / 1000)
}
