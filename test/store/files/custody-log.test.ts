import { execFileSync } from "node:child_process"
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs"
import { join } from "node:path"
import { expect } from "chai"
import { sealLine, NO_LINES, verifyChain } from "#src/core/records/custody-chain.js"
import type { CustodyEvent } from "#src/core/records/custody-event.js"
import { custodyLogFile } from "#src/store/files/custody-log.js"
import { CUSTODY_LOG } from "#src/store/archive/log-parts.js"
import { expectCode } from "#test/support/expect-code.js"
import { openFiles } from "#test/support/open-files.js"
import { temporaryFolder } from "#test/support/temp-dir.js"

const clock = { now: () => new Date("2026-03-01T12:00:00Z") }
const event = (name: string): CustodyEvent => ({ event: "source.generated", name, facts: { "a,b": 'quoted "hash":"' } })

describe("the chain of the custody log", () => {
  const chain = ["a", "b", "c", "d"].reduce<{ lines: string[]; end: typeof NO_LINES }>(
    ({ lines, end }, name) => {
      const line = sealLine(end, "2026-03-01T12:00:00.000Z", event(name))
      return { lines: [...lines, line.text], end: line.end }
    },
    { lines: [], end: NO_LINES },
  )
  const { lines } = chain
  const at = (index: number): string => lines[index] ?? ""

  it("holds as it was written", () => {
    expect(verifyChain(lines)).to.deep.equal({ end: chain.end })
    expect(verifyChain([])).to.deep.equal({ end: NO_LINES })
    const { hash } = JSON.parse(at(0)) as { readonly hash: string }
    expect(JSON.parse(at(1))).to.include({ seq: 2, event: "source.generated", previous: hash })
  })

  const other = sealLine(NO_LINES, "2026-03-01T12:00:00.000Z", event("x"))
  const resealed = sealLine(NO_LINES, "2026-03-02T00:00:00.000Z", event("a")).text
  const cases: [what: string, lines: readonly string[], line: number][] = [
    ["a line that was edited", [at(0), at(1).replace('"name":"b"', '"name":"B"'), at(2), at(3)], 2],
    ["the last line edited", [at(0), at(1), at(2), at(3).replace('"name":"d"', '"name":"D"')], 4],
    ["a line that was edited and hashed anew", [resealed, at(1), at(2), at(3)], 2],
    ["a line that was dropped", [at(0), at(2), at(3)], 2],
    ["the first line dropped", [at(1), at(2), at(3)], 1],
    ["lines that were swapped", [at(0), at(2), at(1), at(3)], 2],
    ["a line put between", [at(0), other.text, at(1), at(2), at(3)], 2],
    ["a line repeated", [at(0), at(1), at(1), at(2), at(3)], 3],
    ["what is no line", [at(0), "{}", at(1)], 2],
  ]
  for (const [what, changed, line] of cases) {
    it(`finds ${what}`, () => {
      const found = verifyChain(changed)
      expect("line" in found && found.line).to.equal(line)
    })
  }
})

