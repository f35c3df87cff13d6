import { KeyferryError } from "../../core/base/error.js"
import type { FormerEntry } from "../../core/records/inventory.js"
import { bindingOf } from "../../core/manifest/manifest.js"
import type { Fleet } from "../fleet/fleet.js"
import { formerInventory } from "../replace/nested-inventory.js"
import type { VerifyDeps } from "./looked.js"
import type { VerifyTask } from "./verify.js"

/**
 * Every KMS key of the names, or all: each followed by those whose place it took, until they are retired. Tokens and
 * targets are opened with the first key that needs them.
 *
 * @throws ERR_KEY_NOT_FOUND for a name that stands for nothing
 */
export function tasksOf(fleet: Fleet, names: readonly string[]): readonly VerifyTask[] {
  const entries = new Map(fleet.entries.map((entry) => [idOf(entry), entry]))
  const bindings = [...fleet.bindings, ...fleet.unmanaged.map((entry) => bindingOf(entry, false))]
  const found = bindings.flatMap((binding) => {
    const entry = entries.get(idOf(binding))
    return entry === undefined ? [] : [{ entry, binding }]
  })
  const unknown = names.find((name) => !found.some(({ entry }) => entry.name === name))
  if (unknown !== undefined) {
    throw new KeyferryError("ERR_KEY_NOT_FOUND", `this state directory has no key named ${unknown}`, {
      key: unknown,
      hint: "`keyferry status` shows the keys there are; --state-dir and --config say where to look",
    })
  }
  return found
    .filter(({ entry }) => names.length === 0 || names.includes(entry.name))
    .flatMap(({ entry, binding: { token, target } }): VerifyTask[] => {
      const open = async (): Promise<VerifyDeps> => {
        const { inventory, vault, custodyKeys, custodyLog, clock, progress, log, policy, sleep } = fleet
        const common = { inventory, vault, custodyKeys, custodyLog, clock, progress, log, policy, sleep }
        return { ...common, kmsIn: (region) => fleet.kmsOf(target, region), token: await fleet.tokenOf(token) }
      }
      const former = entry.former.filter(({ retiredAt }) => retiredAt === null)
      return [{ entry, role: "current", open }, ...former.map((one) => formerTask(one, open))]
    })
}

/** An import into a replaced KMS key, as `--full` makes one, is kept inside the entry of its name. */
function formerTask(former: FormerEntry, open: VerifyTask["open"]): VerifyTask {
  return {
    ...{ entry: former, role: "former" },
    async open() {
      const deps = await open()
      return { ...deps, inventory: formerInventory(deps.inventory, former, former.requestId) }
    },
  }
}

const idOf = ({ name, target }: { readonly name: string; readonly target: string }): string => `${target} ${name}`
