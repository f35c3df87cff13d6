import { KeyferryError } from "../../core/base/error.js"
import type { InventoryEntry } from "../../core/records/inventory.js"
import type { Deps } from "../deps.js"
import { refuseUnknownKey } from "./unknown-keys.js"

/**
 * The inventory's entry of a name; with several targets the one that is named. KMS is asked before a name is said to be
 * none: the state may have forgotten it (invariant I12).
 *
 * @throws ERR_KEY_NOT_FOUND, ERR_KEY_AMBIGUOUS; ERR_STATE_INCOMPLETE where KMS has a key of the name, and what it throws
 */
export async function findKey(
  deps: Pick<Deps, "inventory" | "kms" | "progress">,
  { owner, name, target }: { readonly owner: string; readonly name: string; readonly target: string | null },
): Promise<InventoryEntry> {
  const named = target === null ? undefined : await deps.inventory.get(name, target)
  if (named?.owner === owner) return named
  const entries = (await deps.inventory.list(name)).filter((listed) => listed.owner === owner)
  const [entry, second] = entries.filter((candidate) => target === null || candidate.target === target)
  if (entry !== undefined && second === undefined) return entry
  const targets = entries.map((listed) => listed.target).join(", ")
  if (second !== undefined) {
    throw new KeyferryError("ERR_KEY_AMBIGUOUS", `${name} is in several targets`, {
      key: name,
      hint: `name one with --target: ${targets}`,
    })
  }
  await refuseUnknownKey(deps, { owner, name })
  const place = target === null || targets === "" ? "this state directory" : `the target ${target}`
  throw new KeyferryError("ERR_KEY_NOT_FOUND", `${place} has no key named ${name}`, {
    key: name,
    hint:
      targets === ""
        ? "`keyferry status` shows the keys there are; --state-dir and --config say where to look"
        : `it is in ${targets}`,
  })
}
