import { KeyferryError } from "../../core/base/error.js"
import type { Clock } from "../../core/ports/clock.js"
import { type ChainEnd, NO_LINES } from "../../core/records/custody-chain.js"
import type { CustodyEvent } from "../../core/records/custody-event.js"
import { exportNote, LAST_EXPORT } from "../archive/last-export.js"
import { isCustodyLog } from "../archive/log-parts.js"
import { NOT_EXPORTED } from "../archive/parts.js"
import { changed, continued, piecesOf, type VerifiedArchive } from "../archive/read.js"
import { appendLine, lockLog } from "./custody-log-table.js"
import type { Database, Queryable } from "./database.js"

/** Rows of one statement, and the characters in them. */
const MOST_ROWS = 1000
const MOST_CHARACTERS = 4 * 1024 * 1024

/**
 * Writes what a verified archive holds into a database that has keyferry's tables and no state, with the line of the
 * custody log that says so, in one transaction: stopped at any moment, it leaves all of it or nothing. Others' writes wait
 * meanwhile.
 *
 * @param imported what the custody log says of it
 * @throws ERR_STATE_NOT_EMPTY, ERR_STATE_LOCKED where another import is under way, ERR_STATE_ARCHIVE_INVALID where the
 *   archive is not what was verified any more, ERR_DATABASE_*
 */
export async function importArchive(
  database: Database,
  archive: VerifiedArchive,
  imported: CustodyEvent,
  clock: Pick<Clock, "now">,
): Promise<void> {
  const { head, contents } = archive
  await database.transaction(async (connection) => {
    await lockForImport(connection, database.place)
    await refuseState(connection, database.place, contents.digest)
    const end = await writePieces(connection, archive)
    if (end.seq !== head.log.seq || end.hash !== head.log.hash) throw changed(archive, "its custody log is another")
    await appendLine(connection, end, clock.now().toISOString(), imported)
    await connection.query("DELETE FROM keyferry.text WHERE path = $1", [LAST_EXPORT])
    const note = exportNote({ exportedAt: contents.exportedAt, digest: contents.digest, log: head.log })
    await writeTexts(connection, [{ path: LAST_EXPORT, content: note }])
  })
}

/** Nobody else writes until the transaction ends. */
async function lockForImport(connection: Queryable, place: string): Promise<void> {
  const { rows } = await connection.query<{ free: boolean }>(
    "SELECT pg_try_advisory_xact_lock(hashtextextended('keyferry import', 0)) AS free",
  )
  if (rows[0]?.free !== true) {
    throw new KeyferryError("ERR_STATE_LOCKED", `another process writes an archive into ${place} at this moment`)
  }
  await lockLog(connection)
  await connection.query("LOCK TABLE keyferry.text IN SHARE ROW EXCLUSIVE MODE")
}

async function refuseState(connection: Queryable, place: string, digest: string): Promise<void> {
  const { rows } = await connection.query<{ found: string }>(
    `(SELECT path AS found FROM keyferry.text WHERE split_part(path, '/', 1) <> ALL ($1) ORDER BY path LIMIT 1)
     UNION ALL (SELECT 'a custody log' FROM keyferry.custody_log LIMIT 1)`,
    [[...NOT_EXPORTED]],
  )
  const [obstacle] = rows
  if (obstacle === undefined) return
  const hint =
    "import into a database that has no state, or into an empty directory by --state-dir; two states are joined by `keyferry state merge`, in directories"
  const earlier = await importOf(connection, digest)
  const words =
    earlier === null ? `it has ${obstacle.found}` : `this very archive was imported into it already, on ${earlier}`
  throw new KeyferryError("ERR_STATE_NOT_EMPTY", `${place} is not empty: ${words}`, { hint })
}

/** When an archive was imported, as the custody log says; null where it does not. */
async function importOf(connection: Queryable, digest: string): Promise<string | null> {
  const { rows } = await connection.query<{ time: string }>(
    `SELECT line::json ->> 'time' AS time FROM keyferry.custody_log
      WHERE line LIKE '%"event":"state.imported"%' AND position($1 IN line) > 0 ORDER BY seq DESC LIMIT 1`,
    [`"digest":"${digest}"`],
  )
  return rows[0]?.time ?? null
}

/** @returns where the custody log ends */
async function writePieces(connection: Queryable, archive: VerifiedArchive): Promise<ChainEnd> {
  let end = NO_LINES
  const texts = new Batch<TextRow>(
    ({ content }) => content.length,
    (rows) => writeTexts(connection, rows),
  )
  const lines = new Batch<LineRow>(
    ({ line }) => line.length,
    (rows) => writeLines(connection, rows),
  )
  for (const { path, content } of piecesOf(archive)) {
    if (!isCustodyLog(path)) {
      await texts.add({ path, content })
      continue
    }
    for (const line of content.split("\n").slice(0, -1)) {
      const next = continued(end, line, (fault) => changed(archive, fault))
      // what a run that was killed while it closed a part has left in the log as well
      if (next === end) continue
      await lines.add({ end: next, previous: end.hash, part: path, line })
      end = next
    }
  }
  await texts.flush()
  await lines.flush()
  return end
}

/** Rows that are written together. */
class Batch<Row> {
  readonly #sizeOf: (row: Row) => number
  readonly #write: (rows: readonly Row[]) => Promise<void>
  #rows: Row[] = []
  #characters = 0

  constructor(sizeOf: (row: Row) => number, write: (rows: readonly Row[]) => Promise<void>) {
    this.#sizeOf = sizeOf
    this.#write = write
  }

  async add(row: Row): Promise<void> {
    this.#rows.push(row)
    this.#characters += this.#sizeOf(row)
    if (this.#rows.length >= MOST_ROWS || this.#characters >= MOST_CHARACTERS) await this.flush()
  }

  async flush(): Promise<void> {
    if (this.#rows.length > 0) await this.#write(this.#rows)
    this.#rows = []
    this.#characters = 0
  }
}

interface TextRow {
  readonly path: string
  readonly content: string
}

async function writeTexts(connection: Queryable, rows: readonly TextRow[]): Promise<void> {
  await connection.query(
    "INSERT INTO keyferry.text (path, content) SELECT path, content FROM unnest($1::text[], $2::bytea[]) AS rows (path, content)",
    [rows.map(({ path }) => path), rows.map(({ content }) => Buffer.from(content, "utf8"))],
  )
}

interface LineRow {
  readonly end: ChainEnd
  readonly previous: string
  readonly part: string
  readonly line: string
}

async function writeLines(connection: Queryable, rows: readonly LineRow[]): Promise<void> {
  await connection.query(
    `INSERT INTO keyferry.custody_log (seq, hash, previous, name, part, line)
       SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[])`,
    [
      rows.map(({ end }) => end.seq),
      rows.map(({ end }) => end.hash),
      rows.map(({ previous }) => previous),
      rows.map(({ line }) => nameIn(line)),
      rows.map(({ part }) => part),
      rows.map(({ line }) => line),
    ],
  )
}

function nameIn(line: string): string | null {
  const { name } = JSON.parse(line) as { readonly name?: unknown }
  return typeof name === "string" ? name : null
}
