import { appendFileSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect } from "chai"
import { custodyLogFile } from "#src/store/files/custody-log.js"
import { CUSTODY_LOG } from "#src/store/archive/log-parts.js"
import { custodyLines, LONGEST_LINE, linesOf, verifiedEnd } from "#src/store/files/custody-log-reader.js"
import { expectCode } from "#test/support/expect-code.js"
import { openFiles } from "#test/support/open-files.js"
import { temporaryFolder } from "#test/support/temp-dir.js"

const clock = { now: () => new Date("2026-03-01T12:00:00Z") }

describe("reading the whole custody log", () => {
  const folder = temporaryFolder()
  const path = (): string => join(folder(), CUSTODY_LOG)

  it("gives lines as they are that are longer than what is read at once, and leaves a torn one out", async () => {
    const log = custodyLogFile(folder(), clock)
    for (const length of [10, 65_000, 10, 150_000, 10]) {
      await log.append({ event: "source.generated", name: "a", facts: { long: "ö".repeat(length) } })
    }
    const text = readFileSync(path(), "utf8")
    appendFileSync(path(), '{"seq":6')
    expect([...linesOf(path())].map((line) => `${line}\n`).join("")).to.equal(text)
    expect([...custodyLines(folder())]).to.have.length(5)
    expect(verifiedEnd(folder()).seq).to.equal(5)
    // who takes the first line only has it closed as well
    for (const line of linesOf(path())) {
      expect(line).to.match(/^\{"seq":1,/)
      break
    }
    expect(openFiles(folder())).to.deep.equal([])
  })

  it("ends at a line that has no end", async () => {
    writeFileSync(path(), "x".repeat(LONGEST_LINE + 100_000), { mode: 0o600 })
    await expectCode("ERR_STATE_INVALID", () => [...linesOf(path())])
    expect(openFiles(folder())).to.deep.equal([])
  })
})
