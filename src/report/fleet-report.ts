import type { CheckResult } from "../app/check/check.js"
import type { Status, StatusRow } from "../app/fleet/status.js"
import type { AcceptedFinding } from "../core/plan/acceptance.js"
import { CHECK_STATUSES } from "../core/plan/finding.js"
import type { Backoff } from "../core/records/backoff.js"
import { type FirstEnd, firstEnd, type Material, materialsOf } from "./material.js"
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
  /** Keys that unattended work failed at, and tries again later. */
  readonly backoffs: readonly Backoff[]
  /** Of the agent that shows it; null for a file. */
  readonly agent: AgentFacts | null
}

export interface AgentFacts {
  /** Id of the last round. */
  readonly run: string
  /** How it ended, in a word. */
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
  readonly materials: readonly Material[]
  readonly firstEnd: FirstEnd
}

/** In which rows stand: what needs a person first. */
export const ORDER = [
  "dead",
  "failed",
  "dying",
  ...URGENCIES.filter((word) => word !== "dead" && word !== "failed"),
] as const

/** What calls a person: what `check` finds, and what unattended work failed at. */
export function findingsOf({ status, check, backoffs }: FleetReport): readonly AcceptedFinding[] {
  const existing = new Set(
    status.keys.flatMap(({ name, target, keyArn }) => (keyArn === null ? [] : placeOf(name, target))),
  )
  return [
    ...check.checks,
    ...backoffs.map(({ name, target, reason, message, retryAt, failures }): AcceptedFinding => {
      const times = failures === 1 ? "" : ` ${failures} times`
      const sentence = `the agent failed at it${times}, and tries again at ${retryAt}: ${message}`
      const isMade = existing.has(placeOf(name, target))
      const hint = isMade ? `keyferry rewrap ${name}` : "`keyferry apply` tries it now, and says what helps"
      return { id: reason, status: "warning", message: sentence, name, target, hint, acceptedUntil: null }
    }),
  ]
}

/** All keys, the most urgent first, then by the end of their material, then by name. */
export function reportRows(report: FleetReport): readonly ReportRow[] {
  const before = ROWS.get(report)
  if (before !== undefined) return before
  const rows = rowsOf(report)
  ROWS.set(report, rows)
  return rows
}

/** Of a large fleet they are made once, not for each page that is asked for. */
const ROWS = new WeakMap<FleetReport, readonly ReportRow[]>()

function rowsOf(report: FleetReport): readonly ReportRow[] {
  const now = report.at.getTime()
  const findings = Map.groupBy(findingsOf(report), ({ name, target }) => placeOf(name, target))
  const failed = new Set(report.backoffs.map(({ name, target, replaced }) => placeOf(name, target, replaced)))
  const rows = report.status.keys.map((key): ReportRow => {
    const { name, target, replaced } = key
    const rowFindings = [...(findings.get(placeOf(name, target)) ?? [])].sort(bySeverity)
    const urgency = stateOf(key, rowFindings, failed.has(placeOf(name, target, replaced)))
    return { key, urgency, findings: rowFindings, materials: materialsOf(key), firstEnd: firstEnd(key, now) }
  })
  return rows.sort(
    (a, b) =>
      ORDER.indexOf(a.urgency) - ORDER.indexOf(b.urgency) ||
      endTime(a) - endTime(b) ||
      (a.key.name < b.key.name ? -1 : a.key.name > b.key.name ? 1 : 0),
  )
}

function stateOf(key: StatusRow, findings: readonly AcceptedFinding[], isFailed: boolean): ReportRow["urgency"] {
  const urgency = urgencyOf(key, key.dead !== null)
  if (isFailed && urgency !== "dead") return "failed"
  if (urgency !== "well") return urgency
  if (findings.some(({ id, status }) => id === "EXPIRES_SOON" && status !== "ok")) return "dying"
  // who only looks plans nothing, and says all the same what is to be done
  return key.outcome === "nothing" && key.action !== "none" ? "due" : "well"
}

/** When its first material ends, ms since 1970; Infinity where no end is known. */
export const endTime = ({ firstEnd: end }: Pick<ReportRow, "firstEnd">): number => ("at" in end ? end.at : Infinity)

const placeOf = (...parts: readonly (string | boolean | null)[]): string => JSON.stringify(parts)

const bySeverity = (a: AcceptedFinding, b: AcceptedFinding): number =>
  CHECK_STATUSES.indexOf(a.status) - CHECK_STATUSES.indexOf(b.status)
