import { type Ending, ENDINGS } from "../../core/records/ending.js"
import type { KeyDescription } from "../../core/key/key-description.js"
import { phaseOf } from "../../core/key/key-state.js"
import { errorOf, KeyferryError } from "../../core/base/error.js"
import { rfc3339 } from "../../core/base/expiry.js"
import { failedOutcome, rowOutcome, type RowReason } from "../../core/plan/row.js"
import { type ImportRecord, type InventoryEntry, withDeleted } from "../../core/records/inventory.js"
import type { Kms } from "../../core/ports/kms.js"
import { record, recordFailure } from "../record.js"
import type { EndDeps, EndPlan, EndRequest, EndRow, EndStep } from "./plan.js"

/**
 * Does what was planned and confirmed, one KMS key after the other, each with its intention in the custody log before
 * and its outcome after. One that fails, or was refused by the plan, does not stop the others.
 *
 * @throws what the first failed with, where all failed; ERR_LAST_COPY where that was not accepted
 */
export async function carryOutEnding(
  deps: EndDeps,
  plan: EndPlan,
  { loseLastCopy }: { readonly loseLastCopy: boolean },
): Promise<readonly EndRow[]> {
  const { entry, request, steps, refused } = plan
  if (plan.lastCopy !== null && !loseLastCopy) {
    throw new KeyferryError("ERR_LAST_COPY", `that would lose key material for good: ${plan.lastCopy}`, {
      key: entry.name,
    })
  }
  if (request.ending === "delete-material" && steps.some(({ todo }) => todo)) {
    // first, so that no other run imports it again
    const deletedAt = rfc3339(deps.clock.now())
    await deps.inventory.put({
      ...withDeleted(entry, deletedAt, (imported) => steps.some((step) => deletes(step, imported))),
      withheldAt: deletedAt,
    })
  } else if (request.ending === "schedule-deletion" && steps.some(({ todo }) => todo)) {
    // what it lacks is not imported again after a deletion that was cancelled either
    await deps.inventory.put({ ...entry, withheldAt: rfc3339(deps.clock.now()) })
  }
  const rows: EndRow[] = []
  const failures: unknown[] = []
  for (const step of steps) {
    try {
      rows.push(step.todo ? await carryOut(deps, plan, step) : await alreadyRow(deps, plan, step))
    } catch (error) {
      const failure = errorOf(error, entry.name)
      rows.push({ ...unendedKey(entry, step), ...failedOutcome(failure) })
      failures.push(failure)
    }
  }
  if (failures.length === steps.length && failures.length > 0) throw failures[0]
  for (const { error, ...key } of refused) rows.push({ ...unendedKey(entry, key), ...failedOutcome(error, "blocked") })
  return rows
}

/** A key without IDs has one material. */
function deletes({ todo, region, materials }: EndStep, imported: ImportRecord): boolean {
  return todo && region === imported.region && (materials.includes(imported.keyMaterialId) || materials.includes(null))
}

/** The row of a KMS key of which it is not known how it is; its outcome is added. */
export function unendedKey(entry: InventoryEntry, { region, keyArn }: { region: string; keyArn: string | null }) {
  const { name, target } = entry
  return { name, target, region, keyArn, replaced: "replacedAt" in entry, keyState: null, deletionDate: null }
}

function deletionDateOf({ deletionDate }: KeyDescription): string | null {
  return deletionDate === null ? null : rfc3339(deletionDate)
}

async function alreadyRow(deps: EndDeps, { request, entry }: EndPlan, step: EndStep): Promise<EndRow> {
  const message =
    request.ending === "delete-material" ? "KMS holds no key material of it" : `is ${step.keyState} already`
  const kms = await deps.kmsIn(step.region)
  return {
    ...unendedKey(entry, step),
    ...rowOutcome("nothing", "ALREADY", message),
    keyState: step.keyState,
    deletionDate: deletionDateOf(await kms.describeKey(step.keyArn)),
  }
}

async function carryOut(deps: EndDeps, plan: EndPlan, step: EndStep): Promise<EndRow> {
  const { request, entry } = plan
  const kms = await deps.kmsIn(step.region)
  const { owner, name, target } = entry
  const ended = { key: { owner, name, target }, keyArn: step.keyArn }
  const ids = step.materials.filter((id) => id !== null)
  const facts = {
    operation: request.ending,
    region: step.region,
    days: request.ending === "schedule-deletion" ? request.pendingWindowDays : undefined,
    keyMaterialIds: ids.length === 0 ? undefined : ids,
    lastCopy: plan.lastCopy ?? undefined,
  }
  await record(deps, "kms-key.ending", { ...ended, facts })
  try {
    await CALLS[request.ending](kms, step, request)
  } catch (error) {
    await recordFailure(deps, "kms-key.ending-failed", { ...ended, facts, error })
    throw error
  }
  const description = await kms.describeKey(step.keyArn)
  const { keyState } = description
  const deletionDate = deletionDateOf(description)
  const message = await record(deps, ENDINGS[request.ending].event, {
    ...ended,
    facts: { ...facts, keyState, deletionDate: deletionDate ?? undefined },
  })
  return {
    ...unendedKey(entry, step),
    ...rowOutcome("done", REASONS[request.ending], message),
    keyState,
    deletionDate,
  }
}

const REASONS: Readonly<Record<Ending, RowReason>> = {
  enable: "ENABLED",
  disable: "DISABLED",
  "delete-material": "MATERIAL_DELETED",
  "schedule-deletion": "DELETION_SCHEDULED",
}

const CALLS: Readonly<Record<Ending, (kms: Kms, step: EndStep, request: EndRequest) => Promise<void>>> = {
  enable: (kms, { keyArn }) => kms.enableKey(keyArn),
  disable: (kms, { keyArn }) => kms.disableKey(keyArn),
  async "delete-material"(kms, { keyArn, materials }) {
    for (const id of materials) await kms.deleteImportedKeyMaterial(keyArn, id)
  },
  async "schedule-deletion"(kms, { keyArn }, { pendingWindowDays }) {
    try {
      await kms.scheduleKeyDeletion(keyArn, pendingWindowDays)
    } catch (error) {
      if (!(error instanceof KeyferryError && error.code === "ERR_KMS_OUTCOME_UNKNOWN")) throw error
      if (phaseOf(await kms.describeKey(keyArn)) !== "dying") await kms.scheduleKeyDeletion(keyArn, pendingWindowDays)
    }
  },
}
