import type { Allowed } from "../../core/manifest/agent-settings.js"
import { plan } from "../../core/plan/plan.js"
import { byImportance } from "../../core/plan/recovery.js"
import type { AgentRecords } from "../../core/ports/agent-records.js"
import type { DeadLetters } from "../../core/ports/dead-letters.js"
import { type Backoff, backoffAfter } from "../../core/records/backoff.js"
import type { DeadLetter, JobKey } from "../../core/records/dead-letter.js"
import { type Fleet, fleetKeys } from "../fleet/fleet.js"
import { survey, type SurveyedKey } from "../fleet/survey.js"
import { allowedWork, isLeftAlone, isSame, learnTimes } from "./round.js"

export interface PlanRoundOptions {
  readonly records: AgentRecords
  readonly dead: DeadLetters
  readonly allow: readonly Allowed[]
}

/** What unattended work finds to do, for whoever does it. */
export interface PlannedRows {
  /** By the manifest's name of the token; null for the one that flags give. What KMS has lost first, as a round does it. */
  readonly due: ReadonlyMap<string | null, readonly JobKey[]>
  /** Keys of dead letters that need nothing any more, or are gone. */
  readonly well: readonly JobKey[]
  /** Keys that failed and wait. */
  readonly backoffs: readonly Backoff[]
}

/**
 * The plan of a round, for jobs: each key of which something is due that is allowed, but for those that failed a while ago
 * and wait. Nothing is changed, but for what is known of deletions, and of who waits.
 */
export async function planRound(fleet: Fleet, { records, dead, allow }: PlanRoundOptions): Promise<PlannedRows> {
  const letters = await dead.deadLetters()
  await learnTimes(fleet, letters)
  const { actions, depth } = allowedWork(allow)
  const surveyed = await survey(fleet, await fleetKeys(fleet), { actions, depth })
  const needy = new Map<string, Date | null>()
  const lost: SurveyedKey[] = []
  for (const key of surveyed.keys) {
    const { snapshot, row } = key
    const isLost = allow.includes("recover") && plan(snapshot, { recover: { deleted: true } }).action === "rewrap"
    if (row.outcome !== "planned" && !isLost) continue
    if (isLost) lost.push(key)
    needy.set(placeText(row), row.forecast === null ? null : new Date(row.forecast.diesAt))
  }
  const remembered = await records.backoffs()
  const backoffs = letters.flatMap((letter) => {
    const end = needy.get(placeText(letter))
    if (end === undefined) return []
    const now = fleet.clockOf(letter.target).now()
    return [
      backoffOf(
        letter,
        remembered.find((backoff) => isSame(backoff, letter)),
        { now, end },
      ),
    ]
  })
  await records.putBackoffs(backoffs)
  const due = new Map<string | null, Map<string, JobKey>>()
  lost.sort((a, b) => byImportance(a.snapshot.binding, b.snapshot.binding))
  // in a map the first place of a key counts
  for (const { snapshot, row } of [...lost, ...surveyed.keys]) {
    const { name, target, replaced } = row
    if (!needy.has(placeText(row)) || isLeftAlone(fleet, row, backoffs)) continue
    const keys = due.get(snapshot.binding.token) ?? new Map<string, JobKey>()
    keys.set(placeText(row), { name, target, replaced })
    due.set(snapshot.binding.token, keys)
  }
  return {
    due: new Map([...due].map(([token, keys]) => [token, [...keys.values()]])),
    well: letters.filter((letter) => !needy.has(placeText(letter))),
    backoffs,
  }
}

const placeText = ({ name, target, replaced }: JobKey): string => JSON.stringify([name, target, replaced])

/** One failure more where the letter came after the key was tried again; else what was known before. */
function backoffOf(
  { name, target, replaced, code, message, failedAt }: DeadLetter,
  previous: Backoff | undefined,
  times: { readonly now: Date; readonly end: Date | null },
): Backoff {
  if (previous !== undefined && failedAt.getTime() < Date.parse(previous.retryAt)) return previous
  return backoffAfter(previous, { name, target, replaced, reason: code, message, ...times })
}
