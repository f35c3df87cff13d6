import fs from "node:fs"
import { syncBuiltinESMExports } from "node:module"
import pg from "pg"
import { noteExport } from "#src/store/archive/last-export.js"
import { verifyArchive } from "#src/store/archive/read.js"
import { archiveOf } from "#src/store/archive/write.js"
import { writeOutput } from "#src/store/files/output-file.js"
import { openDatabase } from "#src/store/postgres/database.js"
import { rowTexts } from "#src/store/postgres/row-texts.js"
import { takeSnapshot } from "#src/store/postgres/state-export.js"
import { importArchive } from "#src/store/postgres/state-import.js"

/**
 * Writes an archive into a database, or one of it: `node archive-process.js import|export URL FILE`. It counts statements
 * and what it does to files, and says the count at its end, or the code of the refusal.
 *
 * With KEYFERRY_TEST_AT=`MOMENT NUMBER` it stops at that place, counted from 0: `before` and `sent` and `after` kill it
 * before a statement is sent, when it was sent, and when its answer is there; `wait` says `waiting` and goes on when
 * standard input says so. At a file's call all of them are before it.
 */

const [moment = "", number = "Infinity"] = (process.env["KEYFERRY_TEST_AT"] ?? "").split(" ")
let count = 0

const die = (): void => void process.kill(process.pid, "SIGKILL")

/** Whether it is the place to stop at. */
function isHere(): boolean {
  const here = count === Number(number)
  count += 1
  if (here && moment === "before") die()
  return here
}

type Query = (this: unknown, ...args: unknown[]) => unknown

function hookStatements(): void {
  const prototype = pg.Client.prototype as unknown as { query: Query }
  const { query } = prototype
  prototype.query = function (...args) {
    const here = isHere()
    if (here && moment === "wait") {
      process.stdout.write("waiting\n")
      // reading waits, as the work does not: its statements come one after the other
      fs.readSync(0, Buffer.alloc(1))
    }
    const last = args.at(-1)
    if (here && moment === "after" && typeof last === "function") args.splice(-1, 1, die)
    const result = query.apply(this, args)
    if (here && moment === "sent") setImmediate(die)
    return here && moment === "after" && result instanceof Promise ? result.finally(die) : result
  }
}

function hookFiles(): void {
  const own = fs as unknown as Record<string, (...args: unknown[]) => unknown>
  for (const name of ["openSync", "writeFileSync", "linkSync", "rmSync"]) {
    const call = own[name]
    if (call === undefined) throw new Error(`there is no ${name}`)
    own[name] = (...args) => {
      if (isHere()) die()
      return call(...args)
    }
  }
  for (const name of ["link", "rm"] as const) {
    const later = fs.promises as unknown as Record<string, (...args: unknown[]) => unknown>
    const call = later[name]
    if (call === undefined) throw new Error(`there is no ${name}`)
    later[name] = (...args) => {
      if (isHere()) die()
      return call(...args)
    }
  }
  syncBuiltinESMExports()
}

const clock = { now: () => new Date("2026-07-01T00:00:00Z") }
const [, , action = "", url = "", file = ""] = process.argv
await using database = openDatabase({ url }, "keyferry archive")
hookStatements()
try {
  if (action === "import") {
    using archive = await verifyArchive(file)
    const { exportedAt, digest } = archive.contents
    await importArchive(database, archive, { event: "state.imported", facts: { exportedAt, digest } }, clock)
  } else {
    hookFiles()
    await using snapshot = await takeSnapshot(database, clock.now())
    const { lines, contents } = archiveOf(snapshot)
    await writeOutput(file, lines)
    await noteExport(rowTexts(database), { ...contents(), log: snapshot.head.log })
  }
  process.stdout.write(`${count}\n`)
} catch (error) {
  process.stdout.write(`${(error as { readonly code?: string }).code ?? String(error)}\n`)
}
