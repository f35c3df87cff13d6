import type { Backoff } from "../../core/records/backoff.js"
import type { IncidentKind, Trouble } from "../../core/records/incident.js"
import type { RoundReport } from "../agent.js"
import { isPinRefused } from "../pin-breaker.js"

/** Findings of `check` that call a person, and as what. */
const KINDS: Readonly<Record<string, IncidentKind>> = {
  EXPIRED: "dead",
  MATERIAL_DELETED: "dead",
  KEY_GONE: "dead",
  PENDING_DELETION: "dead",
  EXPIRES_SOON: "dying",
  SOURCE_MISSING: "dying",
  SOURCE_DAMAGED: "dying",
  SOURCE_UNUSABLE: "dying",
  CUSTODY_KEY_LOST: "dying",
  PROOF_FAILED: "failure",
  UNAVAILABLE: "failure",
  CUSTODY_LOG_BROKEN: "failure",
  JOBS_UNTAKEN: "failure",
  CLOCK_SKEW: "clock",
  BACKUP_UNCONFIRMED: "backup",
  BACKUP_OLD: "backup",
}

/** Everything that a person is to be called for after a round: what it failed at, and what `check` finds. */
export function troublesOf({ round, sight, error }: RoundReport): readonly Trouble[] {
  const places = new Map(
    (round?.degraded ?? []).map((row) => [isPinRefused(row.reason) ? "" : row.target + row.reason, row]),
  )
  return [
    ...(error === null ? [] : [ofError(error)]),
    ...[...places.values()].map(ofPlace),
    // also of keys that failed in an earlier round, and wait
    ...(round?.backoffs ?? []).map(ofWaiting),
    ...(sight?.check.checks ?? []).flatMap(({ id, status, name, target, message, hint }): readonly Trouble[] => {
      const kind = Object.hasOwn(KINDS, id) ? KINDS[id] : undefined
      // what is accepted calls nobody
      return kind === undefined || status === "ok" ? [] : [{ kind, status, reason: id, name, target, message, hint }]
    }),
  ]
}

/** Whether a trouble that this round did not see would have been seen by it: what could not be looked at is not known to be well. */
export function isOverAfter({ round, sight, error }: RoundReport): (incident: Trouble) => boolean {
  const unseen = new Set(
    (sight?.check.checks ?? []).flatMap(({ status, name, target }) =>
      status === "unknown" ? [placeOf({ name, target }), placeOf({ name: null, target })] : [],
    ),
  )
  const isTokenUnseen = sight?.status.tokens.some(({ state }) => state !== "looked at") === true
  return (incident) => {
    if (incident.kind === "failure" || incident.kind === "breaker") {
      return error === null && round !== null && (incident.name !== null || round.degraded.length === 0)
    }
    // of sources only the token tells
    if (/^SOURCE_|^CUSTODY_KEY/.test(incident.reason) && isTokenUnseen) return false
    return sight !== null && !unseen.has(placeOf(incident))
  }
}

const placeOf = ({ name, target }: Pick<Trouble, "name" | "target">): string => JSON.stringify([name, target])

function ofError({ code, message, hint, key }: NonNullable<RoundReport["error"]>): Trouble {
  const kind = isPinRefused(code) ? "breaker" : "failure"
  return { kind, status: "critical", reason: code, name: key ?? null, target: null, message, hint }
}

function ofWaiting({ name, target, reason, message }: Backoff): Trouble {
  const hint = `keyferry rewrap ${name}`
  return { kind: "failure", status: "warning", reason, name, target, message, hint }
}

type DegradedRow = NonNullable<RoundReport["round"]>["degraded"][number]

/** All keys of a token or of a target fail so: it is one trouble. */
function ofPlace({ reason, message, hint, target }: DegradedRow): Trouble {
  const isPin = isPinRefused(reason)
  const place = isPin ? null : target
  return { kind: isPin ? "breaker" : "failure", status: "critical", reason, name: null, target: place, message, hint }
}
