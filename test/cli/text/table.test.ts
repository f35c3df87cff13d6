import { expect } from "chai"
import { table } from "#src/cli/text/table.js"

describe("tables", () => {
  it("stand in columns as wide as what is in them, by what a terminal shows", () => {
    const rows = [
      ["a", null, 1],
      ["long name", "鍵e\u0301", 23],
    ]
    expect(table(["NAME", "WHAT", "N"], rows).split("\n")).to.deep.equal([
      "NAME       WHAT  N",
      "a          -     1",
      "long name  鍵e\u0301   23",
    ])
  })

  it("hold each cell on its line, whatever it is made of", () => {
    const laid = table(["NAME", "WHAT"], [["a\nb  done", "\u001b[2J\u202e"]])
    expect(laid.split("\n")).to.deep.equal(["NAME        WHAT", "a\\nb  done  \\x1b[2J\\u202e"])
  })

  it("gives a narrow terminal one row after the other", () => {
    const rows = [
      ["payments", "a long remark"],
      ["sign", null],
    ]
    expect(table(["NAME", "WHAT"], rows, 23)).to.equal("NAME      WHAT\npayments  a long remark\nsign      -")
    expect(table(["NAME", "WHAT"], rows, 22)).to.equal("NAME  payments\nWHAT  a long remark\n\nNAME  sign\nWHAT  -")
  })
})
