import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { fileURLToPath } from "node:url"
import { expect } from "chai"
import { type ChainEnd, NO_LINES, sealLine } from "#src/core/records/custody-chain.js"
import type { ArchivePiece } from "#src/store/archive/format.js"
import { noteExport } from "#src/store/archive/last-export.js"
import { CUSTODY_LOG } from "#src/store/archive/log-parts.js"
import { NOT_EXPORTED, partOf } from "#src/store/archive/parts.js"
import { verifyArchive } from "#src/store/archive/read.js"
import { archiveOf, type ArchiveSource, headOf } from "#src/store/archive/write.js"
import { custodyLines } from "#src/store/files/custody-log-reader.js"
import { writeOutput } from "#src/store/files/output-file.js"
import { takeSnapshot } from "#src/store/files/state-export.js"
import { writeArchive } from "#src/store/files/state-import.js"
import { custodyLogTable, verifiedLogEnd } from "#src/store/postgres/custody-log-table.js"
import { type Database, openDatabase } from "#src/store/postgres/database.js"
import { backupOf } from "#src/store/postgres/last-export.js"
import { rowTexts } from "#src/store/postgres/row-texts.js"
import { takeSnapshot as takeSnapshotOfRows } from "#src/store/postgres/state-export.js"
import { importArchive } from "#src/store/postgres/state-import.js"
import { jsonText } from "#src/store/records/json-format.js"
import { expectCode } from "#test/support/expect-code.js"
import { inventoryEntry } from "#test/support/inventory-entry.js"
import { migratedDatabase, type PostgresServer, startPostgres } from "#test/support/postgres.js"
import { DAMAGED, makeRichState } from "#test/support/rich-state.js"
import { filesUnder } from "#test/support/stage.js"
import { temporaryFolder } from "#test/support/temp-dir.js"

const EXPORTED_AT = new Date("2026-06-01T00:00:00Z")
const clock = { now: () => new Date("2026-06-02T00:00:00Z") }
const PROGRAM = fileURLToPath(new URL("../../support/archive-process.js", import.meta.url))

/** Two statements for its texts and three for its custody log at the least, which has two parts. */
const MANY = { entries: 1200, lines: 2500, closed: 1100 }