describe("the custody log file", () => {
  const folderOfTest = temporaryFolder()
  const fresh = () => {
    const folder = folderOfTest()
    const path = join(folder, CUSTODY_LOG)
    const lines = (): string[] => readFileSync(path, "utf8").split("\n").slice(0, -1)
    return { folder, path, lines, log: () => custodyLogFile(folder, clock) }
  }

  it("is closed after each line, after a look at its end, and where nothing can be appended", async () => {
    const { folder, path, log } = fresh()
    await log().append(event("first"))
    await log().check()
    appendFileSync(path, "not a line")
    await expectCode("ERR_STATE_INVALID", () => log().append(event("second")))
    await expectCode("ERR_STATE_INVALID", () => log().check())
    expect(openFiles(folder)).to.deep.equal([])
  })

  it("is appended to across processes and in one, chained and private", async () => {
    const { path, lines, log } = fresh()
    const [one, two] = [log(), log()]
    await one.append(event("first"))
    await Promise.all([1, 2, 3, 4, 5].map((n) => (n % 2 === 0 ? one : two).append(event(`n${n}`))))
    await log().append({ event: "source.generated", name: "last", facts: { long: "x".repeat(40_000) } })
    await log().append(event("after a long one"))
    expect(lines()).to.have.length(8)
    expect(verifyChain(lines())).to.have.property("end")
    expect(statSync(path).mode & 0o777).to.equal(0o600)
  })

  for (const [what, torn] of [
    ["torn", '{"seq":3,"ti'],
    ["filled with zeros", "\0".repeat(50)],
    ["of another log, without its newline", sealLine(NO_LINES, "t", event("x")).text],
    ["torn before zeros", `{"seq":3,"ti${"\0".repeat(4096)}`],
  ] as const) {
    it(`cuts off a last line ${what}, and records that`, async () => {
      const { path, lines, log } = fresh()
      await log().append(event("a"))
      await log().append(event("b"))
      appendFileSync(path, torn)
      await log().append(event("c"))
      expect(lines().map((line) => (JSON.parse(line) as CustodyEvent).event)).to.deep.equal([
        ...["source.generated", "source.generated", "log.truncated", "source.generated"],
      ])
      expect(verifyChain(lines())).to.have.property("end")
      expect(JSON.parse(lines()[2] ?? "")).to.have.nested.property("facts.bytes", Buffer.byteLength(torn))
    })
  }

  it("completes a last line that lacks its newline alone, and cuts nothing", async () => {
    const { path, lines, log } = fresh()
    await log().append(event("a"))
    await log().append(event("b"))
    truncateSync(path, statSync(path).size - 1)
    await log().append(event("c"))
    expect(lines().map((line) => (JSON.parse(line) as CustodyEvent).name)).to.deep.equal(["a", "b", "c"])
    expect(verifyChain(lines())).to.have.property("end")
  })

  it("completes the only line as well", async () => {
    const { path, lines, log } = fresh()
    await log().append(event("a"))
    truncateSync(path, statSync(path).size - 1)
    await log().append(event("b"))
    expect(lines().map((line) => (JSON.parse(line) as CustodyEvent).name)).to.deep.equal(["a", "b"])
  })

  for (const [what, end] of [
    ["another program's text", "root:x:0:0:root:/root:/bin/bash"],
    ["JSON of another kind", '{"time":"2026-01-01"}'],
    ["what is no text", "\x7fELF\x02\x01"],
  ] as const) {
    it(`cuts nothing that it did not write: ${what}`, async () => {
      const { path, log } = fresh()
      for (const before of ["", "a"]) {
        if (before !== "") await custodyLogFile(folderOfTest(), clock).append(event(before))
        appendFileSync(path, end, { mode: 0o600 })
        const content = readFileSync(path)
        const error = await expectCode("ERR_STATE_INVALID", () => log().append(event("b")))
        expect(error.message).to.include("what follows the last line was not written by keyferry")
        expect(readFileSync(path).equals(content)).to.equal(true)
        rmSync(path)
      }
    })
  }

  it("cuts nothing of a file whose last whole line was changed", async () => {
    const { path, log } = fresh()
    await log().append(event("a"))
    writeFileSync(path, `${readFileSync(path, "utf8").replace('"name":"a"', '"name":"z"')}{"seq":2,"ti`)
    const changed = readFileSync(path)
    await expectCode("ERR_STATE_INVALID", () => log().append(event("b")))
    expect(readFileSync(path).equals(changed)).to.equal(true)
  })

  const places: [what: string, place: (path: string, elsewhere: string) => void, message: RegExp][] = [
    ["a link to another file", (path, elsewhere) => symlinkSync(elsewhere, path), /is a symbolic link, not a file/],
    ["a pipe", (path) => void execFileSync("mkfifo", [path]), /is a pipe, not a file/],
    ["a folder", (path) => mkdirSync(path), /is a folder, not a file/],
  ]
  for (const [what, place, message] of places) {
    it(`refuses ${what} in its place, and follows nothing`, async () => {
      const { path, folder, log } = fresh()
      const elsewhere = join(folder, "elsewhere")
      writeFileSync(elsewhere, "kept\nwithout an end")
      place(path, elsewhere)
      const error = await expectCode("ERR_STATE_UNSAFE", () => log().append(event("a")))
      expect(error.message).to.match(message)
      expect(readFileSync(elsewhere, "utf8")).to.equal("kept\nwithout an end")
    })
  }

  it("refuses a log that others can write", async () => {
    const { path, log } = fresh()
    await log().append(event("a"))
    chmodSync(path, 0o662)
    const error = await expectCode("ERR_STATE_UNSAFE", () => log().append(event("b")))
    expect(error.hint).to.equal(`chmod go-w ${path}`)
  })

  it("begins again where nothing but a torn line is left", async () => {
    const { path, lines, log } = fresh()
    await log().append(event("a"))
    truncateSync(path, 30)
    await log().append(event("b"))
    expect(lines()).to.have.length(2)
    expect(verifyChain(lines())).to.have.property("end")
  })

  it("is refused where its end is not what was written, and left alone", async () => {
    const { path, log } = fresh()
    await log().append(event("a"))
    const changed = readFileSync(path, "utf8").replace('"name":"a"', '"name":"z"')
    writeFileSync(path, changed)
    const error = await expectCode("ERR_STATE_INVALID", () => log().append(event("b")))
    expect(error.message).to.include("was changed")
    expect(readFileSync(path, "utf8")).to.equal(changed)
  })

  it("refuses every append while it cannot be written", async () => {
    const log = custodyLogFile("/proc/nothing", clock)
    await expectCode("ERR_STATE_WRITE", () => log.append(event("a")))
    await expectCode("ERR_STATE_WRITE", () => log.append(event("b")))
  })
})
