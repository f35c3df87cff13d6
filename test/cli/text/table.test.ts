import { expect } from "chai"
import stringWidth from "string-width"
import { PLAIN } from "#src/cli/text/layout.js"
import { table } from "#src/cli/text/table.js"

describe("tables", () => {
  it("stand in columns as wide as what is in them, by what a terminal shows", () => {
    const rows = [
      ["a", null, 1],
      ["long name", "鍵e\u0301", 23],
    ]
    expect(table(["NAME", "WHAT", "N"], rows, PLAIN).split("\n")).to.deep.equal([
      "NAME       WHAT  N",
      "a          -     1",
      "long name  鍵e\u0301   23",
    ])
  })

  it("hold each cell on its line, whatever it is made of", () => {
    const laid = table(["NAME", "WHAT"], [["a\nb  done", "\u001b[2J\u202e"]], PLAIN)
    expect(laid.split("\n")).to.deep.equal(["NAME        WHAT", "a\\nb  done  \\x1b[2J\\u202e"])
  })

  it("cut the widest cells for a terminal, and keep a code at a cell's end", () => {
    const rows = [
      ["payments", "a long remark of one key"],
      ["sign", "its key material expires on 2026-12-05 [DUE]"],
    ]
    const cut = (width: number) => table(["NAME", "REMARK"], rows, { width, wide: false }).split("\n")
    expect(cut(40)).to.deep.equal([
      "NAME      REMARK",
      "payments  a long remark of one key",
      "sign      its key material expire… [DUE]",
    ])
    expect(cut(36)).to.deep.equal([
      "NAME      REMARK",
      "payments  a long remark of one key",
      "sign      its key material ex… [DUE]",
    ])
    expect(cut(24)).to.deep.equal(["NAME      REMARK", "payments  a long remark…", "sign      DUE"])
    expect(table(["NAME", "REMARK"], rows, { width: 24, wide: true })).to.include("2026-12-05 [DUE]")
  })

  it("cut names in their middle, since they differ at their ends, and days last", () => {
    const rows = ["01", "02"].map((end) => [`payments-of-the-shop-${end}`, "rewrap 2027-01-25", "a".repeat(99)])
    expect(table(["NAME", "NEXT", "REMARK"], rows, { width: 50, wide: false }).split("\n")).to.deep.equal([
      "NAME            NEXT               REMARK",
      "payment…hop-01  rewrap 2027-01-25  aaaaaaaaaaaaaa…",
      "payment…hop-02  rewrap 2027-01-25  aaaaaaaaaaaaaa…",
    ])
  })

  it("have no line that is longer than the terminal, whatever is in them and however narrow it is", () => {
    const cells = ["a".repeat(63), "鍵".repeat(40), "🇫🇷👩‍👩‍👧‍👧 e\u0301".repeat(9), "\u001b[31m".repeat(9), null, 12]
    const rows = Array.from({ length: 30 }, (_, row) => cells.map((_, column) => cells[(row + column) % 6] ?? null))
    for (const width of [1, 2, 5, 11, 20, 40, 79, 80, 120, 400]) {
      const lines = table(["NAME", "STATE", "鍵の名前", "DAYS LEFT", "NEXT", "REMARK"], rows, {
        width,
        wide: false,
      }).split("\n")
      expect(lines).to.have.length(31)
      expect(Math.max(...lines.map((line) => stringWidth(line))), `${width} columns`).to.be.at.most(width)
    }
  })
})
