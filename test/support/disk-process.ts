import { closeSync, constants, mkdirSync, openSync, statSync, truncateSync, writeFileSync, writeSync } from "node:fs"
import { join } from "node:path"
import { replaceFile } from "#src/store/files/atomic-file.js"
import { custodyLogFile } from "#src/store/files/custody-log.js"
import { rotateLog } from "#src/store/files/custody-log-rotation.js"
import { fileTexts } from "#src/store/files/file-texts.js"
import { storedInventory } from "#src/store/records/inventory.js"
import { writeOutput } from "#src/store/files/output-file.js"
import { migrateState, openStateDir } from "#src/store/files/state-dir.js"
import { storedToBeLocked } from "#src/store/records/to-be-locked.js"

const at = (time: string) => ({ now: () => new Date(time) })
const append = (folder: string, time: string): Promise<void> =>
  custodyLogFile(folder, at(time)).append({ event: "source.generated", facts: {} })

/** Each way in which files are written, on a folder of its own that is there: `node disk-process.js BASE`. */
export const WAYS = {
  "a file that is replaced": (folder: string) => replaceFile(join(folder, "entry.json"), "new"),
  "a file that is replaced, in pieces of bytes": (folder: string) =>
    replaceFile(join(folder, "entry.json"), Buffer.from("new")),
  "a file in a folder that is made": (folder: string) =>
    storedToBeLocked(fileTexts(folder)).add({ id: "aa", label: "label" }),
  "a file in a folder that a killed run has made": async (folder: string) => {
    mkdirSync(join(folder, "to-be-locked"))
    await storedToBeLocked(fileTexts(folder)).add({ id: "aa", label: "label" })
  },
  "a file that is removed": async (folder: string) => {
    await storedToBeLocked(fileTexts(folder)).add({ id: "aa", label: "label" })
    await storedToBeLocked(fileTexts(folder)).remove("aa")
  },
  "the state directory": async (folder: string) => {
    await openStateDir(join(folder, "a", "b"))
  },
  "the custody log's first line": (folder: string) => append(folder, "2026-01-01T00:00:00Z"),
  "the custody log's second line": async (folder: string) => {
    await append(folder, "2026-01-01T00:00:00Z")
    await append(folder, "2026-01-01T00:00:01Z")
  },
  "the custody log after a torn line": async (folder: string) => {
    await append(folder, "2026-01-01T00:00:00Z")
    const file = openSync(join(folder, "custody.log.jsonl"), constants.O_WRONLY | constants.O_APPEND)
    writeSync(file, '{"seq":2,"ti')
    closeSync(file)
    await append(folder, "2026-01-01T00:00:01Z")
  },
  "the custody log after a line without its end": async (folder: string) => {
    await append(folder, "2026-01-01T00:00:00Z")
    const log = join(folder, "custody.log.jsonl")
    truncateSync(log, statSync(log).size - 1)
    await append(folder, "2026-01-01T00:00:01Z")
  },
  "a closed part of the custody log": async (folder: string) => {
    await append(folder, "2025-01-01T00:00:00Z")
    await append(folder, "2026-01-01T00:00:00Z")
    await rotateLog(folder, at("2026-02-01T00:00:00Z"))
  },
  "an output file": (folder: string) => writeOutput(join(folder, "wrapped.bin"), "new"),
  "the copy of an older state, and its version": async (folder: string) => {
    await migrateState(folder, storedInventory(fileTexts(folder)))
  },
} as const

/** What is there before, durable. */
export function prepare(base: string): void {
  for (const way of Object.keys(WAYS)) mkdirSync(join(base, way))
  const older = join(base, "the copy of an older state, and its version")
  mkdirSync(join(older, "vault", "keyferry", "payments"), { recursive: true })
  writeFileSync(join(older, "vault", "keyferry", "payments", "0-aa.json"), "{}\n")
  writeFileSync(join(older, "custody.log.jsonl"), "{}\n")
}

const [, program = "", base = ""] = process.argv
if (program.endsWith("disk-process.js")) {
  for (const [way, write] of Object.entries(WAYS)) await write(join(base, way))
}
