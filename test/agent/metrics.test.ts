import { expect } from "chai"
import { Metrics } from "#src/agent/metrics.js"
import { roundReport, sightOf } from "#test/support/round-report.js"
import { statusRow } from "#test/support/status-row.js"

const at = (day: number): string => `2026-12-${String(day).padStart(2, "0")}T00:00:00Z`

/** A key whose material ends on a day of December. */
function ending(day: number, replaced: boolean) {
  const row = statusRow("well", "a", "eu")
  const generations = row.generations.map((generation) => ({ ...generation, validTo: at(day), importedAt: at(1) }))
  return { ...row, replaced, generations }
}

const EXPIRATION = /^keyferry_key_material_expiration_timestamp_seconds\{[^}]*\} (\d+)$/gm

describe("the agent's metrics", () => {
  for (const [first, second] of [
    [20, 10],
    [10, 20],
  ] as const) {
    it(`tell of a key and of the one that it replaced the earlier end: ${first}, ${second}`, async () => {
      const metrics = new Metrics("0.0.0")
      metrics.take(roundReport({ sight: sightOf([ending(first, false), ending(second, true)]) }))
      const ends = [...(await metrics.text()).matchAll(EXPIRATION)].map(([, seconds]) => Number(seconds))
      expect(ends).to.deep.equal([Date.parse(at(10)) / 1000])
    })
  }

  it("forget a key that is gone, and what its date was before", async () => {
    const metrics = new Metrics("0.0.0")
    metrics.take(roundReport({ sight: sightOf([ending(10, false)]) }))
    metrics.take(roundReport({ sight: sightOf([ending(20, false)]) }))
    expect(await metrics.text()).to.match(
      new RegExp(`expiration_timestamp_seconds\\{.*\\} ${Date.parse(at(20)) / 1000}$`, "m"),
    )
    metrics.take(roundReport({ sight: sightOf([]) }))
    expect([...(await metrics.text()).matchAll(EXPIRATION)]).to.deep.equal([])
  })
})
