import type { RoundReport } from "#src/agent/agent.js"
import type { Sight } from "#src/agent/sight.js"
import type { StatusRow, Status } from "#src/app/fleet/status.js"
import type { AcceptedFinding } from "#src/core/plan/acceptance.js"
import { summarise } from "#src/core/plan/row.js"

const AT = new Date("2026-11-28T12:00:00Z")

/** What a round saw: keys, findings, and in which state its one token was. */
export function sightOf(
  keys: readonly StatusRow[],
  checks: readonly AcceptedFinding[] = [],
  token: Status["tokens"][number]["state"] = "looked at",
): Sight {
  const vault = { sealed: 0, findings: [], custodyKeys: [] }
  const tokens = [{ name: "only", state: token, message: null }]
  const status = { keys, summary: summarise(keys), tokens, custodyKeys: [], vault, operations: [] }
  return {
    at: AT,
    status,
    check: { status: "ok", checks, perfdata: "", keys: { well: keys.length, unprovisioned: 0 } },
  }
}

/** A round that went well, but for what is said otherwise. */
export function roundReport(more: Partial<RoundReport> = {}): RoundReport {
  return {
    run: "0b2a65c2-39ce-4568-ae5f-8e0ff2776ca8",
    trigger: "schedule",
    began: AT,
    ended: AT,
    outcome: "done",
    round: { rows: [], backoffs: [], degraded: [] },
    sight: sightOf([]),
    pause: null,
    error: null,
    kmsOffsetMs: 0,
    ...more,
  }
}
