import { KeyferryError } from "../../core/base/error.js"
import { rfc3339 } from "../../core/base/expiry.js"
import { type KeyPhase, phaseOf } from "../../core/key/key-state.js"
import type { FormerEntry, InventoryEntry } from "../../core/records/inventory.js"
import { findKmsKey } from "../kms-key/find.js"
import { carryOutEnding } from "./carry-out.js"
import { type EndDeps, type EndPlan, type EndRow, planEnding } from "./plan.js"
import { record } from "../record.js"
import { formerInventory } from "../replace/nested-inventory.js"

export interface RetireRequest {
  /** Leave it at that: no deletion is scheduled, and the KMS key is rewrapped as before. */
  readonly disableOnly: boolean
  /** KMS ScheduleKeyDeletion `PendingWindowInDays`, 7 to 30. */
  readonly pendingWindowDays: number
}

/** What retiring one replaced KMS key would do; nothing is changed yet. */
export interface Retirement {
  readonly former: FormerEntry
  /** In the order in which they are carried out; none for a KMS key that is gone. */
  readonly plans: readonly EndPlan[]
  readonly consequences: readonly string[]
}

/** Phases in which a KMS key answers nobody any more. */
const STILL: readonly KeyPhase[] = ["disabled", "empty", "dying"]

/**
 * Looks at every KMS key of a name that was replaced and is not retired yet.
 *
 * @throws ERR_KEY_IN_USE where an alias still names one
 */
export async function planRetirement(
  deps: EndDeps,
  entry: InventoryEntry,
  request: RetireRequest,
): Promise<readonly Retirement[]> {
  const planned: Retirement[] = []
  for (const former of entry.former) {
    if (former.retiredAt === null) planned.push(await planOne(deps, former, request))
  }
  return planned
}

async function planOne(
  deps: EndDeps,
  former: FormerEntry,
  { disableOnly, pendingWindowDays }: RetireRequest,
): Promise<Retirement> {
  const { region, keyArn } = former
  const key = keyArn === null ? null : await findKmsKey(await deps.kmsIn(region), keyArn)
  if (key === null) return { former, plans: [], consequences: [] }
  const plan = (ending: "disable" | "schedule-deletion"): Promise<EndPlan> =>
    planEnding(deps, former, { ending, generation: null, pendingWindowDays })
  const plans = [
    ...(STILL.includes(phaseOf(key)) ? [] : [await plan("disable")]),
    ...(disableOnly ? [] : [await plan("schedule-deletion")]),
  ]
  for (const { aliases, keyArn } of plans.flatMap(({ steps }) => steps)) {
    if (aliases.length === 0) continue
    throw new KeyferryError("ERR_KEY_IN_USE", `${keyArn} is still known as ${aliases.join(", ")}`, {
      key: former.name,
      hint: "move those aliases to the KMS key that took its place, or delete them, then run again",
    })
  }
  const consequences = plans.at(-1)?.consequences ?? []
  return { former, plans, consequences }
}

/**
 * Disables a replaced KMS key, then schedules its deletion. Its source keys stay in the token and the vault: until KMS
 * deletes it, the deletion can be cancelled.
 */
export async function retireKey(
  deps: EndDeps,
  { former, plans }: Retirement,
  { disableOnly }: Pick<RetireRequest, "disableOnly">,
): Promise<readonly EndRow[]> {
  const { name, target, requestId } = former
  const inside = { ...deps, inventory: formerInventory(deps.inventory, former, requestId) }
  let rows: readonly EndRow[] = []
  for (const plan of plans) {
    const done = await carryOutEnding(inside, plan, { loseLastCopy: true })
    if (done.failure !== null) throw done.failure
    ;({ rows } = done)
  }
  if (disableOnly) return rows
  const retiredAt = rfc3339(deps.clock.now())
  const outer = await deps.inventory.get(name, target)
  if (outer === undefined) throw new KeyferryError("ERR_BUG", `the entry of ${name} in ${target} is gone`)
  await record(deps, "key.retired", { key: former })
  const marked = outer.former.map((one) => (one.requestId === requestId ? { ...one, retiredAt } : one))
  await deps.inventory.put({ ...outer, former: marked })
  return rows
}