describe("the state in PostgreSQL, exported and imported", () => {
  const folder = temporaryFolder()
  let server: PostgresServer
  let database: Database
  let url: string
  before(async () => {
    server = await startPostgres()
    database = await migratedDatabase(server, "state")
    url = server.urlOf("state")
  })
  beforeEach(() => clear())
  after(async () => {
    await database[Symbol.asyncDispose]()
    await server[Symbol.asyncDispose]()
  })

  const clear = (): void => void server.sql("state", "TRUNCATE keyferry.text, keyferry.custody_log")
  const file = (name = "archive.jsonl"): string => join(folder(), name)

  async function write(source: ArchiveSource, path: string) {
    const { lines, contents } = archiveOf(source)
    await writeOutput(path, lines)
    return contents()
  }
  async function exportFiles(state: string, path: string) {
    await using snapshot = await takeSnapshot(state, EXPORTED_AT)
    return { ...(await write(snapshot, path)), left: snapshot.left }
  }
  async function exportRows(path: string) {
    await using snapshot = await takeSnapshotOfRows(database, EXPORTED_AT)
    return { ...(await write(snapshot, path)), left: snapshot.left }
  }
  async function importRows(path: string, into = database): Promise<void> {
    using archive = await verifyArchive(path)
    const { exportedAt, digest } = archive.contents
    await importArchive(into, archive, { event: "state.imported", facts: { exportedAt, digest } }, clock)
  }
  async function importFiles(path: string, state: string): Promise<void> {
    mkdirSync(state, { mode: 0o700 })
    using archive = await verifyArchive(path)
    await writeArchive(state, archive)
  }

  /** What must not be lost of a state directory, byte for byte, in hex. */
  const contentOf = (state: string): Readonly<Record<string, string>> =>
    Object.fromEntries(
      filesUnder(state)
        .filter((path) => partOf(path) !== undefined || path.startsWith("custody.log."))
        .map((path) => [path, readFileSync(join(state, path)).toString("hex")]),
    )
  /** Everything in the database, of texts and custody log. */
  const rowsOf = (name = "state"): string =>
    server.sql(
      name,
      `SELECT path, content FROM keyferry.text ORDER BY path;
       SELECT seq, hash, previous, name, part, line FROM keyferry.custody_log ORDER BY seq`,
    )

  const digestOfRows = (): string =>
    server.sql(
      "state",
      `SELECT md5(string_agg(path || content::text, ' ' ORDER BY path)) FROM keyferry.text;
       SELECT md5(string_agg(concat_ws(' ', seq, hash, previous, name, part, line), ' ' ORDER BY seq)) FROM keyferry.custody_log`,
    )

  it("goes from files to rows and back without the loss of a byte, of what is damaged too", async () => {
    const state = await makeRichState(folder())
    const first = await exportFiles(state, file("first"))
    expect(first.damaged.map(({ path }) => path)).to.deep.equal(DAMAGED)
    expect(Object.values(first.counts).every((count) => count > 0)).to.equal(true)
    await importRows(file("first"))
    await verifiedLogEnd(database)

    const second = await exportRows(file("second"))
    const { custodyLogLines, ...counts } = first.counts
    expect(second.counts).to.deep.equal({ ...counts, custodyLogLines: custodyLogLines + 1 })
    expect([...second.damaged].sort((a, b) => a.path.localeCompare(b.path))).to.deep.equal(first.damaged)
    expect([first.left, second.left]).to.deep.equal([["notes.txt"], []])
    const back = join(folder(), "back")
    await importFiles(file("second"), back)

    const { [CUSTODY_LOG]: log = "", ...others } = contentOf(back)
    const { [CUSTODY_LOG]: logBefore = "", ...othersBefore } = contentOf(state)
    expect(others).to.deep.equal(othersBefore)
    const closed = Object.keys(others).filter((path) => path.startsWith("custody.log."))
    expect(closed).to.have.length(3)
    for (const path of closed) expect(statSync(join(back, path)).mode & 0o777, path).to.equal(0o400)
    const whole = logBefore.slice(0, logBefore.lastIndexOf("0a") + 2)
    expect(whole).to.have.length.greaterThan(0)
    expect(log.startsWith(whole), "the log goes on").to.equal(true)
    const [added = "", ...more] = [...custodyLines(back)].slice(custodyLogLines)
    expect(more).to.deep.equal([])
    expect(JSON.parse(added)).to.deep.include({
      event: "state.imported",
      facts: { exportedAt: first.exportedAt, digest: first.digest },
    })

    await using other = await migratedDatabase(server, "other")
    await importRows(file("second"), other)
    const note = ({ digest, seq, hash }: { digest: string; seq: number; hash: string }) =>
      Buffer.from(jsonText({ exportedAt: first.exportedAt, digest, log: { seq, hash } })).toString("hex")
    const endOf = async (name: string) => {
      using archive = await verifyArchive(file(name))
      return { digest: archive.contents.digest, ...archive.head.log }
    }
    const rows = rowsOf("other").replace(note(await endOf("second")), note(await endOf("first")))
    expect(rows.startsWith(rowsOf())).to.equal(true)
    expect(rows.slice(rowsOf().length).trim().split("\n")).to.have.length(1)
  })

  it("is one moment of it, though others write meanwhile", async () => {
    await importRows(await manyRows())
    const before = digestOfRows()
    await using snapshot = await takeSnapshotOfRows(database, EXPORTED_AT)
    const pieces: ArchivePiece[] = []
    for await (const piece of snapshot.pieces()) {
      if (pieces.length === 0) {
        await rowTexts(database).put(["inventory", "default", "zz.json"], jsonText(inventoryEntry("zz")))
        await custodyLogTable(database, clock).append({ event: "source.generated", name: "zz", facts: {} })
      }
      pieces.push(piece)
    }
    await write({ ...snapshot, pieces: () => pieces }, file("moment"))
    expect(digestOfRows()).to.not.equal(before)
    using archive = await verifyArchive(file("moment"))
    expect(archive.head.log.seq).to.equal(MANY.lines + 1)
    expect(archive.contents.counts).to.include({ inventory: MANY.entries, custodyLogLines: MANY.lines + 1 })
  })

  it("is not exported where the chain of its custody log does not hold", async () => {
    await importRows(await manyRows())
    server.sql("state", "DELETE FROM keyferry.custody_log WHERE seq = 2100")
    const error = await expectCode("ERR_STATE_INVALID", () => exportRows(file("broken")))
    expect(error.message).to.include("line 2100 has seq 2101, not 2100")
    expect(readdirSync(folder())).to.deep.equal(["many.jsonl"])
  })

  it("tells what is not keyferry's, and leaves it with what others make anew", async () => {
    for (const path of ["notes/x.json", "inventory/x", "self-test/x.json", "agent/round.json"]) {
      await rowTexts(database).put(path.split("/") as [string], "{}")
    }
    const { left, counts } = await exportRows(file())
    expect(left).to.deep.equal(["inventory/x", "notes/x.json"])
    expect(Object.values(counts).every((count) => count === 0)).to.equal(true)
  })

  it("is told by the time of the last export, and the lines since", async () => {
    expect(await backupOf(database)).to.deep.equal({ exportedAt: null, linesSince: 0 })
    const append = () => custodyLogTable(database, clock).append({ event: "source.generated", facts: {} })
    await append()
    expect(await backupOf(database)).to.deep.equal({ exportedAt: null, linesSince: 1 })
    await noteExport(rowTexts(database), { ...(await exportRows(file())), log: await verifiedLogEnd(database) })
    expect(await backupOf(database)).to.deep.equal({ exportedAt: EXPORTED_AT.toISOString(), linesSince: 0 })
    await append()
    expect(await backupOf(database)).to.deep.equal({ exportedAt: EXPORTED_AT.toISOString(), linesSince: 1 })
    server.sql("state", "UPDATE keyferry.custody_log SET line = 'x' WHERE seq = 2")
    expect(await backupOf(database)).to.deep.equal({ exportedAt: EXPORTED_AT.toISOString(), linesSince: null })
  })

  it("is not joined to another state, and says where this very archive is there already", async () => {
    const archive = await manyRows()
    for (const path of NOT_EXPORTED) await rowTexts(database).put([path, "x.json"], "{}")
    await importRows(archive)
    const rows = digestOfRows()
    const again = await expectCode("ERR_STATE_NOT_EMPTY", () => importRows(archive))
    expect(again.message).to.include(`this very archive was imported into it already, on ${clock.now().toISOString()}`)
    await exportRows(file("later"))
    const other = await expectCode("ERR_STATE_NOT_EMPTY", () => importRows(file("later")))
    expect(other.message).to.include("it has inventory/default/k0.json")
    expect(other.hint).to.include("keyferry state merge")
    expect(digestOfRows()).to.equal(rows)
    clear()
    await custodyLogTable(database, clock).append({ event: "source.generated", facts: {} })
    expect((await expectCode("ERR_STATE_NOT_EMPTY", () => importRows(archive))).message).to.include(
      "it has a custody log",
    )
  })

  it("is imported by one of two at once; who writes meanwhile waits, and comes after it", async () => {
    const archive = await manyRows()
    await using other = openDatabase({ url }, "keyferry test")
    const outcomes = await Promise.allSettled([importRows(archive), importRows(archive, other)])
    const refused = outcomes.flatMap((outcome) => (outcome.status === "rejected" ? [outcome.reason as object] : []))
    expect(refused).to.have.length(1)
    expect(refused[0]).to.have.property("code").that.is.oneOf(["ERR_STATE_LOCKED", "ERR_STATE_NOT_EMPTY"])
    await expectAll()

    clear()
    // its seventh statement writes texts: locks are taken
    const child = start("import", archive, "wait 6")
    expect(await lineOf(child)).to.equal("waiting")
    await expectCode("ERR_STATE_LOCKED", () => importRows(archive))
    const appended = custodyLogTable(database, clock).append({ event: "source.generated", name: "after", facts: {} })
    const put = rowTexts(database).put(["to-be-locked", "0a.json"], "{}")
    child.stdin.end("\n")
    expect(await ended(child)).to.match(/^\d+$/)
    await Promise.all([appended, put])
    expect(await verifiedLogEnd(database)).to.have.property("seq", MANY.lines + 2)
    expect(server.sql("state", "SELECT name FROM keyferry.custody_log ORDER BY seq DESC LIMIT 1").trim()).to.equal(
      "after",
    )
  })

  describe("by a process that is stopped", () => {
    it("import: killed before, in and after every statement, all is there or nothing", async () => {
      const archive = await manyRows()
      const length = await placesOf("import", archive)
      clear()
      expect(length, "places").to.be.greaterThan(10)
      // after one is before the next
      const places = Array.from({ length }, (_, number) => [`before ${number}`, `sent ${number}`]).flat()
      places.push(`after ${length - 1}`)
      const late: string[] = []
      for (const place of places) {
        expect(await ended(start("import", archive, place)), place).to.equal("SIGKILL")
        if (!(await isWhole())) continue
        late.push(place)
        await expectCode("ERR_STATE_NOT_EMPTY", () => importRows(archive))
        clear()
      }
      process.stdout.write(
        `      ${places.length} kills of an import at ${length} statements; too late: ${late.join(", ")}\n`,
      )
      // only the last one makes anything visible, when it was sent or not before it is answered
      expect(late.filter((place) => place !== `sent ${length - 1}`)).to.deep.equal([`after ${length - 1}`])
      await importRows(archive)
      await expectAll()
    })

    it("import: where the server stops at once, nothing is there, and the same again goes well", async () => {
      const archive = await manyRows()
      const length = await placesOf("import", archive)
      clear()
      const places = [1, 6, 8, length - 3, length - 1]
      for (const number of places) {
        const child = start("import", archive, `wait ${number}`)
        expect(await lineOf(child), String(number)).to.equal("waiting")
        await server.stop("immediate")
        child.stdin.end("\n")
        expect(await ended(child), String(number)).to.equal("ERR_DATABASE_UNREACHABLE")
        await server.start()
        expect(await isWhole(), String(number)).to.equal(false)
      }
      process.stdout.write(`      ${places.length} stops of the server in an import\n`)
      await importRows(archive)
      await server.stop("immediate")
      await server.start()
      await expectAll()
    })

    it("export: killed before every statement and call of files, no half archive stands under the name", async () => {
      await exportFiles(await makeRichState(folder()), file("rich"))
      await importRows(file("rich"))
      const target = file("out.jsonl")
      const length = await placesOf("export", target)
      const expected = readFileSync(target, "utf8")
      const note = "DELETE FROM keyferry.text WHERE path = 'last-export.json'"
      server.sql("state", note)
      rmSync(target)
      const rows = digestOfRows()
      let whole = 0
      for (let number = 0; number < length; number += 1) {
        expect(await ended(start("export", target, `before ${number}`)), String(number)).to.equal("SIGKILL")
        const isNoted = digestOfRows() !== rows
        if (existsSync(target)) {
          expect(readFileSync(target, "utf8")).to.equal(expected)
          whole += 1
          rmSync(target)
        } else expect(isNoted, "noted, and not there").to.equal(false)
        server.sql("state", note)
        expect(digestOfRows()).to.equal(rows)
      }
      process.stdout.write(
        `      ${length} kills of an export at as many places; ${whole} came after the file had its name\n`,
      )
      expect(whole).to.be.greaterThan(0)
      expect(await ended(start("export", target, ""))).to.equal(String(length))
      expect(readFileSync(target, "utf8")).to.equal(expected)
      expect(readdirSync(folder()).filter((name) => name.endsWith(".tmp"))).to.deep.equal([])
    })
  })

  /** An archive of many entries and lines, as {@link MANY} says. */
  async function manyRows(): Promise<string> {
    const path = file("many.jsonl")
    let end: ChainEnd = NO_LINES
    const lines = Array.from({ length: MANY.lines }, (_, index) => {
      const line = sealLine(end, "2026-01-01T00:00:00.000Z", {
        event: "source.generated",
        name: `k${index}`,
        facts: {},
      })
      end = line.end
      return `${line.text}\n`
    })
    const pieces: ArchivePiece[] = Array.from({ length: MANY.entries }, (_, index) => ({
      path: `inventory/default/k${index}.json`,
      content: jsonText(inventoryEntry(`k${index}`)),
      damage: null,
    }))
    pieces.push(
      { path: "custody.log.2025.jsonl", content: lines.slice(0, MANY.closed).join(""), damage: null },
      { path: CUSTODY_LOG, content: lines.slice(MANY.closed).join(""), damage: null },
    )
    await write({ head: headOf(EXPORTED_AT, end), pieces: () => pieces, left: [] }, path)
    return path
  }

  /** How many places a process comes by that nobody stops. */
  async function placesOf(action: string, path: string): Promise<number> {
    const count = Number(await ended(start(action, path, "")))
    expect(count).to.be.greaterThan(0)
    return count
  }

  function start(action: string, path: string, at: string): ChildProcessWithoutNullStreams {
    const child = spawn(process.execPath, [PROGRAM, action, url, path], {
      env: { ...process.env, KEYFERRY_TEST_AT: at },
    })
    child.stderr.pipe(process.stderr)
    return child
  }

  const lineOf = async (child: ChildProcessWithoutNullStreams): Promise<string> => {
    const [chunk] = (await once(child.stdout, "data")) as [Buffer]
    return chunk.toString().trim()
  }

  /** The signal that ended it, or the last line that it wrote; what the server did for it is over then. */
  async function ended(child: ChildProcessWithoutNullStreams): Promise<string> {
    let written = ""
    child.stdout.on("data", (chunk: Buffer) => (written += chunk.toString()))
    const [, signal] = (await once(child, "close")) as [number | null, string | null]
    if (signal === null) return written.trim().split("\n").at(-1) ?? ""
    const left = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'keyferry archive'"
    while (server.sql("state", left).trim() !== "0") await sleep(10)
    return signal
  }

  /** Whether all of {@link manyRows} is there; fails where a part of it is. */
  async function isWhole(): Promise<boolean> {
    const [texts, lines] = server
      .sql("state", "SELECT count(*) FROM keyferry.text; SELECT count(*) FROM keyferry.custody_log")
      .trim()
      .split("\n")
    if (texts === "0" && lines === "0") return false
    await expectAll()
    return true
  }

  async function expectAll(): Promise<void> {
    expect(await verifiedLogEnd(database)).to.have.property("seq", MANY.lines + 1)
    const count = "SELECT count(*) FROM keyferry.text WHERE path"
    expect(server.sql("state", `${count} LIKE 'inventory/%'`).trim()).to.equal(String(MANY.entries))
    expect(server.sql("state", `${count} = 'last-export.json'`).trim()).to.equal("1")
  }
})
