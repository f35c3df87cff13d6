import type { CheckResult } from "../app/check/check.js"
import type { Status, StatusRow } from "../app/fleet/status.js"
import type { AcceptedFinding } from "../core/plan/acceptance.js"
import { CHECK_STATUSES } from "../core/plan/finding.js"
import { type Urgency, URGENCIES, urgencyOf } from "../core/plan/urgency.js"

/** What a page about the fleet is made of: what was seen, when, and by whom. */
export interface FleetReport {
  /** The manifest's `id`. */
  readonly owner: string
  readonly version: string
  /** When it was seen, by KMS' clock. */
  readonly at: Date
  readonly status: Status
  readonly check: CheckResult
  /** Of the agent that shows it; null for a file. */
  readonly agent: AgentFacts | null
}

export interface AgentFacts {
  /** How the last round ended, in a word, and when. */
  readonly outcome: string
  /** Why the last round did not do all of its work; empty where it did. */
  readonly troubles: readonly string[]
  readonly next: Date | null
  readonly pausedUntil: string | null
}

/** One key and target of a page. */
export interface ReportRow {
  readonly key: StatusRow
  readonly urgency: Urgency | "dying"
  /** What `check` says of it, worst first. */
  readonly findings: readonly AcceptedFinding[]
  /** When its first material ends, ms since 1970; null for never, or where nothing is known. */
  readonly end: number | null
}

/** In which rows stand: what needs a person first. */
export const ORDER = [
  "dead",
  "failed",
  "dying",
  ...URGENCIES.filter((word) => word !== "dead" && word !== "failed"),
] as const

/** All keys, the most urgent first, then by the end of their material, then by name. */
export function reportRows({ status, check }: Pick<FleetReport, "status" | "check">): readonly ReportRow[] {
  const findings = Map.groupBy(check.checks, ({ name, target }) => placeOf(name, target))
  const rows = status.keys.map((key): ReportRow => {
    const keyFindings = [...(findings.get(placeOf(key.name, key.target)) ?? [])].sort(bySeverity)
    const urgency = urgencyOf(key, key.dead !== null)
    const isDying = keyFindings.some(({ id, status: severity }) => id === "EXPIRES_SOON" && severity !== "ok")
    return { key, urgency: urgency === "well" && isDying ? "dying" : urgency, findings: keyFindings, end: endOf(key) }
  })
  return rows.sort(
    (a, b) =>
      ORDER.indexOf(a.urgency) - ORDER.indexOf(b.urgency) ||
      (a.end ?? Infinity) - (b.end ?? Infinity) ||
      (a.key.name < b.key.name ? -1 : a.key.name > b.key.name ? 1 : 0),
  )
}

const placeOf = (name: string | null, target: string | null): string => JSON.stringify([name, target])

const bySeverity = (a: AcceptedFinding, b: AcceptedFinding): number =>
  CHECK_STATUSES.indexOf(a.status) - CHECK_STATUSES.indexOf(b.status)

function endOf({ generations }: StatusRow): number | null {
  const ends = generations.flatMap(({ validTo, state }) =>
    validTo === null || state === "never" ? [] : [Date.parse(validTo)],
  )
  return ends.length === 0 ? null : Math.min(...ends)
}

/** One cause that needs a person, with all that it concerns. */
export interface Cause {
  readonly id: string
  readonly status: AcceptedFinding["status"]
  /** Of the first of them. */
  readonly message: string
  readonly hint: string | null
  readonly places: readonly Pick<AcceptedFinding, "name" | "target">[]
}

/** What `check` finds and nobody has accepted, equal causes once, worst first. */
export function causesOf({ check }: Pick<FleetReport, "check">): readonly Cause[] {
  const open = check.checks.filter(({ status, acceptedUntil }) => status !== "ok" && acceptedUntil === null)
  const groups = Map.groupBy(open, ({ id, status, hint, name }) =>
    // a hint that names its key is the same hint for each
    JSON.stringify([id, status, name === null ? hint : hint?.replaceAll(name, "NAME")]),
  )
  const causes = [...groups.values()].flatMap((findings): readonly Cause[] => {
    const [leading] = findings
    if (leading === undefined) return []
    const { id, status, message, hint } = leading
    return [{ id, status, message, hint, places: findings.map(({ name, target }) => ({ name, target })) }]
  })
  return causes.sort((a, b) => CHECK_STATUSES.indexOf(a.status) - CHECK_STATUSES.indexOf(b.status))
}
