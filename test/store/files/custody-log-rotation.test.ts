import { copyFileSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect } from "chai"
import { verifyChain } from "#src/core/records/custody-chain.js"
import { custodyLogFile } from "#src/store/files/custody-log.js"
import { CUSTODY_LOG } from "#src/store/archive/log-parts.js"
import { custodyLines, verifiedEnd } from "#src/store/files/custody-log-reader.js"
import { rotateLog } from "#src/store/files/custody-log-rotation.js"
import { expectCode } from "#test/support/expect-code.js"
import { temporaryFolder } from "#test/support/temp-dir.js"

const at = (time: string) => ({ now: () => new Date(time) })

describe("closing earlier years of the custody log", () => {
  const folder = temporaryFolder()
  const append = (time: string, name: string): Promise<void> =>
    custodyLogFile(folder(), at(time)).append({ event: "source.generated", name, facts: {} })
  const read = (file: string): string[] => readFileSync(join(folder(), file), "utf8").split("\n").slice(0, -1)
  const names = (lines: Iterable<string>): (string | undefined)[] =>
    [...lines].map((line) => (JSON.parse(line) as { name?: string; event: string }).name)
  const logs = (): string[] =>
    readdirSync(folder())
      .filter((name) => name.startsWith("custody.log"))
      .sort()

  async function threeYears(): Promise<void> {
    await append("2024-12-31T23:00:00Z", "a")
    await append("2025-01-01T00:00:00Z", "b")
    await append("2025-06-01T00:00:00Z", "c")
    await append("2026-01-02T00:00:00Z", "d")
  }

  it("moves their lines to a file that is written no more, and goes on with the same chain", async () => {
    await threeYears()
    const closed = await rotateLog(folder(), at("2026-02-01T00:00:00Z"))
    const file = "custody.log.2024-2025.jsonl"
    const { hash } = JSON.parse(read(file)[2] ?? "") as { hash: string }
    expect(closed).to.deep.equal({ file, lines: 3, head: hash })
    expect(statSync(join(folder(), file)).mode & 0o777).to.equal(0o400)
    expect(names(read(file))).to.deep.equal(["a", "b", "c"])
    expect(JSON.parse(read(CUSTODY_LOG)[0] ?? "")).to.include({ name: "d", previous: hash, seq: 4 })
    await append("2026-02-02T00:00:00Z", "e")
    expect(names(custodyLines(folder()))).to.deep.equal(["a", "b", "c", "d", undefined, "e"])
    expect(verifiedEnd(folder()).seq).to.equal(6)
  })

  it("closes all there is where nothing is of this year, and the next line continues it", async () => {
    await append("2025-03-01T00:00:00Z", "a")
    await rotateLog(folder(), at("2026-02-01T00:00:00Z"))
    const { previous } = JSON.parse(read(CUSTODY_LOG)[0] ?? "") as { previous: string }
    expect(JSON.parse(read("custody.log.2025.jsonl")[0] ?? "")).to.include({ hash: previous })
    // whoever removes what is left begins no new chain
    rmSync(join(folder(), CUSTODY_LOG))
    await append("2026-02-02T00:00:00Z", "b")
    expect(JSON.parse(read(CUSTODY_LOG)[0] ?? "")).to.include({ name: "b", previous, seq: 2 })
  })

  it("does nothing where no line is of an earlier year, or there is no log", async () => {
    expect(await rotateLog(folder(), at("2026-02-01T00:00:00Z"))).to.equal(null)
    await append("2026-01-02T00:00:00Z", "a")
    const before = readFileSync(join(folder(), CUSTODY_LOG))
    expect(await rotateLog(folder(), at("2026-02-01T00:00:00Z"))).to.equal(null)
    expect(readFileSync(join(folder(), CUSTODY_LOG)).equals(before)).to.equal(true)
  })

  it("closes year after year, a year that was closed already under another name", async () => {
    await threeYears()
    await rotateLog(folder(), at("2026-02-01T00:00:00Z"))
    await rotateLog(folder(), at("2027-02-01T00:00:00Z"))
    await append("2026-12-31T00:00:00Z", "by a slow clock")
    await rotateLog(folder(), at("2027-03-01T00:00:00Z"))
    expect(logs()).to.deep.equal([
      ...["custody.log.2024-2025.jsonl", "custody.log.2026-2027.jsonl", "custody.log.2026.jsonl", CUSTODY_LOG],
    ])
    expect(verifyChain(custodyLines(folder()))).to.have.property("end")
    expect(verifiedEnd(folder()).seq).to.equal(8)
  })

  it("is finished by the next run where one was killed before the lines left the log, which nobody sees twice", async () => {
    await threeYears()
    copyFileSync(join(folder(), CUSTODY_LOG), join(folder(), "kept"))
    await rotateLog(folder(), at("2026-02-01T00:00:00Z"))
    // as it was before the last step: closed, and in the log as well
    rmSync(join(folder(), CUSTODY_LOG))
    copyFileSync(join(folder(), "kept"), join(folder(), CUSTODY_LOG))
    expect(names(custodyLines(folder()))).to.deep.equal(["a", "b", "c", "d"])
    await append("2026-02-02T00:00:00Z", "e")
    await rotateLog(folder(), at("2026-02-03T00:00:00Z"))
    expect(logs()).to.deep.equal(["custody.log.2024-2025.jsonl", CUSTODY_LOG])
    expect(names(read(CUSTODY_LOG))).to.deep.equal(["d", "e", undefined])
    expect(verifiedEnd(folder()).seq).to.equal(6)
  })

  it("refuses a chain that does not hold, in a closed part too, and changes nothing", async () => {
    await threeYears()
    await rotateLog(folder(), at("2026-02-01T00:00:00Z"))
    const file = join(folder(), "custody.log.2024-2025.jsonl")
    const text = readFileSync(file, "utf8").split("\n")
    rmSync(file)
    writeFileSync(file, [text[0], text[2], ""].join("\n"), { mode: 0o400 })
    const error = await expectCode("ERR_STATE_INVALID", () => rotateLog(folder(), at("2027-02-01T00:00:00Z")))
    expect(error.message).to.match(/line 2 has seq 3, not 2/)
    expect(logs()).to.deep.equal(["custody.log.2024-2025.jsonl", CUSTODY_LOG])
  })
})
