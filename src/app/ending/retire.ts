import { errorOf, KeyferryError } from "../../core/base/error.js"
import { rfc3339 } from "../../core/base/expiry.js"
import { type KeyPhase, phaseOf } from "../../core/key/key-state.js"
import { exitOf, failedOutcome, rowOutcome } from "../../core/plan/row.js"
import type { FormerEntry, InventoryEntry } from "../../core/records/inventory.js"
import { carryOutEnding, unendedKey } from "./carry-out.js"
import { type EndDeps, type EndPlan, type EndRow, type Idle, planEnding } from "./plan.js"
import { findKmsKey } from "../kms-key/find.js"
import { record } from "../record.js"
import { formerInventory } from "../replace/nested-inventory.js"

export interface RetireRequest {
  /** Leave it at that: no deletion is scheduled, and the KMS key is rewrapped as before. */
  readonly disableOnly: boolean
  /** KMS ScheduleKeyDeletion `PendingWindowInDays`, 7 to 30. */
  readonly pendingWindowDays: number
  readonly idle: Idle
}

/** What retiring one replaced KMS key would do; nothing is changed yet. */
export interface Retirement {
  readonly former: FormerEntry
  /** Null for a KMS key that is gone, and where it was not seen. */
  readonly keyState: string | null
  /** In the order in which they are carried out; none where nothing is to be done in KMS. */
  readonly plans: readonly EndPlan[]
  readonly consequences: readonly string[]
  /** Why it cannot be retired now; null where it can. */
  readonly refusal: KeyferryError | null
}

/** Phases in which a KMS key answers nobody any more. */
const STILL: readonly KeyPhase[] = ["disabled", "empty", "dying"]

/**
 * Looks at every KMS key of a name that was replaced and is not retired yet. One that an alias still names, or that
 * cannot be looked at, is refused, and the others go on.
 *
 * @throws ERR_KEY_IN_USE, and what KMS throws, where not one of them can be retired
 */
export async function planRetirement(
  deps: EndDeps,
  entry: InventoryEntry,
  request: RetireRequest,
): Promise<readonly Retirement[]> {
  const retirements: Retirement[] = []
  for (const former of entry.former) {
    if (former.retiredAt !== null) continue
    try {
      retirements.push(await planFormer(deps, former, request))
    } catch (error) {
      const refusal = errorOf(error, former.name)
      if (!(refusal instanceof KeyferryError)) throw refusal
      retirements.push({ former, keyState: null, plans: [], consequences: [], refusal })
    }
  }
  const refusal = retirements[0]?.refusal ?? null
  if (refusal !== null && retirements.every((retirement) => retirement.refusal !== null)) throw refusal
  return retirements
}

async function planFormer(
  deps: EndDeps,
  former: FormerEntry,
  { disableOnly, pendingWindowDays, idle }: RetireRequest,
): Promise<Retirement> {
  const { region, keyArn } = former
  const key = keyArn === null ? null : await findKmsKey(await deps.kmsIn(region), keyArn)
  if (key === null) return { former, keyState: null, plans: [], consequences: [], refusal: null }
  const { keyState } = key
  const plan = (ending: "disable" | "schedule-deletion"): Promise<EndPlan> =>
    planEnding(deps, former, {
      ending,
      generation: null,
      pendingWindowDays,
      // what disables alone finds out who needs the key
      idle: ending === "disable" ? null : idle,
    })
  const plans = [
    ...(STILL.includes(phaseOf(key)) ? [] : [await plan("disable")]),
    ...(disableOnly ? [] : [await plan("schedule-deletion")]),
  ]
  for (const { refused, steps } of plans) {
    if (refused[0] !== undefined) throw refused[0].error
    const named = steps.find(({ aliases }) => aliases.length > 0)
    if (named === undefined) continue
    throw new KeyferryError("ERR_KEY_IN_USE", `${named.keyArn} is still known as ${named.aliases.join(", ")}`, {
      key: former.name,
      hint: "move those aliases to the KMS key that took its place, or delete them, then run again",
    })
  }
  return { former, keyState, plans, consequences: plans.at(-1)?.consequences ?? [], refusal: null }
}

/**
 * Disables each replaced KMS key, then schedules its deletion. One that fails does not stop the others. Source keys stay
 * in the token and the vault: until KMS deletes the key, the deletion can be cancelled.
 *
 * @throws what the first failed with, where all failed
 */
export async function retireKeys(
  deps: EndDeps,
  retirements: readonly Retirement[],
  { disableOnly }: Pick<RetireRequest, "disableOnly">,
): Promise<readonly EndRow[]> {
  const rows: EndRow[] = []
  const failures: unknown[] = []
  for (const retirement of retirements) {
    const { former, refusal } = retirement
    try {
      if (refusal !== null) throw refusal
      const formerRows = await retireFormer(deps, retirement)
      rows.push(...formerRows)
      if (!disableOnly && exitOf(formerRows) === "OK") await markRetired(deps, former)
    } catch (error) {
      const failure = errorOf(error, former.name)
      rows.push({ ...unendedKey(former, former), ...failedOutcome(failure, refusal === null ? "failed" : "blocked") })
      failures.push(failure)
    }
  }
  if (failures.length === retirements.length && failures.length > 0) throw failures[0]
  return rows
}

/** The rows of the last step that was come to. */
async function retireFormer(deps: EndDeps, { former, plans, keyState }: Retirement): Promise<readonly EndRow[]> {
  const inner = { ...deps, inventory: formerInventory(deps.inventory, former, former.requestId) }
  let rows: readonly EndRow[] = []
  for (const plan of plans) {
    rows = await carryOutEnding(inner, plan, { loseLastCopy: true })
    if (exitOf(rows) !== "OK") return rows
  }
  if (rows.length > 0) return rows
  const outcome =
    keyState === null
      ? rowOutcome("nothing", "KEY_GONE", "KMS has it no longer")
      : rowOutcome("nothing", "ALREADY", `is ${keyState} already`)
  return [{ ...unendedKey(former, former), ...outcome, keyState }]
}

async function markRetired(deps: EndDeps, former: FormerEntry): Promise<void> {
  const { name, target, requestId } = former
  const entry = await deps.inventory.get(name, target)
  if (entry === undefined) throw new KeyferryError("ERR_BUG", `the entry of ${name} in ${target} is gone`)
  const retiredAt = rfc3339(deps.clock.now())
  await record(deps, "key.retired", { key: former })
  await deps.inventory.put({
    ...entry,
    former: entry.former.map((key) => (key.requestId === requestId ? { ...key, retiredAt } : key)),
  })
}
