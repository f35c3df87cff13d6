import { readFileSync, statSync } from "node:fs"
import type { ConnectionOptions } from "node:tls"
import type pg from "pg"
import { parse } from "pg-connection-string"
import { KeyferryError } from "../../core/base/error.js"
import { databaseError } from "./database-error.js"
import type { PostgresSettings, PostgresTls } from "../../core/manifest/state-settings.js"

/** How what goes to the database is kept from others: it does not leave this machine, or it is encrypted. */
export type Transport = "socket" | "loopback" | "tls"

/** In ms. */
const CONNECT_TIMEOUT = 10_000
/** A statement that takes longer waits for what does not come: locks are asked for without waiting. In ms. */
const STATEMENT_TIMEOUT = 60_000
/** Of one lock that another transaction has for a moment. In ms. */
const LOCK_TIMEOUT = 30_000
/** A process that is stopped in the middle of a transaction keeps nobody out for longer than that, in ms. */
const IDLE_TRANSACTION = 15_000
/** Connections of one process, besides those that hold something. */
const CONNECTIONS = 16

/** What a server, a database or a role may have otherwise, and the state rests on. */
const SESSION = {
  synchronous_commit: "on",
  statement_timeout: String(STATEMENT_TIMEOUT),
  lock_timeout: String(LOCK_TIMEOUT),
  // a connection that holds a key is idle while KMS and the token work
  idle_session_timeout: "0",
  idle_in_transaction_session_timeout: String(IDLE_TRANSACTION),
  // the end of the custody log is read after its lock was taken, and not as it was before
  default_transaction_isolation: "read\\ committed",
  datestyle: "ISO",
  tcp_user_timeout: "20000",
  tcp_keepalives_idle: "10",
  tcp_keepalives_interval: "3",
  tcp_keepalives_count: "3",
}

/** With what node-postgres takes and its types leave out. */
interface ConnectionSettings extends pg.PoolConfig {
  readonly replication: "false"
}

interface Opened {
  readonly settings: ConnectionSettings
  readonly place: string
  readonly transport: Transport
  /** What a call of it failed with, as keyferry's error. */
  readonly asError: (error: unknown) => unknown
}

/** @throws ERR_DATABASE_SETTING */
export function poolSettings({ url, passwordFile, tls }: PostgresSettings, applicationName: string): Opened {
  const { host, port, user, database } = partsOf(url)
  const isSocket = host.startsWith("/")
  const isLoopback = ["localhost", "127.0.0.1", "::1"].includes(host)
  const isEncrypted = tls !== undefined || !(isSocket || isLoopback)
  if (passwordFile !== undefined) readPassword(passwordFile)
  const place = isSocket
    ? `the database ${database} at the socket in ${host}`
    : `the database ${database} at ${host}:${port}`
  return {
    place,
    asError: (error) => databaseError(place, error),
    transport: isSocket ? "socket" : isEncrypted ? "tls" : "loopback",
    settings: {
      host,
      port,
      user,
      database,
      // read for each connection: it may be changed while an agent runs; never undefined, which PGPASSWORD would fill in
      password: () => passwordAsked(passwordFile, place),
      ssl: isEncrypted && !isSocket ? tlsOptions(tls ?? {}) : false,
      application_name: applicationName,
      max: CONNECTIONS,
      connectionTimeoutMillis: CONNECT_TIMEOUT,
      // the server's own limit does not reach who is cut off from it
      query_timeout: STATEMENT_TIMEOUT + 5000,
      keepAlive: true,
      keepAliveInitialDelayMillis: 5000,
      // in the packet that opens the connection: no statement of it comes before
      options: Object.entries(SESSION)
        .map(([name, value]) => `-c ${name}=${value}`)
        .join(" "),
      // said, since PGSSLNEGOTIATION and PGREPLICATION would say it otherwise
      sslnegotiation: "postgres",
      replication: "false",
    },
  }
}

function partsOf(url: string) {
  if (!/^postgres(ql)?:\/\//.test(url)) throw refusedUrl("it does not begin with postgres://")
  let parts
  try {
    parts = parse(url)
  } catch {
    // its own message would show the URL, in which a password may stand
    throw refusedUrl("it cannot be read")
  }
  if ((parts.password ?? "") !== "") throw refusedUrl("it holds a password, which others see: give passwordFile")
  const known = new Set(["host", "port", "user", "database", "password", "client_encoding"])
  const unknown = Object.keys(parts).find((name) => !known.has(name))
  if (unknown !== undefined) throw refusedUrl(`it sets ${unknown}, which is not taken from it`)
  const { host, port, user, database } = parts
  if (host?.includes(",") === true) throw refusedUrl("it names several hosts: name the one that may be written to")
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

/** Called when the server asks for one. @throws ERR_DATABASE_REFUSED, ERR_DATABASE_SETTING */
function passwordAsked(passwordFile: string | undefined, place: string): string {
  if (passwordFile !== undefined) return readPassword(passwordFile)
  throw new KeyferryError("ERR_DATABASE_REFUSED", `${place} asks for a password, and none is given`, {
    hint: "name the file that has it: passwordFile of state.postgres",
  })
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
