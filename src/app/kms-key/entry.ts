import { KeyferryError } from "../../core/base/error.js"
import type { InventoryEntry } from "../../core/records/inventory.js"
import type { Deps } from "../deps.js"

/**
 * The inventory's entry of a name; with several targets the one that is named.
 *
 * @throws ERR_KEY_NOT_FOUND, ERR_KEY_AMBIGUOUS
 */
export async function findKey(
  deps: Pick<Deps, "inventory">,
  { owner, name, target }: { readonly owner: string; readonly name: string; readonly target: string | null },
): Promise<InventoryEntry> {
  const entries = (await deps.inventory.list(name)).filter((entry) => entry.owner === owner)
  const [first, second] = entries.filter((entry) => target === null || entry.target === target)
  if (first !== undefined && second === undefined) return first
  const targets = entries.map((entry) => entry.target).join(", ")
  if (second !== undefined) {
    throw new KeyferryError("ERR_KEY_AMBIGUOUS", `${name} is in several targets`, {
      key: name,
      hint: `name one with --target: ${targets}`,
    })
  }
  const here = target === null || targets === "" ? "this state directory" : `the target ${target}`
  throw new KeyferryError("ERR_KEY_NOT_FOUND", `${here} has no key named ${name}`, {
    key: name,
    hint:
      targets === ""
        ? "`keyferry status` shows the keys there are; --state-dir and --config say where to look"
        : `it is in ${targets}`,
  })
}

/** An entry whose KMS key is known. */
export type MadeEntry = InventoryEntry & { readonly keyArn: string }

/** @throws ERR_KEY_NOT_FOUND where no KMS key was made yet */
export function madeEntry(entry: InventoryEntry): MadeEntry {
  if (entry.keyArn !== null) return { ...entry, keyArn: entry.keyArn }
  throw new KeyferryError("ERR_KEY_NOT_FOUND", `no KMS key of ${entry.name} is known yet`, {
    key: entry.name,
    hint: "run the same provision again, which goes on where it stopped",
  })
}
