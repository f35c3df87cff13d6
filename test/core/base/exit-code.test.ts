import { expect } from "chai"
import { EXIT_CODES, worstExit } from "#src/core/base/exit-code.js"

describe("worstExit", () => {
  const cases: [names: Parameters<typeof worstExit>[0], status: number][] = [
    [[], 0],
    [["OK", "OK"], 0],
    [["WORK_FOUND", "OK"], 2],
    [["TEMPFAIL", "UNAVAILABLE"], 69],
    [["DATAERR", "PROOF", "CONFIG"], 76],
    [["NOPERM", "SOFTWARE"], 70],
    [["CANTCREAT", "IOERR"], 74],
  ]
  for (const [names, status] of cases) {
    it(`${names.join(" + ") || "nothing"} is ${status}`, () => {
      expect(EXIT_CODES[worstExit(names)].status).to.equal(status)
    })
  }
})
