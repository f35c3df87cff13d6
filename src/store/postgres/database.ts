import pg from "pg"
import type { PostgresSettings } from "../../core/manifest/state-settings.js"
import { poolSettings, type Transport } from "./database-settings.js"

/** Who asks: one connection, or any of the pool. */
export interface Queryable {
  query<Row extends pg.QueryResultRow>(sql: string, values?: readonly unknown[]): Promise<pg.QueryResult<Row>>
}

/** A connection that belongs to who took it, until it is released. */
export interface Connection extends Queryable {
  release(error?: Error | boolean): void
  on(event: "error", listener: (error: Error) => void): unknown
}

/** The database that holds the state. It ends once all that was asked of it is answered. */
export interface Database extends Queryable, AsyncDisposable {
  /** How it is named to people: host, port and database, without user or password. */
  readonly place: string
  /** Whether what goes there is encrypted, or does not leave this machine. */
  readonly transport: Transport
  /** A connection of one's own: what is held in it (advisory locks) is free when it ends. @throws ERR_DATABASE_* */
  connect(): Promise<Connection>
  /**
   * Does work in one transaction, all of it or nothing. `readOnly`: of one snapshot (REPEATABLE READ), which writes nothing.
   *
   * @throws ERR_DATABASE_*, and what the work throws
   */
  transaction<T>(work: (connection: Queryable) => Promise<T>, options?: { readonly readOnly: boolean }): Promise<T>
  /** What node-postgres is given: for an engine that has connections of its own. */
  readonly settings: pg.PoolConfig
  /** What a call of such an engine failed with, as keyferry's error. */
  readonly asError: (error: unknown) => unknown
}

/**
 * The database of the settings. Nothing is connected before something is asked.
 *
 * Every connection has `synchronous_commit` on: what is committed is durable when its answer is there, whatever the
 * server's own setting is. TCP keepalives are on, so that a connection to a machine that is gone ends. Variables of
 * libpq (`PG…`) and its files say nothing.
 *
 * @param applicationName what `pg_stat_activity` shows
 * @throws ERR_DATABASE_SETTING where the URL, the password file or the certificates are not to be used
 */
export function openDatabase(postgres: PostgresSettings, applicationName: string): Database {
  const { settings, place, transport, asError } = poolSettings(postgres, applicationName)
  const pool = new pg.Pool(settings)
  // of a connection that nobody uses at this moment: the next one is opened anew
  pool.on("error", () => undefined)
  // of one that somebody has: what is asked of it next fails
  pool.on("connect", (client) => client.on("error", () => undefined))
  const unanswered = new Set<Promise<unknown>>()
  const asked = async <T>(asking: () => Promise<T>): Promise<T> => {
    const answer = asking()
    unanswered.add(answer)
    try {
      return await answer
    } catch (error) {
      throw asError(error)
    } finally {
      unanswered.delete(answer)
    }
  }
  const inPlace = (connection: pg.PoolClient): Connection => {
    const listeners: ((error: Error) => void)[] = []
    return {
      query: (sql, values) => asked(() => connection.query(sql, values === undefined ? undefined : [...values])),
      release(error) {
        // it is lent to others again
        for (const listener of listeners) connection.off("error", listener)
        connection.release(error)
      },
      on(event, listener) {
        listeners.push(listener)
        connection.on(event, listener)
      },
    }
  }
  const connect = (): Promise<Connection> => asked(async () => inPlace(await pool.connect()))

  return {
    place,
    transport,
    settings,
    asError,
    connect,
    query: (sql, values) => asked(() => pool.query(sql, values === undefined ? undefined : [...values])),

    async transaction(work, { readOnly } = { readOnly: false }) {
      const connection = await connect()
      try {
        await connection.query(readOnly ? "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY" : "BEGIN")
        const result = await work(connection)
        await connection.query("COMMIT")
        connection.release()
        return result
      } catch (error) {
        // one whose transaction cannot be ended is not used again
        const isOver = await connection.query("ROLLBACK").then(
          () => true,
          () => false,
        )
        connection.release(!isOver)
        throw error
      }
    },

    async [Symbol.asyncDispose]() {
      // a pool that ends drops what was asked and has no connection yet
      await Promise.allSettled(unanswered)
      await pool.end()
    },
  }
}
