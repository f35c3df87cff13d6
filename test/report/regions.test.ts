import { expect } from "chai"
import type { StatusRow } from "#src/app/fleet/status.js"
import { reportRows } from "#src/report/fleet-report.js"
import { regionSummaries } from "#src/report/regions.js"
import { fleetReport, REPORTED_AT, reportedKey, time } from "#test/support/fleet-report.js"

const summaries = (keys: readonly StatusRow[]) =>
  regionSummaries(reportRows(fleetReport(keys)), REPORTED_AT.getTime()).map(
    ({ region, keys: count, counts: { dead }, behind, behindDays }) => ({ region, count, dead, behind, behindDays }),
  )

/** A key in one Region, which ends so many days from now. */
function keyIn(region: string, kind: Parameters<typeof reportedKey>[0], ends: number): StatusRow {
  const row = reportedKey(kind, "payments", { ends, target: region })
  return {
    ...row,
    keyStates: row.keyStates.map((state) => ({ ...state, region })),
    generations: row.generations.map((generation) => ({ ...generation, region })),
  }
}

describe("Regions of a fleet", () => {
  it("has first the one where keys are dead, then the one that is behind", () => {
    const keys = [keyIn("a", "well", 80), keyIn("b", "due", 5), keyIn("c", "dead", -2)]
    expect(summaries(keys)).to.deep.equal([
      { region: "c", count: 1, dead: 1, behind: 1, behindDays: 0 },
      { region: "b", count: 1, dead: 0, behind: 1, behindDays: 75 },
      { region: "a", count: 1, dead: 0, behind: 0, behindDays: 0 },
    ])
  })

  it("calls nothing behind that is well, though it was imported at another time", () => {
    expect(summaries([keyIn("a", "well", 80), keyIn("b", "well", 45)]).map(({ behind }) => behind)).to.deep.equal([
      0, 0,
    ])
  })

  it("tells Regions of one key apart: material that a replica lacks is behind there alone", () => {
    const key = keyIn("a", "well", 80)
    const [material] = key.generations
    if (material === undefined) throw new Error("no generation")
    const replica = { region: "b", keyArn: "arn", keyState: "PendingImport" }
    const key2 = {
      ...key,
      dead: {
        reason: "EXPIRED",
        regions: ["b"],
        validTo: time(-1),
        message: "",
        holdsBack: "",
        command: null,
      } as const,
      keyStates: [...key.keyStates, replica],
      generations: [material, { ...material, region: "b", state: "lost", validTo: time(-1) }],
    }
    expect(summaries([key2])).to.deep.equal([
      { region: "b", count: 1, dead: 1, behind: 1, behindDays: 0 },
      { region: "a", count: 1, dead: 0, behind: 0, behindDays: 0 },
    ])
  })

  it("knows a Region whose keys were not reached, by what was recorded", () => {
    const row = keyIn("b", "unreachable", 0)
    const recorded = [{ region: "b", generation: 0, validTo: time(4), importedAt: time(-86) }]
    const [first] = regionSummaries(
      reportRows(fleetReport([keyIn("a", "well", 80), { ...row, recorded }])),
      REPORTED_AT.getTime(),
    )
    expect(first).to.deep.include({ region: "b", behind: 1, behindDays: 76, next: Date.parse(time(4)) })
    expect(first?.counts.unseen).to.equal(1)
  })
})
