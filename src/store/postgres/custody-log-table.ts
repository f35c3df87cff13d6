import { KeyferryError } from "../../core/base/error.js"
import type { Clock } from "../../core/ports/clock.js"
import type { CustodyLog } from "../../core/ports/custody-log.js"
import { type ChainEnd, NO_LINES, readLine, sealLine, verifyChain } from "../../core/records/custody-chain.js"
import type { CustodyEvent } from "../../core/records/custody-event.js"
import { CUSTODY_LOG } from "../archive/log-parts.js"
import { inBatches } from "../records/in-batches.js"
import type { Database, Queryable } from "./database.js"
import { bindingLost, type Fences } from "./fence.js"

/** Lines of one reading. */
const PAGE = 2000

interface Waiting {
  readonly event: CustodyEvent
  readonly fences: ReturnType<Fences>
}

/**
 * The custody log as rows that are only ever added, each chained to the one before: one writer at a time, over all
 * processes, by an advisory lock of its transaction. What waits at the same time in this process is written together.
 */
export function custodyLogTable(database: Database, clock: Pick<Clock, "now">, fences: Fences = () => []): CustodyLog {
  const append = inBatches<Waiting>((batch) => appendLines(database, batch, clock))
  return {
    async check() {
      await logEnd(database)
    },

    async verify() {
      await verifiedLogEnd(database)
    },

    // the fences are those of who appends, not of who writes the batch
    append: (event) => append({ event, fences: fences() }),
  }
}

/** One writer at a time; free with the transaction. */
export async function lockLog(connection: Queryable): Promise<void> {
  await connection.query("SELECT pg_advisory_xact_lock(hashtextextended('keyferry custody log', 0))")
}

/** @returns why lines were not written whose binding is another's by now */
async function appendLines(
  database: Database,
  batch: readonly Waiting[],
  clock: Pick<Clock, "now">,
): Promise<ReadonlyMap<Waiting, KeyferryError>> {
  const lost = new Map<Waiting, KeyferryError>()
  await database.transaction(async (connection) => {
    await lockLog(connection)
    let end = await logEnd(connection)
    const time = clock.now().toISOString()
    for (const entry of batch) {
      if (!(await areHeld(connection, entry.fences))) {
        lost.set(entry, bindingLost(entry.fences))
        continue
      }
      end = await appendLine(connection, end, time, entry.event)
    }
  })
  return lost
}

/** Seals one line and adds it; the caller holds the log's lock. @returns where the chain ends then */
export async function appendLine(
  connection: Queryable,
  end: ChainEnd,
  time: string,
  event: CustodyEvent,
): Promise<ChainEnd> {
  const line = sealLine(end, time, event)
  await connection.query(
    "INSERT INTO keyferry.custody_log (seq, hash, previous, name, part, line) VALUES ($1, $2, $3, $4, $5, $6)",
    [line.end.seq, line.end.hash, end.hash, event.name ?? null, CUSTODY_LOG, line.text],
  )
  return line.end
}

async function areHeld(connection: Queryable, fences: ReturnType<Fences>): Promise<boolean> {
  for (const { name, target, fence } of fences) {
    const { rows } = await connection.query(
      "SELECT 1 FROM keyferry.binding WHERE name = $1 AND target = $2 AND fence = $3 FOR SHARE",
      [name, target, fence],
    )
    if (rows.length === 0) return false
  }
  return true
}

/** Where the chain ends. @throws ERR_STATE_INVALID where the last line is not what was written */
export async function logEnd(connection: Queryable): Promise<ChainEnd> {
  const { rows } = await connection.query<{ seq: string; line: string }>(
    "SELECT seq, line FROM keyferry.custody_log ORDER BY seq DESC LIMIT 1",
  )
  const [last] = rows
  if (last === undefined) return NO_LINES
  const read = readLine(last.line)
  if ("end" in read && String(read.end.seq) === last.seq) return read.end
  throw damaged(`line ${last.seq} ${"fault" in read ? read.fault : "has another seq than its row"}`)
}

/** Where the whole log ends, each line held against the one before. @throws ERR_STATE_INVALID naming the first faulty line */
export async function verifiedLogEnd(connection: Queryable): Promise<ChainEnd> {
  let last = NO_LINES
  for await (const { end } of verifiedPages(connection)) last = end
  return last
}

/**
 * All lines in their order, so many at a time, each held against the one before; with where the chain ends there.
 *
 * @throws ERR_STATE_INVALID naming the first faulty line
 */
export async function* verifiedPages(
  connection: Queryable,
): AsyncGenerator<{ readonly rows: readonly LogRow[]; readonly end: ChainEnd }> {
  let end = NO_LINES
  for await (const rows of logPages(connection)) {
    const verdict = verifyChain(
      rows.map(({ line }) => line),
      end,
    )
    if ("fault" in verdict) throw damaged(`line ${end.seq + verdict.line} ${verdict.fault}`)
    end = verdict.end
    yield { rows, end }
  }
}

export interface LogRow {
  readonly part: string
  readonly line: string
}

/** All lines in their order, so many at a time. */
export async function* logPages(connection: Queryable): AsyncGenerator<readonly LogRow[], void> {
  let after = "0"
  for (;;) {
    const { rows } = await connection.query<LogRow & { seq: string }>(
      "SELECT seq, part, line FROM keyferry.custody_log WHERE seq > $1 ORDER BY seq LIMIT $2",
      [after, PAGE],
    )
    const last = rows.at(-1)
    if (last === undefined) return
    after = last.seq
    yield rows
  }
}

function damaged(fault: string): KeyferryError {
  return new KeyferryError("ERR_STATE_INVALID", `the custody log in the database: ${fault}`, {
    hint: "the custody log was changed or damaged: keep it as evidence, and restore it from a backup",
  })
}
