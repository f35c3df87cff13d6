import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect } from "chai"
import { closedLogs, custodyLines, verifiedEnd } from "#src/store/files/custody-log-reader.js"
import { backupOf } from "#src/store/files/last-export.js"
import { verifyArchive } from "#src/store/archive/read.js"
import type { CliResult } from "../support/cli.js"
import { hostClock } from "../support/host-clock.js"
import { HOOKED_FILES } from "../support/kill-hook.js"
import { provisionArgs } from "../support/refusal.js"
import { filesUnder, setStage, type Stage } from "../support/stage.js"
import { FIRST, STRIDE, strideText } from "../support/stride.js"

/** Each of these commands writes some files; one that never ends fails the test. */
const MOST_STEPS = 200

const YEAR_S = 366 * 86_400

describe("a backup killed before and after every outside call, and run again", function () {
  this.timeout(600_000)
  let stage: Stage
  /** Two keys, one of them rotated; one part of the custody log is closed. */
  let whole: string
  let archive: string
  before(async () => {
    stage = await setStage()
    await stage.kms.rotationSeconds(0)
    whole = stage.state()
    await well(provisionArgs({ name: "a", custody: "sealed" }))
    await well(["rotate", "a"])
    await well(provisionArgs({ name: "b", custody: "sealed" }))
    await well(["key", "backup-confirmed"])
    await well(["log", "rotate"], hostClock(YEAR_S))
    archive = join(stage.folder, "archive.jsonl")
    await well(["state", "export", archive])
  })
  after(() => stage[Symbol.asyncDispose]())

  async function well(args: readonly string[], env = {}): Promise<void> {
    const result = await stage.run(args, { state: whole, env })
    expect(result.status, result.stderr + result.stdout).to.equal(0)
  }

  /** What a state directory holds that must not be lost, the custody log's files included. */
  const contentOf = (state: string): Readonly<Record<string, string>> =>
    Object.fromEntries(
      filesUnder(state)
        .filter((file) => /^(inventory|vault|custody-keys|operations)\/.*json$|^custody\.log/.test(file))
        .map((file) => [file, readFileSync(join(state, file), "utf8")]),
    )
  const eventsOf = (state: string): string[] =>
    [...custodyLines(state)].map((line) => (JSON.parse(line) as { event: string }).event)

  interface Killed {
    readonly at: number
    readonly run: () => Promise<CliResult>
  }

  /** Kills a command everywhere, each time in a world of its own that is looked at afterwards. */
  async function killEverywhere(
    title: string,
    set: (at: number) => (env: Readonly<Record<string, string>>) => Promise<CliResult>,
    look: (killed: Killed) => Promise<void>,
  ): Promise<void> {
    let kills = 0
    for (let at = FIRST; at < MOST_STEPS; at += STRIDE) {
      const run = set(at)
      const first = await run({ ...HOOKED_FILES, KEYFERRY_TEST_KILL_AT: String(at) })
      if (first.signal === null) {
        expect(first.status, first.stderr).to.equal(0)
        expect(at, "steps").to.be.greaterThan(5)
        process.stdout.write(`    ${kills} kills of ${title}, ${strideText}\n`)
        return
      }
      kills += 1
      try {
        await look({ at, run: () => run({}) })
      } catch (error) {
        throw new Error(`call ${at}`, { cause: error })
      }
    }
    throw new Error(`${title} makes more than ${MOST_STEPS} calls`)
  }

  it("state export: an archive is there whole or not at all, and noted only where it is there", async () => {
    const before = contentOf(whole)
    const place = (at: number): { state: string; folder: string; file: string } => {
      const folder = join(stage.folder, `exported-${at}`)
      return { state: join(folder, "state"), folder, file: join(folder, "backup.jsonl") }
    }
    const set = (at: number) => {
      const { state, folder, file } = place(at)
      mkdirSync(folder)
      cpSync(whole, state, { recursive: true })
      rmSync(join(state, "last-export.json"))
      return (env: Readonly<Record<string, string>>) => stage.run(["state", "export", file, "--json"], { state, env })
    }
    await killEverywhere("state export", set, async ({ at, run }) => {
      const { state, folder, file } = place(at)
      const written = existsSync(file)
      if (written) expect(await pathsIn(file)).to.deep.equal(await pathsIn(archive))
      expect((await backupOf(state)).exportedAt === null || written, "noted, and not there").to.equal(true)
      const second = await run()
      expect(second.status, second.stderr).to.equal(written ? 73 : 0)
      expect(await pathsIn(file)).to.deep.equal(await pathsIn(archive))
      // who was killed after the link has left its other name
      if (!written) expect(readdirSync(folder).sort()).to.deep.equal(["backup.jsonl", "state"])
      expect(contentOf(state)).to.deep.equal(before)
      rmSync(folder, { recursive: true })
    })
  })

  /** What a verified archive holds. */
  async function pathsIn(file: string): Promise<object> {
    using verified = await verifyArchive(file)
    return { counts: verified.contents.counts, log: verified.head.log }
  }

  it("state import: no half of it is taken for a state, and the same import finishes it", async () => {
    const expected = contentOf(whole)
    const events = eventsOf(whole)
    const state = (at: number): string => join(stage.folder, `imported-${at}`)
    const set = (at: number) => (env: Readonly<Record<string, string>>) =>
      stage.run(["state", "import", archive, "--json"], { state: state(at), env })
    await killEverywhere("state import", set, async ({ at, run }) => {
      const files = filesUnder(state(at))
      const isOpen = files.includes("importing.json")
      const isEmpty = Object.keys(contentOf(state(at))).length === 0
      if (!isOpen && !isEmpty) expectImported(state(at))
      else if (isOpen) {
        const other = await stage.run(["status", "--json"], { state: state(at) })
        expect(other.error().code).to.equal("ERR_STATE_INVALID")
        expect(other.error().hint).to.match(/keyferry state import/)
      }
      const second = await run()
      if (isOpen || isEmpty) expect(second.status, second.stderr).to.equal(0)
      else expect(second.error().code).to.equal("ERR_STATE_NOT_EMPTY")
      expectImported(state(at))
      rmSync(state(at), { recursive: true })
    })

    function expectImported(imported: string): void {
      const { "custody.log.jsonl": log = "", ...others } = contentOf(imported)
      const { "custody.log.jsonl": logBefore = "", ...othersBefore } = expected
      expect(others).to.deep.equal(othersBefore)
      expect(log.startsWith(logBefore), "the log goes on").to.equal(true)
      expect(eventsOf(imported)).to.deep.equal([...events, "state.imported"])
      expect(verifiedEnd(imported).seq).to.equal(events.length + 1)
      const [closed = ""] = closedLogs(imported)
      expect(statSync(join(imported, closed)).mode & 0o777).to.equal(0o400)
    }
  })

  for (const { what, closed } of [
    { what: "the first year", closed: 0 },
    { what: "a second part", closed: 1 },
  ]) {
    it(`log rotate of ${what}: each line stays once, in one chain`, async () => {
      const source = join(stage.folder, `log-${closed}`)
      cpSync(whole, source, { recursive: true })
      if (closed === 0) reopen(source)
      const lines = [...custodyLines(source)]
      const ends = (closed + 1) * YEAR_S
      const state = (at: number): string => `${source}-${at}`
      const set = (at: number) => {
        cpSync(source, state(at), { recursive: true })
        const clock = hostClock(ends)
        return (env: Readonly<Record<string, string>>) =>
          stage.run(["log", "rotate", "--json"], { state: state(at), env: { ...clock, ...env } })
      }
      await killEverywhere(`log rotate of ${what}`, set, async ({ at, run }) => {
        const between = [...custodyLines(state(at))]
        expect(between.slice(0, lines.length)).to.deep.equal(lines)
        expect(between.length).to.be.oneOf([lines.length, lines.length + 1])
        verifiedEnd(state(at))
        const second = await run()
        expect(second.status, second.stderr).to.equal(0)
        const after = [...custodyLines(state(at))]
        expect(after.slice(0, lines.length)).to.deep.equal(lines)
        expect(eventsOf(state(at)).slice(lines.length)).to.deep.equal(["log.rotated"])
        expect(verifiedEnd(state(at)).seq).to.equal(lines.length + 1)
        const parts = closedLogs(state(at))
        expect(parts).to.have.length(closed + 1)
        for (const part of parts) expect(statSync(join(state(at), part)).mode & 0o777).to.equal(0o400)
        // what is closed has left the log, or every run would read it again
        expect(
          readFileSync(join(state(at), "custody.log.jsonl"), "utf8")
            .trim()
            .split("\n"),
        ).to.have.length(1)
        rmSync(state(at), { recursive: true })
      })
    })
  }

  /** The custody log as it was before its first year was closed. */
  function reopen(state: string): void {
    const [closed = ""] = closedLogs(state)
    const text = readFileSync(join(state, closed))
    rmSync(join(state, closed))
    rmSync(join(state, "custody.log.jsonl"))
    writeFileSync(join(state, "custody.log.jsonl"), text, { mode: 0o600 })
  }
})
