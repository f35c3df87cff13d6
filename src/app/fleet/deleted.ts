import { rfc3339 } from "../../core/base/expiry.js"
import { wasDeleted } from "../../core/plan/check-import.js"
import { materialsOf } from "../../core/plan/material.js"
import type { Snapshot } from "../../core/plan/snapshot.js"
import { type ImportRecord, type InventoryEntry, withDeleted } from "../../core/records/inventory.js"
import type { Inventory } from "../../core/ports/inventory.js"
import type { Fleet } from "./fleet.js"
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

/**
 * Writes down what was seen to be deleted before its expiry, by a run that changes nothing else: it must not pass for
 * expired later. Where another run has the state, or it cannot be written, that is left to the next.
 */
export async function rememberDeletions(
  { inventory, whenAlone }: Pick<Fleet, "inventory" | "whenAlone">,
  snapshots: readonly Snapshot[],
): Promise<void> {
  const news = snapshots.flatMap((snapshot) => {
    const entry = deletionsSeen(snapshot)
    return entry === null ? [] : [{ snapshot, entry }]
  })
  if (news.length === 0) return
  await whenAlone(async () => {
    for (const { snapshot, entry } of news) {
      const place = inventoryOf(inventory, snapshot, entry)
      const recorded = await place.get(entry.name, entry.target)
      if (recorded === undefined) continue
      const gone = entry.imports.filter(({ deletedAt }) => deletedAt !== undefined)
      // what was imported since is not what was seen
      const isGone = ({ region, generation, importedAt }: ImportRecord): boolean =>
        gone.some((seen) => seen.region === region && seen.generation === generation && seen.importedAt === importedAt)
      await place.put(withDeleted(recorded, rfc3339(snapshot.now), isGone))
    }
  })
}

/** Where an entry is written: a replaced key's lies in that of the key that took its place. */
export function inventoryOf(
  inventory: Inventory,
  { binding, role }: Pick<Snapshot, "binding" | "role">,
  entry: InventoryEntry,
): Inventory {
  return role === "former" ? formerInventory(inventory, binding, entry.requestId) : inventory
}
