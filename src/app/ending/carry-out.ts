import { type Ending, ENDINGS } from "../../core/key/ending.js"
import { errorOf, KeyferryError } from "../../core/base/error.js"
import { rfc3339 } from "../../core/base/expiry.js"
import { phaseOf } from "../../core/key/key-state.js"
import type { Kms } from "../../core/ports/kms.js"
import { record, recordFailure } from "../record.js"
import type { EndDeps, EndPlan, EndRequest, EndRow, EndStep } from "./plan.js"

/**
 * Does what was planned and confirmed, one KMS key after the other, each with its intention in the custody log before
 * and its outcome after. One that fails does not stop the others.
 *
 * @throws what the first failed with, where all failed; ERR_LAST_COPY where that was not accepted
 */
export async function carryOutEnding(
  deps: EndDeps,
  plan: EndPlan,
  { loseLastCopy }: { readonly loseLastCopy: boolean },
): Promise<{ readonly rows: readonly EndRow[]; readonly failure: KeyferryError | null }> {
  const { entry, request } = plan
  if (plan.lastCopy !== null && !loseLastCopy) {
    throw new KeyferryError("ERR_LAST_COPY", `that would lose key material for good: ${plan.lastCopy}`, {
      key: entry.name,
    })
  }
  const rows: EndRow[] = []
  let failure: KeyferryError | null = null
  if (request.ending === "delete-material" && plan.steps.some(({ todo }) => todo)) {
    // first, so that no other run imports it again
    await deps.inventory.put({ ...entry, withheldAt: rfc3339(deps.clock.now()) })
  }
  for (const step of plan.steps) {
    try {
      rows.push(await carryOut(deps, plan, step))
    } catch (error) {
      const known = errorOf(error, entry.name)
      if (!(known instanceof KeyferryError)) throw known
      failure ??= known
      rows.push({
        ...rowOf(plan, step),
        ...{ outcome: "failed", reason: known.code, message: known.message, keyState: null, deletionDate: null },
      })
    }
  }
  if (failure !== null && rows.every(({ outcome }) => outcome === "failed")) throw failure
  return { rows, failure }
}

const rowOf = ({ entry }: EndPlan, { region, keyArn }: EndStep) => ({
  ...{ name: entry.name, target: entry.target, region, keyArn },
})

async function carryOut(deps: EndDeps, plan: EndPlan, step: EndStep): Promise<EndRow> {
  const { request, entry } = plan
  const kms = await deps.kmsIn(step.region)
  if (!step.todo) {
    const message =
      request.ending === "delete-material" ? "KMS holds no key material of it" : `is ${step.keyState} already`
    const { deletionDate } = await kms.describeKey(step.keyArn)
    return {
      ...rowOf(plan, step),
      ...{ outcome: "nothing", reason: "ALREADY", message, keyState: step.keyState },
      deletionDate: deletionDate === null ? null : rfc3339(deletionDate),
    }
  }
  const row = ENDINGS[request.ending]
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
  const { keyState, deletionDate } = await kms.describeKey(step.keyArn)
  const date = deletionDate === null ? null : rfc3339(deletionDate)
  const message = await record(deps, row.event, {
    ...ended,
    facts: { ...facts, keyState, deletionDate: date ?? undefined },
  })
  return {
    ...rowOf(plan, step),
    ...{ outcome: "done", reason: REASONS[request.ending], message, keyState, deletionDate: date },
  }
}

const REASONS: Readonly<Record<Ending, string>> = {
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
