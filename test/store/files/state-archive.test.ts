import { createHash } from "node:crypto"
import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect } from "chai"
import { assertImported, IMPORTING } from "#src/store/files/importing.js"
import { custodyLogFile } from "#src/store/files/custody-log.js"
import { CUSTODY_LOG } from "#src/store/archive/log-parts.js"
import { verifiedEnd } from "#src/store/files/custody-log-reader.js"
import { rotateLog } from "#src/store/files/custody-log-rotation.js"
import { fileTexts } from "#src/store/files/file-texts.js"
import { storedInventory } from "#src/store/records/inventory.js"
import { noteExport } from "#src/store/archive/last-export.js"
import { verifyArchive } from "#src/store/archive/read.js"
import { archiveOf } from "#src/store/archive/write.js"
import { backupOf } from "#src/store/files/last-export.js"
import { takeSnapshot } from "#src/store/files/state-export.js"
import { endImport, writeArchive } from "#src/store/files/state-import.js"
import { writeOutput } from "#src/store/files/output-file.js"
import { storedToBeLocked } from "#src/store/records/to-be-locked.js"
import { expectCode } from "#test/support/expect-code.js"
import { inventoryEntry } from "#test/support/inventory-entry.js"
import { openFiles } from "#test/support/open-files.js"
import { filesUnder } from "#test/support/stage.js"
import { temporaryFolder } from "#test/support/temp-dir.js"

const at = (time: string) => ({ now: () => new Date(time) })
const EXPORTED_AT = "2026-06-01T00:00:00.000Z"

