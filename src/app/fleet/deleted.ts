import { rfc3339 } from "../../core/base/expiry.js"
import { wasDeleted } from "../../core/plan/check-import.js"
import { materialsOf } from "../../core/plan/material.js"
import type { Snapshot } from "../../core/plan/snapshot.js"
import { type InventoryEntry, withDeleted } from "../../core/records/inventory.js"
import type { Inventory } from "../../core/ports/inventory.js"
import { formerInventory } from "../replace/nested-inventory.js"

/** The entry with what was seen to be deleted before its expiry; null where nothing is new of it. */
export function deletionsSeen({ entry, now, ...seen }: Snapshot): InventoryEntry | null {
  if (entry === null) return null
  const gone = materialsOf({ entry, now, ...seen }).filter(
    (material) => material.state === "lost" && material.deletedAt === null && wasDeleted(material, now),
  )
  if (gone.length === 0) return null
  return withDeleted(entry, rfc3339(now), ({ region, generation }) =>
    gone.some((material) => material.region === region && material.generation === generation),
  )
}

/** Where an entry is written: a replaced key's lies in that of the key that took its place. */
export function inventoryOf(
  inventory: Inventory,
  { binding, role }: Pick<Snapshot, "binding" | "role">,
  entry: InventoryEntry,
): Inventory {
  return role === "former" ? formerInventory(inventory, binding, entry.requestId) : inventory
}
