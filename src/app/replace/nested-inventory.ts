import { KeyferryError } from "../../core/base/error.js"
import type { FormerEntry, InventoryEntry } from "../../core/records/inventory.js"
import type { Inventory } from "../../core/ports/inventory.js"

type Parent = Pick<InventoryEntry, "name" | "target">

/**
 * The inventory as a use case is to see it that works on the KMS key which `replace` makes: under the name and target
 * of its parent it finds and keeps the entry inside the parent's. Other names and targets are as they are.
 */
export function replacementInventory(inventory: Inventory, parent: Parent): Inventory {
  return nested(inventory, parent, {
    find: ({ replacement }) => replacement ?? undefined,
    keep: (outer, entry) => ({ ...outer, replacement: entry === null ? null : plain(entry) }),
  })
}

/** The same for a KMS key that was replaced, by its request ID; it is never removed, since its end is to be seen. */
export function formerInventory(inventory: Inventory, parent: Parent, requestId: string): Inventory {
  return nested(inventory, parent, {
    find: ({ former }) => former.find((formerEntry) => formerEntry.requestId === requestId),
    keep: (outer, entry) => ({
      ...outer,
      former: outer.former.map((formerEntry) =>
        formerEntry.requestId === requestId ? changed(formerEntry, entry) : formerEntry,
      ),
    }),
  })
}

interface Place {
  readonly find: (outer: InventoryEntry) => InventoryEntry | undefined
  readonly keep: (outer: InventoryEntry, entry: InventoryEntry | null) => InventoryEntry
}

function nested(inventory: Inventory, { name, target }: Parent, { find, keep }: Place): Inventory {
  const isParent = (parent: Parent): boolean => parent.name === name && parent.target === target
  const change = async (entry: InventoryEntry | null): Promise<void> => {
    // read anew: what else the parent holds may have changed meanwhile
    const outer = await inventory.get(name, target)
    if (outer === undefined) throw new KeyferryError("ERR_BUG", `the entry of ${name} in ${target} is gone`)
    await inventory.put(keep(outer, entry))
  }
  return {
    async get(...place) {
      const outer = await inventory.get(...place)
      return outer !== undefined && isParent(outer) ? find(outer) : outer
    },
    list: (keyName) => inventory.list(keyName),
    firstMade: (keyTarget) => inventory.firstMade(keyTarget),
    all: () => inventory.all(),
    put: (entry) => (isParent(entry) ? change(entry) : inventory.put(entry)),
    remove: (...place) => (place[0] === name && place[1] === target ? change(null) : inventory.remove(...place)),
  }
}

function changed(before: FormerEntry, entry: InventoryEntry | null): FormerEntry {
  if (entry === null) throw new KeyferryError("ERR_BUG", `a replaced key of ${before.name} is not forgotten`)
  const { replacedAt, retiredAt } = before
  return { replacedAt, retiredAt, ...plain(entry) }
}

/** An entry inside another holds none itself. */
export function plain<E extends InventoryEntry>(entry: E): E {
  return { ...entry, replacement: null, former: [] }
}
