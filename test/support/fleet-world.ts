import { type Fleet, fleetKeys } from "#src/app/fleet/fleet.js"
import { reconcile, type ReconcileOptions } from "#src/app/fleet/reconcile.js"
import type { Binding } from "#src/core/manifest/binding.js"
import { bindingOf } from "#src/core/records/recorded-binding.js"
import type { DecisionRow } from "#src/core/plan/decision-row.js"
import { exitOf } from "#src/core/plan/row.js"
import type { Run, World } from "./world.js"

export const DAY_MS = 86_400_000

/** Many keys over the one token and KMS of a world, as the host would give them. */
export async function fleetOf(
  { deps }: Run,
  { bindings, ...more }: Partial<Fleet> & { readonly bindings?: readonly Binding[] } = {},
): Promise<Fleet> {
  const { entries, damaged } = await deps.inventory.all()
  const bound = bindings ?? entries.map((entry) => bindingOf(entry))
  const names = new Set(bound.map(({ name, target }) => `${target} ${name}`))
  return {
    ...deps,
    owner: "keyferry",
    bindings: bound,
    entries,
    damaged,
    unmanaged: entries.filter(({ name, target }) => !names.has(`${target} ${name}`)),
    width: 8,
    lock: null,
    heldWork: null,
    depsOf: () => Promise.resolve(deps),
    kmsOf: (_target, region) => (region === undefined ? Promise.resolve(deps.kms) : deps.kmsIn(region)),
    clockOf: () => deps.clock,
    whenAlone: (work) => work(),
    quotasOf: () => undefined,
    inTurn: (_rank, work) => work(),
    tokenOf: () => Promise.resolve(deps.token),
    ...more,
  }
}

export const REWRAP: ReconcileOptions = {
  actions: new Set(["rewrap", "finish-rotation", "finish-replacement"]),
  depth: { tags: false, materials: "needed" },
  untilDone: false,
}

export const APPLY: ReconcileOptions = {
  actions: new Set(["provision", "rewrap", "rotate", "finish-rotation", "finish-replacement", "replicate", "correct"]),
  depth: { tags: true, materials: "needed" },
  untilDone: true,
}

/** One run over all keys of the fleet, or those named; results by name. */
export async function runOver(fleet: Fleet, options: ReconcileOptions, names: readonly string[] = []) {
  const all = await reconcile(fleet, await fleetKeys(fleet, names), options)
  const rows: Readonly<Record<string, DecisionRow>> = Object.fromEntries(all.map((row) => [row.name, row]))
  return { rows, exit: exitOf(all), all }
}

/** Time passes for KMS and for keyferry. */
export async function passDays(world: World, days: number): Promise<void> {
  await (await world.run()).deps.sleep(days * DAY_MS)
}
