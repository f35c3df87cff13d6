import type { StatusRow } from "#src/app/fleet/status.js"
import { type DecisionRow, decisionRow } from "#src/core/plan/decision-row.js"
import { lossOf } from "#src/core/plan/loss.js"
import { plan } from "#src/core/plan/plan.js"
import type { Snapshot } from "#src/core/plan/snapshot.js"
import { BINDING, days, entryOf, failed, importRecord, REGION, seen, snapshot } from "#test/support/plan-world.js"

const KINDS = {
  dead: {
    key: seen({ keyState: "PendingImport", validTo: null }),
    entry: entryOf([importRecord(0, { validTo: days(-1) })]),
  },
  due: { key: seen({ validTo: days(5) }), entry: entryOf([importRecord(0, { validTo: days(5) })]) },
  unreachable: { key: failed("ERR_KMS_UNREACHABLE", "DescribeKey: nothing listens there (ECONNREFUSED)") },
  well: {},
} satisfies Record<string, Partial<Snapshot>>

/** A row of `status`, decided as the program decides. */
export function statusRow(kind: keyof typeof KINDS, name: string, target: string): StatusRow {
  const world = snapshot({ ...KINDS[kind], binding: { ...BINDING, name, target } })
  const decision = plan(world)
  const outcome = decision.action === "blocked" ? "blocked" : decision.action === "none" ? "nothing" : "planned"
  const row: DecisionRow = decisionRow(world, decision, outcome)
  const generation = {
    region: REGION,
    generation: 0,
    keyMaterialId: null,
    validTo: null,
    importedAt: null,
    source: null,
    sourceNote: null,
    proof: null,
  }
  const state = kind === "dead" ? "lost" : "imported"
  const keyState = kind === "unreachable" ? null : kind === "dead" ? "PendingImport" : "Enabled"
  return {
    ...row,
    managed: true,
    alias: null,
    dead: lossOf(world),
    keyStates: [{ region: REGION, keyArn: row.keyArn ?? "", keyState }],
    generations: kind === "unreachable" ? [] : [{ ...generation, state, daysLeft: kind === "dead" ? 0 : 40 }],
    recorded: [],
  }
}
