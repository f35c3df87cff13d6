import { type ErrorCode, KeyferryError } from "../../core/base/error.js"
import type { Allowed } from "../../core/manifest/agent-settings.js"
import { type Backoff, backoffAfter, isWaiting } from "../../core/records/backoff.js"
import type { DecisionRow } from "../../core/plan/decision-row.js"
import type { Action, ReasonCode } from "../../core/plan/reason.js"
import { actionsOfWork, type Work } from "../../core/plan/work.js"
import type { AgentRecords } from "../../core/ports/agent-records.js"
import { type Fleet, type FleetKey, fleetKeys } from "../fleet/fleet.js"
import { reconcile, type ReconcileOptions, STOPPING } from "../fleet/reconcile.js"
import { learnKmsTime } from "../kms-key/kms-time.js"
import { recoverLost, surveyLost } from "../recover/recover.js"

/** What one round of unattended work may do, and where it stands. */
export interface RoundOptions {
  /** Opens the fleet, the state locked; what was read of it before is read anew. */
  readonly openFleet: () => Promise<Fleet>
  readonly records: AgentRecords
  readonly allow: readonly Allowed[]
  /** Whether no other key is to be begun. */
  readonly isStopping: () => boolean
}

export interface Round {
  /** Of every key that was not left alone. */
  readonly rows: readonly DecisionRow[]
  /** Keys that failed, now or before, and are tried again at a time of their own. */
  readonly backoffs: readonly Backoff[]
  /** Rows that failed by what is no fault of their key: token or KMS. */
  readonly degraded: readonly DecisionRow[]
}

/** What was asked for once and not finished goes on by itself, whatever else is allowed. */
const ALWAYS: readonly Action[] = ["finish-rotation", "finish-replacement"]

/**
 * Does what is allowed and due, but for keys that failed a while ago and wait; a person's commands know no such wait. A
 * key that fails waits longer each time.
 */
export async function runRound({ openFleet, records, allow, isStopping }: RoundOptions): Promise<Round> {
  const remembered = await records.backoffs()
  const recovered = allow.includes("recover") ? await recoverDeleted(await openFleet(), remembered) : []
  const fleet = await openFleet()
  const all = await fleetKeys(fleet)
  // a key that is gone waits for nothing
  const before = remembered.filter((backoff) => all.some((key) => isSame(placeOf(key), backoff)))
  await learnTimes(fleet, before)
  const keys = all.filter((key) => !isLeftAlone(fleet, placeOf(key), before))
  const rows = await reconcile(fleet, keys, { ...allowedWork(allow), isStopping })
  const results = [...recovered, ...rows]
  const backoffs = backoffsAfter(fleet, before, results)
  await records.putBackoffs(backoffs)
  return { rows: results, backoffs, degraded: degradedOf(results) }
}

/** What unattended work may do, and how far it looks. */
export function allowedWork(allow: readonly Allowed[]): Pick<ReconcileOptions, "actions" | "depth" | "untilDone"> {
  const work = allow.filter((kind): kind is Work => kind !== "recover")
  // importing again what is due looks no further than `rewrap` does
  const isRewrap = work.every((kind) => kind === "rewrap")
  return {
    actions: new Set([...actionsOfWork(work), ...ALWAYS]),
    depth: { tags: !isRewrap, materials: "needed" },
    untilDone: !isRewrap,
  }
}

/** Rows that failed by what is no fault of their key: token or KMS. */
export const degradedOf = (rows: readonly DecisionRow[]): readonly DecisionRow[] => rows.filter(isOfPlace)

/** A wait ends by KMS' clock, which no answer of this round may have told yet; KMS that does not answer is the work's to say. */
export async function learnTimes(fleet: Fleet, backoffs: readonly Pick<Backoff, "target">[]): Promise<void> {
  for (const target of new Set(backoffs.map((backoff) => backoff.target))) {
    try {
      await learnKmsTime({ kms: await fleet.kmsOf(target), clock: fleet.clockOf(target) })
    } catch (error) {
      if (!(error instanceof KeyferryError)) throw error
    }
  }
}

/** Brings back what was deleted, for who has said beforehand that it may. */
async function recoverDeleted(fleet: Fleet, before: readonly Backoff[]): Promise<readonly DecisionRow[]> {
  const { keys } = await surveyLost(fleet, [], {})
  const waiting = keys.filter(({ key }) => !isLeftAlone(fleet, placeOf(key), before))
  const rows = await recoverLost(fleet, { keys: waiting }, { names: [], deleted: true })
  return rows.filter(({ outcome }) => outcome === "done" || outcome === "failed")
}

export function isLeftAlone(fleet: Fleet, place: Place, backoffs: readonly Backoff[]): boolean {
  const backoff = backoffOf(backoffs, place)
  return backoff !== undefined && isWaiting(backoff, fleet.clockOf(place.target).now())
}

export const placeOf = ({ binding, role }: FleetKey): Place => ({
  name: binding.name,
  target: binding.target,
  replaced: role === "former",
})

type Place = Pick<Backoff, "name" | "target" | "replaced">

const backoffOf = (backoffs: readonly Backoff[], { name, target, replaced }: Place): Backoff | undefined =>
  backoffs.find((backoff) => backoff.name === name && backoff.target === target && backoff.replaced === replaced)

/** Those that failed once more, and those whose keys were left alone; what went well waits no longer. */
function backoffsAfter(fleet: Fleet, before: readonly Backoff[], rows: readonly DecisionRow[]): readonly Backoff[] {
  const failed = rows.filter((row) => row.outcome === "failed" && !isOfPlace(row))
  const kept = before.filter(
    (backoff) => !rows.some((row) => isSame(row, backoff) && !isOfPlace(row) && row.reason !== "ERR_KEY_HELD"),
  )
  return [
    ...kept,
    ...failed.map((row) => {
      const { name, target, replaced, reason, message } = row
      const now = fleet.clockOf(target).now()
      const end = row.forecast === null ? null : new Date(row.forecast.diesAt)
      return backoffAfter(backoffOf(before, row), {
        name,
        target,
        replaced,
        reason,
        message,
        now,
        end,
      })
    }),
  ]
}

export const isSame = (row: Place, backoff: Place): boolean =>
  row.name === backoff.name && row.target === backoff.target && row.replaced === backoff.replaced

/** Failures of a token, of KMS or of what keeps the state: all its keys fail so, and go well again together. */
const OF_PLACE: ReadonlySet<string> = new Set<ErrorCode | ReasonCode>([
  ...STOPPING,
  "ERR_BINDING_LOST",
  "ERR_TOKEN_UNAVAILABLE",
  "ERR_TOKEN_NOT_FOUND",
  "ERR_MODULE_UNUSABLE",
  "ERR_TOKEN_HANGS",
  "ERR_KMS_CREDENTIALS",
  "ERR_KMS_UNREACHABLE",
  "ERR_KMS_UNAVAILABLE",
  "ERR_KMS_THROTTLED",
  "KMS_UNREACHABLE",
  "KMS_CREDENTIALS",
  "KMS_LATER",
  "KMS_FAILED",
])

export function isOfPlace({ outcome, reason }: Pick<DecisionRow, "outcome" | "reason">): boolean {
  return (outcome === "failed" || outcome === "blocked") && OF_PLACE.has(reason)
}