describe("an archive of the state directory", () => {
  const folder = temporaryFolder()
  const state = (): string => join(folder(), "state")
  const file = (): string => join(folder(), "archive.jsonl")
  const append = (time: string): Promise<void> =>
    custodyLogFile(state(), at(time)).append({ event: "source.generated", name: "a", facts: {} })

  /** Two keys, one that is to be locked, a log of which one year is closed, and what is not exported. */
  async function makeState(): Promise<void> {
    mkdirSync(state(), { mode: 0o700 })
    for (const name of ["a", "b"]) await storedInventory(fileTexts(state())).put(inventoryEntry(name))
    await storedToBeLocked(fileTexts(state())).add({ id: "0a0b", label: "keyferry/keyferry/a/0" })
    await append("2025-03-01T00:00:00Z")
    await append("2026-03-01T00:00:00Z")
    await rotateLog(state(), at("2026-03-02T00:00:00Z"))
    writeFileSync(join(state(), "state.json"), "{}")
    mkdirSync(join(state(), "self-test"))
    writeFileSync(join(state(), "self-test", "x.json"), "{}")
  }
  async function write(): Promise<ReturnType<ReturnType<typeof archiveOf>["contents"]>> {
    await using snapshot = await takeSnapshot(state(), new Date(EXPORTED_AT))
    const { lines, contents } = archiveOf(snapshot)
    await writeOutput(file(), lines)
    return contents()
  }
  const lines = (): string[] => readFileSync(file(), "utf8").split("\n").slice(0, -1)
  /** The archive with other lines, and a digest that fits them. */
  function sign(changed: readonly string[], pieces = changed.length - 1): void {
    const body = changed.map((line) => `${line}\n`).join("")
    const digest = `sha256:${createHash("sha256").update(body).digest("hex")}`
    writeFileSync(file(), `${body}${JSON.stringify({ pieces, digest })}\n`)
  }
  const restore = async (target: string): Promise<void> => {
    using archive = await verifyArchive(file())
    await writeArchive(target, archive)
  }
  const into = (): string => {
    const target = join(folder(), "restored")
    mkdirSync(target, { mode: 0o700, recursive: true })
    return target
  }

  it("counts what is in it, and is the state again, closed logs read-only", async () => {
    await makeState()
    writeFileSync(join(state(), "notes.txt"), "of a person")
    await using snapshot = await takeSnapshot(state(), new Date(EXPORTED_AT))
    expect(snapshot.left).to.deep.equal(["notes.txt"])
    const { exportedAt, digest, counts, damaged } = await write()
    expect({ exportedAt, damaged }).to.deep.equal({ exportedAt: EXPORTED_AT, damaged: [] })
    expect(counts).to.deep.equal({
      ...{ inventory: 2, vault: 0, custodyKeys: 0, toBeLocked: 1, pinMarkers: 0, operations: 0, mergedLogs: 0 },
      custodyLogLines: 3,
    })
    using archive = await verifyArchive(file())
    expect(archive.contents).to.deep.equal({ exportedAt, digest, counts, damaged })
    const target = into()
    await writeArchive(target, archive)
    const kept = filesUnder(state()).filter((path) => !/^(state.json|self-test|notes)/.test(path))
    expect(filesUnder(target)).to.have.members([...kept, IMPORTING])
    for (const path of kept)
      expect(readFileSync(join(target, path)), path).to.deep.equal(readFileSync(join(state(), path)))
    expect(statSync(join(target, "custody.log.2025.jsonl")).mode & 0o777).to.equal(0o400)
    expect(statSync(join(target, CUSTODY_LOG)).mode & 0o777).to.equal(0o600)
    expect(verifiedEnd(target)).to.deep.equal(verifiedEnd(state()))
  })

  it("leaves a log's line that was torn out, and those that came after the snapshot", async () => {
    await makeState()
    writeFileSync(join(state(), CUSTODY_LOG), '{"seq":4,"ti', { flag: "a" })
    await using snapshot = await takeSnapshot(state(), new Date(EXPORTED_AT))
    await append("2026-03-03T00:00:00Z")
    const { lines: archived } = archiveOf(snapshot)
    await writeOutput(file(), archived)
    using archive = await verifyArchive(file())
    expect(archive.head.log.seq).to.equal(3)
    expect(archive.contents.counts.custodyLogLines).to.equal(3)
  })

  it("is not taken of a custody log whose chain does not hold", async () => {
    await makeState()
    const path = join(state(), CUSTODY_LOG)
    writeFileSync(path, readFileSync(path, "utf8").replace('"a"', '"x"'))
    await expectCode("ERR_STATE_INVALID", () => takeSnapshot(state(), new Date(EXPORTED_AT)))
  })

  it("leaves no file open, whatever becomes of it", async () => {
    await makeState()
    await write()
    await restore(into())
    writeFileSync(file(), "{}\n")
    await expectCode("ERR_STATE_ARCHIVE_INVALID", () => verifyArchive(file()))
    await expectCode("ERR_STATE_ARCHIVE_INVALID", () => verifyArchive(folder()))
    await expectCode("ERR_INPUT_UNREADABLE", () => verifyArchive(join(folder(), "none")))
    expect(openFiles(folder())).to.deep.equal([])
  })

  it("is not written over a state, nor over another archive's half; over its own half it is", async () => {
    await makeState()
    await write()
    await expectCode("ERR_STATE_NOT_EMPTY", () => restore(state()))
    const target = into()
    // what runs make by themselves is no state
    writeFileSync(join(target, "state.json"), "{}")
    await restore(target)
    expect((await expectCode("ERR_STATE_INVALID", () => assertImported(target))).hint).to.match(/state import/)
    await restore(target)
    const own = readFileSync(join(target, IMPORTING), "utf8")
    writeFileSync(join(target, IMPORTING), own.replace(/[0-9a-f]{8}"/, '00000000"'))
    await expectCode("ERR_STATE_NOT_EMPTY", () => restore(target))
    writeFileSync(join(target, IMPORTING), own)
    await endImport(target)
    assertImported(target)
    await expectCode("ERR_STATE_NOT_EMPTY", () => restore(target))
    const other = join(folder(), "other")
    mkdirSync(other, { mode: 0o700 })
    writeFileSync(join(other, IMPORTING), own.replace(/[0-9a-f]{8}"/, '00000000"'))
    const error = await expectCode("ERR_STATE_NOT_EMPTY", () => restore(other))
    expect(error.message).to.match(/another import, which was stopped half-way|importing.json/)
  })

  const faults: [what: string, change: () => void, message: RegExp][] = [
    [
      "a digest that does not fit",
      () => writeFileSync(file(), `${lines().join("\n")}\n`.replace("5b3c", "5b3d")),
      /digest is another/,
    ],
    ["a count that does not fit", () => sign(lines().slice(0, -1), 99), /it should have 99 files or pieces/],
    ["no end", () => writeFileSync(file(), `${lines().slice(0, -1).join("\n")}\n`), /its end is missing/],
    [
      "a line after its end",
      () => writeFileSync(file(), "{}\n", { flag: "a" }),
      /follows the line that should be the last/,
    ],
    [
      "another state's format",
      () => sign([(lines()[0] ?? "").replace(/"stateVersion":\d+/, '"stateVersion":99'), ...lines().slice(1, -1)]),
      /format 99/,
    ],
    ["a file twice, with another between", () => sign([...lines().slice(0, -1), lines()[1] ?? ""]), /comes twice/],
    [
      "a path of no part",
      () => sign([...lines().slice(0, -1), JSON.stringify({ path: "lock", content: "", damage: null })]),
      /is no file of a state directory/,
    ],
    [
      "a log without its last line end",
      () =>
        sign(
          lines()
            .slice(0, -1)
            .map((line) => (line.includes(`"${CUSTODY_LOG}"`) ? line.replace(/\\n","damage"/, '","damage"') : line)),
        ),
      /the custody log is cut/,
    ],
    [
      "a log that ends elsewhere",
      () => sign([(lines()[0] ?? "").replace(/"seq":\d+/, '"seq":2'), ...lines().slice(1, -1)]),
      /does not end where it says/,
    ],
    [
      "a log without its closed part",
      () =>
        sign(
          lines()
            .slice(0, -1)
            .filter((line) => !line.startsWith('{"path":"custody.log.2025')),
        ),
      /does not continue/,
    ],
  ]
  for (const [what, change, message] of faults) {
    it(`is refused with ${what}, and nothing is written`, async () => {
      await makeState()
      await write()
      change()
      const error = await expectCode("ERR_STATE_ARCHIVE_INVALID", () => restore(into()))
      expect(error.message).to.match(message)
      expect(filesUnder(into())).to.deep.equal([])
    })
  }

  it("keeps a damaged file as it was, and says why", async () => {
    await makeState()
    const path = "inventory/default/b.json"
    writeFileSync(join(state(), path), "garbage")
    const { damaged, counts } = await write()
    expect(damaged).to.deep.equal([{ path, reason: "it is not JSON" }])
    expect(counts.inventory).to.equal(2)
    const target = into()
    await restore(target)
    expect(readFileSync(join(target, path), "utf8")).to.equal("garbage")
  })

  describe("that was the last", () => {
    it("is told by its time and the lines that came after it", async () => {
      mkdirSync(state(), { mode: 0o700 })
      expect(await backupOf(state())).to.deep.equal({ exportedAt: null, linesSince: 0 })
      await append("2026-03-01T00:00:00Z")
      expect(await backupOf(state())).to.deep.equal({ exportedAt: null, linesSince: 1 })
      await noteExport(fileTexts(state()), { exportedAt: EXPORTED_AT, digest: "sha256:", log: verifiedEnd(state()) })
      expect(await backupOf(state())).to.deep.equal({ exportedAt: EXPORTED_AT, linesSince: 0 })
      await append("2026-03-01T00:00:00Z")
      expect(await backupOf(state())).to.deep.equal({ exportedAt: EXPORTED_AT, linesSince: 1 })
      expect(openFiles(folder())).to.deep.equal([])
    })

    it("is none where the note is damaged, and of a damaged log nothing is counted", async () => {
      mkdirSync(state(), { mode: 0o700 })
      await append("2026-03-01T00:00:00Z")
      const log = { seq: 1, hash: "" }
      for (const note of [
        "{",
        "null",
        JSON.stringify({ exportedAt: "soon", log }),
        JSON.stringify({ exportedAt: EXPORTED_AT, log: { seq: "1" } }),
      ]) {
        writeFileSync(join(state(), "last-export.json"), note)
        expect(await backupOf(state()), note).to.deep.equal({ exportedAt: null, linesSince: 1 })
      }
      await noteExport(fileTexts(state()), { exportedAt: EXPORTED_AT, digest: "sha256:", log })
      writeFileSync(join(state(), CUSTODY_LOG), "garbage\n")
      expect(await backupOf(state())).to.deep.equal({ exportedAt: EXPORTED_AT, linesSince: null })
    })
  })
})
