import { rfc3339 } from "../base/expiry.js"
import { canReimport, type Context, earliest } from "./context.js"
import { lossOf } from "./loss.js"
import { materialsOf } from "./material.js"
import { type ReasonCode, REASONS } from "./reason.js"
import { type Decision, isUnseen, type Snapshot } from "./snapshot.js"

/** What monitoring is told of a fleet (`check`): pure, of what was found and decided. */

/** As a Nagios plugin says it; worst first. */
export const CHECK_STATUSES = ["critical", "unknown", "warning", "ok"] as const
export type CheckStatus = (typeof CHECK_STATUSES)[number]

/** What `check` finds beside the reasons of a plan. */
export const OWN_FINDINGS: readonly string[] = [
  "EXPIRES_SOON",
  "SOURCE_UNUSABLE",
  "CLOCK_SKEW",
  "BACKUP_UNCONFIRMED",
  "BACKUP_OLD",
  "CUSTODY_KEY_LOST",
  "CUSTODY_LOG_BROKEN",
  "TOKEN_UNSEEN",
  "AGENT_PAUSED",
  "DEAD_LETTER",
  "JOBS_UNTAKEN",
]

/** Whether `check` could ever find this. */
export const isFindingId = (text: string): boolean => Object.hasOwn(REASONS, text) || OWN_FINDINGS.includes(text)

/** One thing that is not as it should be. */
export interface Finding {
  /** REASON of an acceptance: a reason of the plan, or a word of its own in the same form. */
  readonly id: string
  readonly status: CheckStatus
  readonly message: string
  /** What it is found of: a key, else what it is called. Null where only a target is concerned. */
  readonly name: string | null
  readonly target: string | null
  readonly hint: string | null
}

/** What helps where an answer did not come in time. */
export const LATE_HINT =
  "`keyferry doctor` looks at token and KMS; a fleet that needs longer wants a longer --timeout, below that of the monitoring system"

/** Seconds before an expiry. */
export interface Thresholds {
  readonly warn: number
  readonly crit: number
}

export const worstStatus = (statuses: readonly CheckStatus[]): CheckStatus =>
  CHECK_STATUSES.find((status) => statuses.includes(status)) ?? "ok"

/** What a decision that blocks a key says to monitoring; any other is a warning. */
const BLOCKED: Readonly<Partial<Record<ReasonCode, CheckStatus | null>>> = {
  KMS_UNREACHABLE: "unknown",
  KMS_CREDENTIALS: "unknown",
  KMS_LATER: "unknown",
  KMS_DENIED: "unknown",
  KMS_FAILED: "unknown",
  OTHER_ACCOUNT: "unknown",
  ENTRY_UNREADABLE: "unknown",
  UNKNOWN_HERE: "unknown",
  // it may hold material that nobody here keeps alive
  KEY_UNFIT: "unknown",
  STATE_UNKNOWN: "unknown",
  KEY_GONE: "critical",
  PENDING_DELETION: "critical",
  PROOF_FAILED: "critical",
  UNAVAILABLE: "critical",
  // each has a finding of its own
  REPLICA_UNSEEN: null,
  MATERIAL_DELETED: null,
  SOURCE_MISSING: null,
  SOURCE_DAMAGED: null,
}

/** Everything that is wrong with one KMS key. */
export function findingsOf(snapshot: Snapshot, decision: Decision, thresholds: Thresholds): readonly Finding[] {
  const context: Context = { snapshot, options: {}, materials: materialsOf(snapshot), drift: [] }
  return [
    ...blocked(snapshot, decision),
    ...unseen(snapshot),
    ...dead(snapshot),
    ...dying(context, decision, thresholds),
    ...sourcesLost(context),
  ]
}

/** When the first material ends that KMS still has; null for never. */
export function firstEnd(snapshot: Snapshot): Date | null {
  return earliest(materialsOf(snapshot).map(({ state, validTo }) => (state === "imported" ? validTo : null)))
}

type Told = Pick<Finding, "id" | "status" | "message" | "hint">

const of = ({ binding: { name, target } }: Snapshot, told: Told): Finding => ({ ...told, name, target })

function blocked(snapshot: Snapshot, { action, reason, message, hint }: Decision): readonly Finding[] {
  if (action !== "blocked") return []
  const status = BLOCKED[reason] === undefined ? "warning" : BLOCKED[reason]
  return status === null ? [] : [of(snapshot, { id: reason, status, message, hint })]
}

/** Replicas in Regions that did not answer, whatever else is decided of the key. */
function unseen(snapshot: Snapshot): readonly Finding[] {
  return snapshot.replicas.filter(isUnseen).map(({ region, error, hint }) =>
    of(snapshot, {
      id: "REPLICA_UNSEEN",
      status: "unknown",
      message: `the replica in ${region} could not be looked at: ${error}`,
      hint,
    }),
  )
}

/** A dead key, whatever is to be done of it. */
function dead(snapshot: Snapshot): readonly Finding[] {
  const loss = lossOf(snapshot)
  if (loss === null) return []
  const { reason, message, command } = loss
  const wish = reason === "MATERIAL_DELETED" ? ", if it is to come back" : ""
  const hint =
    command === null ? "its custody imports only once: `keyferry replace` makes a new key" : `${command}${wish}`
  return [of(snapshot, { id: reason, status: "critical", message, hint })]
}

function dying({ snapshot, materials }: Context, decision: Decision, { warn, crit }: Thresholds): readonly Finding[] {
  const ends = materials.map(({ state, validTo }) => (state === "imported" ? validTo : null))
  const end = earliest(ends.map((validTo) => (validTo !== null && validTo > snapshot.now ? validTo : null)))
  if (end === null) return []
  const seconds = (end.getTime() - snapshot.now.getTime()) / 1000
  if (seconds > warn) return []
  const { name, managed } = snapshot.binding
  return [
    of(snapshot, {
      id: "EXPIRES_SOON",
      status: seconds <= crit ? "critical" : "warning",
      message: `KMS loses its key material on ${rfc3339(end)}`,
      hint:
        decision.hint ??
        (managed
          ? `keyferry rewrap ${name}; see why no scheduled run did it`
          : `keyferry rewrap ${name}, or let it end`),
    }),
  ]
}

/** What cannot be imported again dies at its expiry; what never expires has lost its only copy outside KMS. */
function sourcesLost(context: Context): readonly Finding[] {
  const { snapshot, materials } = context
  if (!canReimport(context)) return []
  return snapshot.sources.flatMap(({ generation, state, note }) => {
    const held = materials.filter((material) => material.generation === generation && material.state !== "never")
    if ((state !== "missing" && state !== "damaged") || held.length === 0) return []
    const end = earliest(held.map(({ validTo }) => validTo))
    const isLost = held.some((material) => material.state === "lost")
    const ends = isLost
      ? "KMS has lost its material, and nothing brings it back"
      : end === null
        ? "KMS alone has its material"
        : `KMS loses its material on ${rfc3339(end)}, and nothing brings it back`
    const is = state === "missing" ? "is gone" : `cannot be used (${note ?? ""})`
    return [
      of(snapshot, {
        id: state === "missing" ? "SOURCE_MISSING" : "SOURCE_DAMAGED",
        status: end === null && !isLost ? "warning" : "critical",
        message: `the source key of generation ${generation} ${is}: ${ends}`,
        hint: "restore the token or the vault from its backup, or replace the key while KMS has the material",
      }),
    ]
  })
}
