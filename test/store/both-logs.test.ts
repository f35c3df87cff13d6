import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"
import { expect } from "chai"
import { NO_LINES, verifyChain } from "#src/core/records/custody-chain.js"
import type { CustodyEvent } from "#src/core/records/custody-event.js"
import { expectCode } from "#test/support/expect-code.js"
import { STORE_KINDS, storeOf } from "#test/support/stores.js"

const PROGRAM = fileURLToPath(new URL("../support/store-process.js", import.meta.url))
const clock = { now: () => new Date("2026-03-01T12:00:00Z") }
const event = (name: string, facts: CustodyEvent["facts"] = {}): CustodyEvent => ({
  event: "source.generated",
  name,
  facts,
})
const namesIn = (lines: readonly string[]): readonly (string | undefined)[] =>
  lines.map((line) => (JSON.parse(line) as CustodyEvent).name)

for (const kind of STORE_KINDS) {
  describe(`the custody log in ${kind}`, () => {
    const store = storeOf(kind)
    const log = () => store().log(clock)

    it("is empty at first, and whole", async () => {
      await log().check()
      await log().verify()
      expect(verifyChain(await store().lines())).to.deep.equal({ end: NO_LINES })
    })

    it("has each event in the order of its writer, whatever stands in it", async () => {
      const facts = [
        { text: "é € 漢字 🔑 \u202e" },
        { text: 'a\0b\n\r\u2028"hash":"' },
        { text: "\ud800" },
        { text: "x".repeat(100_000) },
        { text: "'; DROP TABLE keyferry.custody_log; --" },
      ]
      const written = log()
      for (const [index, texts] of facts.entries()) await written.append(event(`n${index}`, texts))
      await written.append({ event: "source.generated", facts: {} })
      const lines = await store().lines()
      // a lone surrogate is escaped in JSON, and comes back as it was
      expect(lines.slice(0, -1).map((line) => (JSON.parse(line) as CustodyEvent).facts)).to.deep.equal(facts)
      expect(verifyChain(lines)).to.have.nested.property("end.seq", 6)
      await log().verify()
    })

    it("is one chain of what many append at the same time in one process", async () => {
      const writers = [log(), log(), log()]
      await Promise.all(
        Array.from({ length: 60 }, (_, index) => writers[index % 3]!.append(event(`n${index}`, { index }))),
      )
      const lines = await store().lines()
      expect(verifyChain(lines)).to.have.nested.property("end.seq", 60)
      expect(new Set(namesIn(lines)).size).to.equal(60)
      for (const writer of [0, 1, 2]) {
        const own = namesIn(lines).filter((name) => Number(name?.slice(1)) % 3 === writer)
        expect(own).to.deep.equal(Array.from({ length: 20 }, (_, index) => `n${3 * index + writer}`))
      }
    })

    it("is one chain of several processes, has every line that was acknowledged, and goes on after they were killed", async () => {
      const writers = ["a", "b", "c"].map((word) => writing(store().place, word))
      // each has written, and none has ended by itself
      while (!writers.every(({ written }) => written().length > 20)) await once(writers[0]!.child.stdout!, "data")
      await Promise.all(writers.map(({ child }) => kill(child)))
      await log().append(event("after"))
      const lines = await store().lines()
      expect(verifyChain(lines)).to.have.property("end")
      await log().verify()
      const names = new Set(namesIn(lines))
      for (const { written } of writers) {
        expect(written().filter((name) => !names.has(name))).to.deep.equal([])
      }
      expect(names.has("after")).to.equal(true)
    })

    it("is refused where its last line was changed, and by verify where an earlier one was", async () => {
      for (const name of ["a", "b", "c"]) await log().append(event(name))
      await store().alterLine('"name":"b"', '"name":"B"')
      await log().check()
      const verdict = await expectCode("ERR_STATE_INVALID", () => log().verify())
      expect(verdict.message).to.include("line 2")
      await store().alterLine('"name":"c"', '"name":"C"')
      await expectCode("ERR_STATE_INVALID", () => log().check())
      await expectCode("ERR_STATE_INVALID", () => log().append(event("d")))
      expect(await store().lines()).to.have.lengthOf(3)
    })

    it("tells the newest lines of each key, newest first", async () => {
      const written = log()
      for (let number = 1; number <= 5; number += 1) {
        for (const name of ["a", "a-b", "%"]) await written.append(event(name, { number }))
      }
      await written.append({ event: "source.generated", facts: { name: "a" } })
      const histories = await store().histories(new Set(["a", "%", "nothing", "_"]), 3)
      expect([...histories.keys()].sort()).to.deep.equal(["%", "a"])
      for (const name of ["a", "%"]) {
        const facts = [5, 4, 3].map((number) => ({ number }))
        expect(histories.get(name)?.map((line) => line["facts"])).to.deep.equal(facts)
        expect(histories.get(name)?.map((line) => line["name"])).to.deep.equal([name, name, name])
        expect(histories.get(name)?.[0]).to.include({ event: "source.generated", time: "2026-03-01T12:00:00.000Z" })
      }
      expect((await store().histories(new Set(["a-b"]), 100)).get("a-b")).to.have.lengthOf(5)
      expect((await store().histories(new Set(), 100)).size).to.equal(0)
    })
  })
}

/** A process that appends without end, and what it said of its lines. */
function writing(
  place: string,
  word: string,
): { readonly child: ChildProcess; readonly written: () => readonly string[] } {
  const kind = place.startsWith("postgres:") ? "rows" : "files"
  const child = spawn(process.execPath, [PROGRAM, "log", kind, place, word], { stdio: ["ignore", "pipe", "inherit"] })
  let said = ""
  child.stdout.on("data", (chunk: Buffer) => (said += chunk.toString()))
  return { child, written: () => said.split("\n").slice(0, -1) }
}

async function kill(child: ChildProcess): Promise<void> {
  const ended = once(child, "exit")
  child.kill("SIGKILL")
  await ended
}
