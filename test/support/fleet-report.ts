import type { StatusRow } from "#src/app/fleet/status.js"
import type { AcceptedFinding } from "#src/core/plan/acceptance.js"
import { summarise } from "#src/core/plan/row.js"
import type { FleetReport } from "#src/report/fleet-report.js"
import { statusRow } from "#test/support/status-row.js"

export const REPORTED_AT = new Date("2026-11-28T12:00:00Z")
const DAY_MS = 86_400_000

/** RFC 3339, so many days after the report. */
export const time = (days: number): string =>
  `${new Date(REPORTED_AT.getTime() + days * DAY_MS).toISOString().slice(0, 19)}Z`

/** A key whose material was imported ninety days before it ends, so many days from the report. */
export function reportedKey(
  kind: Parameters<typeof statusRow>[0],
  name: string,
  { ends, target = "eu" }: { readonly ends: number; readonly target?: string },
): StatusRow {
  const row = statusRow(kind, name, target)
  const life = { validTo: time(ends), importedAt: time(ends - 90) }
  return { ...row, generations: row.generations.map((generation) => ({ ...generation, ...life })) }
}

export const finding = (id: string, name: string, more: Partial<AcceptedFinding> = {}): AcceptedFinding => ({
  ...{ id, status: "critical", message: `${id} of ${name}`, name, target: "eu", hint: `keyferry recover ${name}` },
  ...{ acceptedUntil: null, ...more },
})

export function fleetReport(keys: readonly StatusRow[], checks: readonly AcceptedFinding[] = []): FleetReport {
  const vault = { sealed: 0, findings: [], custodyKeys: [] }
  const status = { keys, summary: summarise(keys), tokens: [], custodyKeys: [], vault, operations: [] }
  const check = { status: "critical", checks, perfdata: "", keys: { well: keys.length, unprovisioned: 0 } } as const
  return { owner: "test", version: "0.0.0", at: REPORTED_AT, status, check, backoffs: [], agent: null }
}
