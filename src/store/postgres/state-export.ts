import type { ArchivePiece } from "../archive/format.js"
import { NOT_EXPORTED, partOf } from "../archive/parts.js"
import { type ArchiveSource, headOf, pieceOf } from "../archive/write.js"
import { logEnd, type LogRow, verifiedPages } from "./custody-log-table.js"
import type { Database, Queryable } from "./database.js"

/** Texts of one reading: some kB each. */
const PAGE = 100
/** In characters: what of the custody log stands in one line of the archive, unless one line is longer. */
const PIECE = 1024 * 1024

/** The state in the database as it was at one moment. */
export interface Snapshot extends ArchiveSource, AsyncDisposable {}

/**
 * The state as it is at this moment, whatever others write meanwhile: a transaction of one snapshot, which writes nothing
 * and keeps nobody waiting. Texts and custody log are read as they are asked for, a part at a time; the log's chain is held
 * line against line on the way.
 *
 * @throws ERR_STATE_INVALID where the custody log's chain does not hold, ERR_DATABASE_*; so do the pieces
 */
export async function takeSnapshot(database: Database, exportedAt: Date): Promise<Snapshot> {
  const connection = await database.connect()
  const end = async (): Promise<void> => {
    // nothing was written that its answer would tell of
    const isOver = await connection.query("ROLLBACK").then(
      () => true,
      () => false,
    )
    connection.release(!isOver)
  }
  try {
    await connection.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    const head = headOf(exportedAt, await logEnd(connection))
    const left: string[] = []
    return {
      head,
      async *pieces() {
        yield* textPieces(connection, left)
        yield* logPieces(connection)
      },
      left,
      [Symbol.asyncDispose]: end,
    }
  } catch (error) {
    await end()
    throw error
  }
}

/** @param left takes the paths that are not keyferry's */
async function* textPieces(connection: Queryable, left: string[]): AsyncGenerator<ArchivePiece, void> {
  for (let after = ""; ;) {
    const { rows } = await connection.query<{ path: string; content: Buffer }>(
      `SELECT path, content FROM keyferry.text
        WHERE path > $1 AND split_part(path, '/', 1) <> ALL ($2) ORDER BY path LIMIT $3`,
      [after, [...NOT_EXPORTED], PAGE],
    )
    for (const { path, content } of rows) {
      const part = partOf(path)
      if (part === undefined) left.push(path)
      else yield await pieceOf(part, path, content.toString("utf8"))
      after = path
    }
    if (rows.length < PAGE) return
  }
}

async function* logPieces(connection: Queryable): AsyncGenerator<ArchivePiece, void> {
  for await (const { rows } of verifiedPages(connection)) yield* joined(rows)
}

/** Lines that follow each other in one part, as that part's file has them. */
function* joined(rows: readonly LogRow[]): Generator<ArchivePiece, void> {
  let [path, content] = ["", ""]
  for (const { part, line } of rows) {
    if (content !== "" && (part !== path || content.length + line.length >= PIECE)) {
      yield { path, content, damage: null }
      content = ""
    }
    path = part
    content += `${line}\n`
  }
  if (content !== "") yield { path, content, damage: null }
}
