import type { Binding } from "../../core/manifest/binding.js"
import { KeyferryError } from "../../core/base/error.js"
import type { FormerEntry, InventoryEntry } from "../../core/records/inventory.js"
import { bindingOf } from "../../core/manifest/manifest.js"
import type { Snapshot } from "../../core/plan/snapshot.js"
import type { Fleet } from "./fleet.js"

/** One KMS key that is looked at: that of a binding, or one whose place another took. */
export interface Row {
  readonly binding: Binding
  readonly role: Snapshot["role"]
  readonly entry: InventoryEntry | null
}

/** What was chosen by hand; none for all. */
export interface Chosen {
  readonly names: readonly string[]
}

/**
 * A row for each KMS key: of every binding, in the manifest's order, each followed by the keys that it replaced, then of
 * what no binding names.
 *
 * @throws ERR_KEY_NOT_FOUND for a name that stands for nothing
 */
export function rowsOf(
  fleet: Pick<Fleet, "bindings" | "unmanaged" | "entries">,
  { names }: Chosen = { names: [] },
): readonly Row[] {
  const entries = new Map(fleet.entries.map((entry) => [idOf(entry), entry]))
  const bindings = [...fleet.bindings, ...fleet.unmanaged.map((entry) => bindingOf(entry, false))]
  const wanted = new Set(names)
  const unknown = names.find((name) => !bindings.some((binding) => binding.name === name))
  if (unknown !== undefined) {
    throw new KeyferryError("ERR_KEY_NOT_FOUND", `nothing is known of a key ${unknown}`, {
      key: unknown,
      hint: "`keyferry status` lists the keys of the configuration and of the state directory",
    })
  }
  return bindings
    .filter(({ name }) => wanted.size === 0 || wanted.has(name))
    .flatMap((binding) => rowsOfBinding(binding, entries.get(idOf(binding)) ?? null))
}

const idOf = ({ name, target }: { readonly name: string; readonly target: string }): string => `${target} ${name}`

function rowsOfBinding(binding: Binding, entry: InventoryEntry | null): readonly Row[] {
  const kept = (entry?.former ?? []).filter(({ retiredAt }) => retiredAt === null)
  return [{ binding, role: "current", entry }, ...kept.map((former) => formerRow(binding, former))]
}

/** A replaced key is kept alive on the terms of its name, as what it was made. */
function formerRow(binding: Binding, former: FormerEntry): Row {
  const { keySpec, keyUsage, custody, multiRegion, replicas } = former
  const kept = { ...binding, keySpec, keyUsage, custody, multiRegion, alias: null, rotateEvery: null }
  return {
    binding: { ...kept, replicas: replicas.map(({ region }) => region) },
    role: "former",
    entry: former,
  }
}
