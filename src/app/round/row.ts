import type { Allowed } from "../../core/manifest/agent-settings.js"
import type { DecisionRow } from "../../core/plan/decision-row.js"
import type { JobKey } from "../../core/records/dead-letter.js"
import { type Fleet, type FleetKey, fleetKeys } from "../fleet/fleet.js"
import { reconcile, type ReconcileOptions } from "../fleet/reconcile.js"
import { type SourceIndex, sourceIndex } from "../fleet/source-index.js"
import { recoveryOf } from "../recover/recover.js"
import { allowedWork, isSame, placeOf } from "./round.js"

/** Keys that are worked on one by one, as they come: what was read for one serves the next. */
export interface RowWork {
  /** Without its lock: no key passes that on while others are under way. */
  readonly fleet: Fleet & { readonly lock: null }
  readonly keys: readonly FleetKey[]
  readonly sources: SourceIndex
  /** Whether another process waits for the state as a whole. */
  isAwaited(): Promise<boolean>
}

export async function openRowWork(fleet: Fleet): Promise<RowWork> {
  return {
    fleet: { ...fleet, lock: null },
    keys: await fleetKeys(fleet),
    sources: sourceIndex(fleet, { withSealed: true }),
    isAwaited: async () => (await fleet.lock?.isAwaited()) ?? false,
  }
}

/**
 * Does of a key what a round would. Its entry is read anew: another agent may have worked on it.
 *
 * @returns a row for each KMS key that it stands for; none where it is gone
 */
export async function doRow(
  { fleet, keys, sources }: RowWork,
  {
    key,
    allow,
    isStopping,
  }: { readonly key: JobKey; readonly allow: readonly Allowed[]; readonly isStopping: () => boolean },
): Promise<readonly DecisionRow[]> {
  const ofKey = keys.filter((candidate) => isSame(placeOf(candidate), key))
  const anew = { sources, reread: true, isStopping } satisfies Partial<ReconcileOptions>
  const rows: DecisionRow[] = []
  if (allow.includes("recover")) {
    const recovered = await reconcile(fleet, ofKey, { ...recoveryOf({ deleted: true }), ...anew })
    rows.push(...recovered.filter(({ outcome }) => outcome === "done" || outcome === "failed"))
  }
  if (rows.some(({ outcome }) => outcome === "failed")) return rows
  return [...rows, ...(await reconcile(fleet, ofKey, { ...allowedWork(allow), ...anew }))]
}
