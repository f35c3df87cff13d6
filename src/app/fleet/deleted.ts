import { rfc3339 } from "../../core/base/expiry.js"
import { wasDeleted } from "../../core/plan/check-import.js"
import { materialsOf } from "../../core/plan/material.js"
import { heldOutcome } from "../../core/plan/row.js"
import type { Snapshot } from "../../core/plan/snapshot.js"
import { type ImportRecord, type InventoryEntry, withDeleted } from "../../core/records/inventory.js"
import type { HeldBinding, HeldWork } from "../../core/ports/held-work.js"
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
  { inventory, whenAlone, heldWork }: Pick<Fleet, "inventory" | "whenAlone" | "heldWork">,
  snapshots: readonly Snapshot[],
): Promise<void> {
  const news = snapshots.flatMap((snapshot) => {
    const entry = deletionsSeen(snapshot)
    return entry === null ? [] : [{ snapshot, entry }]
  })
  if (news.length === 0) return
  await whenAlone(async () => {
    for (const { snapshot, entry } of news) {
      const remember = async (): Promise<void> => {
        const place = inventoryOf(inventory, snapshot, entry)
        const recorded = await place.get(entry.name, entry.target)
        if (recorded === undefined) return
        const gone = entry.imports.filter(({ deletedAt }) => deletedAt !== undefined)
        // what was imported since is not what was seen
        const isGone = ({ region, generation, importedAt }: ImportRecord): boolean =>
          gone.some(
            (seen) => seen.region === region && seen.generation === generation && seen.importedAt === importedAt,
          )
        await place.put(withDeleted(recorded, rfc3339(snapshot.now), isGone))
      }
      await (heldWork === null ? remember() : whereFree(heldWork, snapshot.binding, remember))
    }
  })
}

/** Does work on a key that no other worker has at this moment; that one sees for itself. */
async function whereFree(heldWork: HeldWork, key: HeldBinding, work: () => Promise<void>): Promise<void> {
  try {
    await heldWork.during([key], work)
  } catch (error) {
    if (heldOutcome(error) === null) throw error
  }
}

/** Where an entry is written: a replaced key's lies in that of the key that took its place. */
export function inventoryOf(
  inventory: Inventory,
  { binding, role }: Pick<Snapshot, "binding" | "role">,
  entry: InventoryEntry,
): Inventory {
  return role === "former" ? formerInventory(inventory, binding, entry.requestId) : inventory
}
