import { expect } from "chai"
import stringWidth from "string-width"
import type { Status, StatusRow } from "#src/app/fleet/status.js"
import { statusText } from "#src/cli/text/status-text.js"
import { decisionsText } from "#src/cli/text/decision-text.js"
import { summaryText } from "#src/cli/text/rows-text.js"
import type { Layout } from "#src/cli/text/layout.js"
import type { DecisionRow } from "#src/core/plan/decision-row.js"
import { summarise } from "#src/core/plan/row.js"
import { statusRow as rowOf } from "#test/support/status-row.js"

/** Over 3 accounts and 4 Regions; what needs a person stands among what does not. */
function fleet(count: number): readonly StatusRow[] {
  const kinds = ["dead", "due", "unreachable"] as const
  const wanted = { dead: 5, due: 7, unreachable: 98 }
  return Array.from({ length: count }, (_, at) => {
    const place = `account-${at % 3}-region-${at % 4}`
    const kind = kinds.find((candidate) => at % 2 === 1 && wanted[candidate] > 0) ?? "well"
    if (kind !== "well") wanted[kind] -= 1
    return rowOf(kind, `payments-service-${String(at).padStart(5, "0")}`, place)
  })
}

const layout = (width: number | undefined, more: Partial<Layout> = {}): Layout => ({
  width,
  wide: false,
  quiet: false,
  ...more,
})

function textOf(keys: readonly StatusRow[], shown: Layout): string {
  const vault = { sealed: 0, findings: [], custodyKeys: [] }
  const status: Status = { keys, summary: summarise(keys), tokens: [], custodyKeys: [], vault, operations: [] }
  return statusText(status, shown)
}

describe("status on a screen", () => {
  const keys = fleet(300)

  for (const width of [80, 120]) {
    it(`says in ten lines of ${width} columns what needs a person, and has no longer line`, () => {
      const lines = textOf(keys, layout(width)).split("\n")
      expect(Math.max(...lines.map((line) => stringWidth(line)))).to.be.at.most(width)
      const first = lines.slice(0, 10).join("\n")
      expect(lines[0]).to.equal("300 keys: 5 dead, 7 due, 98 not reached, 190 well")
      expect(first).to.match(
        /^dead: `keyferry recover --plan`, then `keyferry recover --yes`:\s+payments-service-00001\s+\(account-1-region-1\),/m,
      )
      expect(first).to.match(/^due: `keyferry apply`: payments-service-/m)
      expect(first).to.match(/^not reached: `keyferry doctor`: account-\d-region-\d \(\d+\),/m)
    })
  }

  it("has the dead first, then the due, then what was not reached, a line each", () => {
    const lines = textOf(keys, layout(80)).split("\n")
    const head = lines.findIndex((line) => line.startsWith("NAME"))
    const rows = lines.slice(head + 1, head + 301)
    expect(rows.slice(0, 5).every((row) => row.includes("PendingImport  dead"))).to.equal(true)
    expect(rows.slice(5, 12).every((row) => row.includes("rewrap now"))).to.equal(true)
    expect(rows.slice(12, 110).every((row) => row.includes("not known"))).to.equal(true)
    expect(rows.slice(110).every((row) => row.includes("Enabled"))).to.equal(true)
    // what is said below does not grow with the rows
    expect(lines.length - head - 301).to.be.at.most(12)
  })

  it("says equal hints once, for how many keys, and with -o wide for which", () => {
    const hints = (text: string) => text.split("\n").filter((line) => line.includes("check network"))
    expect(hints(textOf(keys, layout(undefined)))).to.have.length(1)
    expect(hints(textOf(keys, layout(undefined)))[0]).to.match(/^98 keys: hint: check network.* and 94 more$/)
    expect(hints(textOf(keys, layout(undefined, { wide: true })))[0]).to.match(
      /^98 keys: hint: .*; for (\S+ \(\S+\),? ?){98}$/,
    )
  })

  it("counts keys and bindings apart", () => {
    const both = ["prod-eu", "prod-us"].flatMap((target) => [rowOf("well", "a", target), rowOf("well", "b", target)])
    expect(textOf(both, layout(80))).to.match(/^2 keys, 4 bindings: 4 nothing$/m)
    expect(textOf(both.slice(0, 2), layout(80))).to.match(/^2 keys: 2 nothing$/m)
    const ofOne = rowOf("well", "a", "prod-eu")
    expect(summaryText([ofOne, ofOne, rowOf("well", "a", "prod-us")])).to.equal(
      "1 key, 2 bindings, 3 KMS keys: 3 nothing",
    )
    const source = { ...ofOne, target: null }
    expect(summaryText([source, source])).to.equal("1 key, 2 source keys: 2 nothing")
  })

  it("is quiet of what is well", () => {
    expect(textOf([rowOf("well", "a", "t")], layout(80, { quiet: true }))).to.equal("")
    expect(decisionsText([rowOf("well", "a", "t")], "rewrap", layout(80, { quiet: true }))).to.equal("")
    const quiet = textOf([rowOf("well", "a", "t"), rowOf("unreachable", "b", "t")], layout(undefined, { quiet: true }))
    expect(quiet).to.match(/^b \(t\): KMS could not be asked: .*\[KMS_UNREACHABLE\]\nb \(t\): hint: /)
    expect(quiet).to.not.match(/^a/m)
  })

  it("says of a generation that is lost which it is", () => {
    const text = textOf([rowOf("dead", "a", "t")], layout(undefined, { wide: true }))
    expect(text)
      .to.include("generation 0 lost")
      .and.to.not.match(/ 0 lost(?<!generation 0 lost)/)
  })

  it("says of what was done what it was, and not what comes next", () => {
    const done: DecisionRow = { ...rowOf("well", "a", "t"), outcome: "done", did: ["provision", "correct"] }
    expect(decisionsText([done], "apply", layout(undefined))).to.match(/^a +t +done +provisioned, corrected$/m)
  })

  it("lays out ten times the rows in about ten times the work: nothing is counted row by row against all others", () => {
    // 10,000 rows with a square in it would not end within mocha's time
    const text = textOf(fleet(10_000), layout(80))
    expect(text.split("\n").length).to.be.greaterThan(10_000)
  })
})
