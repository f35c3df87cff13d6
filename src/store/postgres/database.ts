import { readFileSync, statSync } from "node:fs"
import type { ConnectionOptions } from "node:tls"
import pg from "pg"
import { parse } from "pg-connection-string"
import { KeyferryError } from "../../core/base/error.js"
import type { PostgresSettings, PostgresTls } from "../../core/manifest/state-settings.js"

/** Who asks: one connection, or any of the pool. */
export interface Queryable {
  query<Row extends pg.QueryResultRow>(sql: string, values?: readonly unknown[]): Promise<pg.QueryResult<Row>>
}

/** A connection that belongs to who took it, until it is released. */
export interface Connection extends Queryable {
  release(error?: Error | boolean): void
  on(event: "error", listener: (error: Error) => void): unknown
}

/** The database that holds the state. */
export interface Database extends Queryable, AsyncDisposable {
  /** How it is named to people: host, port and database, without user or password. */
  readonly place: string
  /** Whether what goes there is encrypted, or does not leave this machine. */
  readonly transport: "socket" | "loopback" | "tls"
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
}

/** In ms. */
const CONNECT_TIMEOUT = 10_000
/** A statement that takes longer waits for what does not come: locks are asked for without waiting. In ms. */
const STATEMENT_TIMEOUT = 60_000
/** A process that is stopped in the middle of a transaction keeps nobody out for longer than that, in ms. */
const IDLE_TRANSACTION = 15_000
/** Connections of one process, besides those that hold something. */
const CONNECTIONS = 16

/**
 * The database of the settings. Nothing is connected before something is asked.
 *
 * Every connection has `synchronous_commit` on: what is committed is durable when its answer is there, whatever the
 * server's own setting is. TCP keepalives are on, so that a connection to a machine that is gone ends.
 *
 * @param applicationName what `pg_stat_activity` shows
 * @throws ERR_DATABASE_SETTING where the URL, the password file or the certificates are not to be used
 */
export function openDatabase(postgres: PostgresSettings, applicationName: string): Database {
  const { settings, place, transport } = poolSettings(postgres, applicationName)
  const pool = new pg.Pool(settings)
  // of a connection that nobody uses at this moment: the next one is opened anew
  pool.on("error", () => undefined)
  // of one that somebody has: what is asked of it next fails
  pool.on("connect", (client) => client.on("error", () => undefined))
  const asked = async <T>(asking: () => Promise<T>): Promise<T> => {
    try {
      return await asking()
    } catch (error) {
      throw databaseError(place, error)
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
      await pool.end()
    },
  }
}

interface Opened {
  readonly settings: pg.PoolConfig
  readonly place: string
  readonly transport: Database["transport"]
}

function poolSettings({ url, passwordFile, tls }: PostgresSettings, applicationName: string): Opened {
  const { host, port, user, database } = partsOf(url)
  const isSocket = host.startsWith("/")
  const isLoopback = ["localhost", "127.0.0.1", "::1"].includes(host)
  const isEncrypted = tls !== undefined || !(isSocket || isLoopback)
  const password = passwordFile === undefined ? undefined : readPassword(passwordFile)
  const place = isSocket ? `${database} at the socket in ${host}` : `${database} at ${host}:${port}`
  return {
    place: `the database ${place}`,
    transport: isSocket ? "socket" : isEncrypted ? "tls" : "loopback",
    settings: {
      host,
      port,
      user,
      database,
      ...(password === undefined ? {} : { password }),
      ssl: isEncrypted && !isSocket ? tlsOptions(tls ?? {}) : false,
      application_name: applicationName,
      max: CONNECTIONS,
      connectionTimeoutMillis: CONNECT_TIMEOUT,
      // the server's own limit does not reach who is cut off from it
      query_timeout: STATEMENT_TIMEOUT + 5000,
      keepAlive: true,
      keepAliveInitialDelayMillis: 5000,
      // in the packet that opens the connection: no statement of it comes before
      options: `-c synchronous_commit=on -c statement_timeout=${STATEMENT_TIMEOUT} -c idle_in_transaction_session_timeout=${IDLE_TRANSACTION} -c tcp_user_timeout=20000 -c tcp_keepalives_idle=10 -c tcp_keepalives_interval=3 -c tcp_keepalives_count=3`,
    },
  }
}

