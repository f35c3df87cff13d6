import { bindingsOfName } from "../app/fleet/queues.js"
import { KeyferryError } from "../core/base/error.js"
import type { Manifest } from "../core/manifest/manifest.js"
import type { HeldBinding } from "../core/ports/held-work.js"
import type { Inventory } from "../core/ports/inventory.js"

interface Targets {
  readonly manifest: Manifest | null
  readonly inventory: Pick<Inventory, "list">
  /** The one that flags or the configuration name. */
  readonly target: () => Promise<string>
}

/** What is held by a command on keys by name: in every target that they have, or are about to have. */
export async function bindingsOfNames(
  names: readonly string[],
  { manifest, inventory, target }: Targets,
): Promise<readonly HeldBinding[]> {
  const targets = [...Object.keys(manifest?.targets ?? {}), ...(await targetIfGiven(target))]
  const bindings: HeldBinding[] = []
  for (const name of names) {
    const recorded = (await inventory.list(name)).map((entry) => entry.target)
    bindings.push(...bindingsOfName(name, [...targets, ...recorded]))
  }
  return bindings
}

/** None where neither flags nor configuration name one, as where no KMS is asked. */
async function targetIfGiven(target: () => Promise<string>): Promise<readonly string[]> {
  try {
    return [await target()]
  } catch (error) {
    if (error instanceof KeyferryError) return []
    throw error
  }
}
