import { KeyferryError } from "../core/error.js"
import type { InventoryEntry } from "../core/inventory.js"
import type { Deps } from "./deps.js"

/**
 * The entry of a key that is to be there.
 *
 * @throws ERR_KEY_NOT_FOUND
 */
export async function knownKey(deps: Pick<Deps, "inventory">, name: string, target: string): Promise<InventoryEntry> {
  const entry = await deps.inventory.get(name, target)
  if (entry !== undefined) return entry
  const elsewhere = (await deps.inventory.list(name)).map((one) => one.target)
  throw new KeyferryError("ERR_KEY_NOT_FOUND", `this state directory knows no key ${name} in ${target}`, {
    key: name,
    hint:
      elsewhere.length > 0
        ? `it knows one in ${elsewhere.join(", ")}: give that --region`
        : "`keyferry key list` shows the names that are there; check --state-dir too",
  })
}
