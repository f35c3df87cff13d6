import type { Manifest } from "../core/manifest/manifest.js"
import type { Inventory } from "../core/ports/inventory.js"
import type { InventoryEntry } from "../core/records/inventory.js"

/**
 * The inventory as the configuration has it now: whether a KMS key that others made bears keyferry's tags is said by
 * `tagKey`, which may have changed since the entry was written.
 */
export function withTagKeys(inventory: Inventory, manifest: Manifest | null): Inventory {
  const theirs = Object.entries(manifest?.keys ?? {}).filter(([, { keyArn }]) => keyArn !== null)
  if (theirs.length === 0) return inventory
  const tagKeyOf = new Map(theirs.map(([name, { keyArn, tagKey }]) => [JSON.stringify([name, keyArn]), tagKey]))
  const told = (entry: InventoryEntry): InventoryEntry => {
    const tagKey = tagKeyOf.get(JSON.stringify([entry.name, entry.keyArn]))
    if (tagKey === undefined || tagKey === (entry.untagged !== true)) return entry
    const { untagged, ...tagged } = entry
    return untagged === true ? tagged : { ...tagged, untagged: true }
  }
  const toldOf = (entry: InventoryEntry | undefined) => (entry === undefined ? undefined : told(entry))
  return {
    get: async (name, target) => toldOf(await inventory.get(name, target)),
    list: async (name) => (await inventory.list(name)).map(told),
    firstMade: async (target) => toldOf(await inventory.firstMade(target)),
    async all() {
      const { entries, damaged } = await inventory.all()
      return { entries: entries.map(told), damaged }
    },
    put: (entry) => inventory.put(entry),
    remove: (name, target) => inventory.remove(name, target),
  }
}
