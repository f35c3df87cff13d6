import { expect } from "chai"
import { table } from "#src/cli/table.js"

describe("tables", () => {
  it("stand in columns as wide as what is in them, by what a terminal shows", () => {
    const rows = [
      ["a", null, 1],
      ["long name", "鍵e\u0301\nsecond", 23],
    ]
    expect(table(["NAME", "WHAT", "N"], rows).split("\n")).to.deep.equal([
      "NAME       WHAT    N",
      "a          -       1",
      "long name  鍵e\u0301     23",
      "           second",
    ])
  })

  it("of 10,000 rows are laid out at once", () => {
    const rows = Array.from({ length: 10_000 }, (_, at) => [`name-${at}`, "all is well", at])
    const before = process.cpuUsage()
    expect(table(["NAME", "WHAT", "N"], rows).split("\n")).to.have.length(10_001)
    expect(process.cpuUsage(before).user / 1000).to.be.lessThan(1000)
  })
})