function partsOf(url: string) {
  if (!/^postgres(ql)?:\/\//.test(url)) throw refusedUrl("it does not begin with postgres://")
  let parts
  try {
    // PGPASSWORD and the other variables of libpq are not read for what the URL leaves out
    parts = parse(url)
  } catch {
    // its own message would show the URL, in which a password may stand
    throw refusedUrl("it cannot be read")
  }
  if ((parts.password ?? "") !== "") throw refusedUrl("it holds a password, which others see: give passwordFile")
  const known = new Set(["host", "port", "user", "database", "password", "client_encoding"])
  const other = Object.keys(parts).find((name) => !known.has(name))
  if (other !== undefined) throw refusedUrl(`it sets ${other}, which is not taken from it`)
  const { host, port, user, database } = parts
  if (host == null || host === "") throw refusedUrl("it names no host, and no folder of a socket (?host=/FOLDER)")
  if (user === undefined || user === "") throw refusedUrl("it names no user")
  if (database == null || database === "") throw refusedUrl("it names no database")
  return { host, port: port == null || port === "" ? 5432 : Number(port), user, database }
}

/** Names are verified always: a connection that anybody can answer would be told the password. */
function tlsOptions({ caFile, certFile, keyFile }: PostgresTls): ConnectionOptions {
  const read = (path: string): string => readSettingFile(path, "utf8")
  return {
    rejectUnauthorized: true,
    minVersion: "TLSv1.2",
    ...(caFile === undefined ? {} : { ca: read(caFile) }),
    ...(certFile === undefined ? {} : { cert: read(certFile) }),
    ...(keyFile === undefined ? {} : { key: read(keyFile) }),
  }
}

/** Of others' reading is warned by `doctor`; of others' writing no use is made. */
function readPassword(path: string): string {
  const [password = ""] = readSettingFile(path, "utf8").split(/\r?\n/)
  if (password === "") throw refusedSetting(`the password file ${path} is empty`)
  if ((statSync(path).mode & 0o022) !== 0) throw refusedSetting(`others can write the password file ${path}`)
  return password
}

function readSettingFile(path: string, encoding: "utf8"): string {
  try {
    return readFileSync(path, encoding)
  } catch (error) {
    throw refusedSetting(`could not read ${path}`, error)
  }
}

function refusedUrl(fault: string): KeyferryError {
  return refusedSetting(`the URL of the state's database is not to be used: ${fault}`)
}

function refusedSetting(message: string, cause?: unknown): KeyferryError {
  return new KeyferryError("ERR_DATABASE_SETTING", message, { cause })
}

/** SQLSTATE classes and codes (PostgreSQL 15, appendix A) of who may not, or is not let in. */
const REFUSED = /^(28...|42501|3D000)$/
/** Node.js' codes of a certificate that does not hold. */
const CERTIFICATE =
  /^(ERR_TLS_|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_(VERIFY|GET_ISSUER)|HOSTNAME_MISMATCH|ERR_SSL_)/

/** What a call of the database failed with; what the work in a transaction throws is passed on as it is. */
function databaseError(place: string, error: unknown): unknown {
  if (error instanceof KeyferryError || !(error instanceof Error)) return error
  const { code = "" } = error as { readonly code?: string }
  const words = `${place}: ${error.message === "" ? code : error.message}`
  if (REFUSED.test(code)) return new KeyferryError("ERR_DATABASE_REFUSED", words, { cause: error })
  if (CERTIFICATE.test(code)) return new KeyferryError("ERR_DATABASE_REFUSED", words, { cause: error })
  // the schema is missing, or of another version
  if (code === "42P01" || code === "3F000") {
    return new KeyferryError("ERR_STATE_VERSION", `${place} has not keyferry's tables of this version`, {
      cause: error,
      hint: "run `keyferry state migrate` with a user who may make tables",
    })
  }
  const isStatement = /^[0-9A-Z]{5}$/.test(code) && !/^(08|25P03|53|57|40|55)/.test(code)
  return new KeyferryError(isStatement ? "ERR_STATE_WRITE" : "ERR_DATABASE_UNREACHABLE", words, { cause: error })
}
