import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect } from "chai"
import type { CustodyEvent } from "#src/core/records/custody-event.js"
import { custodyLogFile } from "#src/store/files/custody-log.js"
import { CUSTODY_LOG } from "#src/store/archive/log-parts.js"
import { verifiedEnd } from "#src/store/files/custody-log-reader.js"
import { stateCopy } from "#src/store/files/state-copy.js"
import { MERGED_LOGS } from "#src/store/records/kept-log.js"
import { expectCode } from "#test/support/expect-code.js"
import { filesUnder } from "#test/support/stage.js"
import { temporaryFolder } from "#test/support/temp-dir.js"

const clock = { now: () => new Date("2026-03-01T12:00:00Z") }

describe("a copy of the state directory", () => {
  const folder = temporaryFolder()
  const own = (): string => join(folder(), "own")
  const copy = (): string => join(folder(), "copy")
  const log = async (state: string, ...events: readonly CustodyEvent[]): Promise<void> => {
    for (const event of events) await custodyLogFile(state, clock).append(event)
  }
  const of = (
    event: "source.generated" | "source.destroyed" | "source.adopted",
    id: string,
    facts: CustodyEvent["facts"] = {},
  ): CustodyEvent => ({ event, name: "a", source: { id }, facts }) as CustodyEvent
  beforeEach(() => {
    for (const path of [own(), copy()]) mkdirSync(path, { mode: 0o700 })
  })

  it("is another state directory, of a format that is known", async () => {
    await expectCode("ERR_USAGE", () => stateCopy(own(), own()))
    await expectCode("ERR_INPUT_UNREADABLE", () => stateCopy(own(), copy()))
    await expectCode("ERR_INPUT_UNREADABLE", () => stateCopy(own(), join(folder(), "none")))
    mkdirSync(join(copy(), "vault"), { mode: 0o700 })
    stateCopy(own(), copy())
    writeFileSync(join(copy(), "state.json"), JSON.stringify({ version: 99 }))
    await expectCode("ERR_STATE_VERSION", () => stateCopy(own(), copy()))
  })

  it("has its log kept byte for byte, once, where this state's own does not begin with it", async () => {
    await log(own(), of("source.generated", "01"))
    cpSync(own(), copy(), { recursive: true })
    expect(await stateCopy(own(), copy()).keepLog()).to.equal(null)
    await log(own(), of("source.generated", "02"))
    expect(await stateCopy(own(), copy()).keepLog(), "the own goes on after it").to.equal(null)
    await log(copy(), of("source.generated", "03"))
    const kept = await stateCopy(own(), copy()).keepLog()
    const { hash } = verifiedEnd(copy())
    const path = join(own(), MERGED_LOGS, `${hash.slice("sha256:".length)}.jsonl`)
    expect(kept).to.deep.equal({ path, lines: 2, head: hash })
    expect(readFileSync(path)).to.deep.equal(readFileSync(join(copy(), CUSTODY_LOG)))
    expect(await stateCopy(own(), copy()).keepLog()).to.equal(null)
    expect(filesUnder(join(own(), MERGED_LOGS))).to.have.length(1)
  })

  it("has no log to keep where there is none", async () => {
    mkdirSync(join(copy(), "vault"), { mode: 0o700 })
    expect(await stateCopy(own(), copy()).keepLog()).to.equal(null)
    expect(filesUnder(own())).to.deep.equal([])
  })

  it("tells with this state what was destroyed on purpose, and not made again or sealed", async () => {
    const destroyed = (id: string, facts: CustodyEvent["facts"]): CustodyEvent => of("source.destroyed", id, facts)
    await log(own(), of("source.generated", "0a"), destroyed("0a", { step: "done" }))
    await log(
      copy(),
      destroyed("0b", { step: "done" }),
      destroyed("0c", { step: "intended" }),
      destroyed("0d", { step: "done", reason: "sealed" }),
      ...[destroyed("0e", { step: "done" }), of("source.adopted", "0e")],
      ...[of("source.generated", "0f"), destroyed("0f", { step: "done" })],
    )
    const ids = async (): Promise<readonly string[]> => [...(await stateCopy(own(), copy()).destroyedIds())].sort()
    expect(await ids()).to.deep.equal(["0a", "0b", "0f"])
    // a log that was kept tells as well, when the copy is gone
    await stateCopy(own(), copy()).keepLog()
    rmSync(join(copy(), CUSTODY_LOG))
    mkdirSync(join(copy(), "vault"), { mode: 0o700 })
    expect(await ids()).to.deep.equal(["0a", "0b", "0f"])
  })

  it("gives the markers of refused PINs that this state lacks, and changes none that it has", async () => {
    mkdirSync(join(copy(), "vault"), { mode: 0o700 })
    for (const state of [own(), copy()]) mkdirSync(join(state, "pin-refused"), { mode: 0o700 })
    writeFileSync(join(own(), "pin-refused", "a.json"), "own")
    for (const name of ["a", "b"]) writeFileSync(join(copy(), "pin-refused", `${name}.json`), "theirs")
    expect(await stateCopy(own(), copy()).takeMarkers()).to.equal(1)
    expect(readFileSync(join(own(), "pin-refused", "a.json"), "utf8")).to.equal("own")
    expect(readFileSync(join(own(), "pin-refused", "b.json"), "utf8")).to.equal("theirs")
    expect(await stateCopy(own(), copy()).takeMarkers()).to.equal(0)
  })
})
