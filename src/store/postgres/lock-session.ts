import type { QueryResult, QueryResultRow } from "pg"
import { KeyferryError } from "../../core/base/error.js"
import { endsConnection } from "./database-error.js"
import type { Connection, Database, Queryable } from "./database.js"

/** A connection whose advisory locks hold as long as its process lives, answers and reaches the server. */
export interface LockSession extends Queryable, Disposable {
  /** Whether it ended, and all of its locks with it. */
  readonly isLost: boolean
}

/** The server ends a session that says nothing for so long (a process that is stopped, say), in ms; and how often one speaks. */
const IDLE_TIMEOUT = 20_000
const HEARTBEAT = 5_000
/** In ms. A server that does not answer for so long is taken for gone; no statement here waits longer for a row. */
const ANSWER_TIMEOUT = 15_000
const ROW_LOCK_TIMEOUT = 2_000

/**
 * Opens a session for advisory locks. `idle_session_timeout` is of PostgreSQL 14 and later.
 *
 * @param applicationName what `pg_stat_activity` shows of it, at most 63 bytes of ASCII
 * @throws ERR_DATABASE_*
 */
export async function openLockSession(database: Database, applicationName?: string): Promise<LockSession> {
  const session = new Session(await database.connect(), database.place)
  try {
    await session.query(
      `SELECT set_config('idle_session_timeout', $1, false), set_config('lock_timeout', $2, false),
              set_config('application_name', coalesce($3, current_setting('application_name')), false)`,
      [String(IDLE_TIMEOUT), String(ROW_LOCK_TIMEOUT), applicationName ?? null],
    )
    return session
  } catch (error) {
    session[Symbol.dispose]()
    throw error
  }
}

class Session implements LockSession {
  readonly #connection: Connection
  readonly #place: string
  readonly #heartbeat: NodeJS.Timeout
  #isLost = false
  #answered: Promise<unknown> = Promise.resolve()

  constructor(connection: Connection, place: string) {
    this.#connection = connection
    this.#place = place
    connection.on("error", () => this.#end())
    this.#heartbeat = setInterval(() => void this.query("SELECT 1").catch(() => undefined), HEARTBEAT).unref()
  }

  get isLost(): boolean {
    return this.#isLost
  }

  /** One after the other, as the wire has them: each has its answer before the next is sent. */
  readonly query: Queryable["query"] = (sql, values) => {
    const answer = this.#answered.then(() => this.#ask<never>(sql, values))
    this.#answered = answer.catch(() => undefined)
    return answer
  }

  async #ask<Row extends QueryResultRow>(sql: string, values?: readonly unknown[]): Promise<QueryResult<Row>> {
    if (this.#isLost) throw this.#lostError()
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(this.#lostError()), ANSWER_TIMEOUT)
    })
    try {
      return await Promise.race([this.#connection.query<Row>(sql, values), late])
    } catch (error) {
      if (endsConnection(error)) this.#end()
      throw error
    } finally {
      clearTimeout(timer)
    }
  }

  [Symbol.dispose](): void {
    this.#end()
  }

  /** The connection is closed, not used for something else: its locks are free with it. */
  #end(): void {
    if (this.#isLost) return
    this.#isLost = true
    clearInterval(this.#heartbeat)
    this.#connection.release(true)
  }

  #lostError(): KeyferryError {
    return new KeyferryError("ERR_DATABASE_UNREACHABLE", `${this.#place}: the connection that holds locks has ended`)
  }
}
