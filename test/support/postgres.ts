import { execFileSync, spawn, type ChildProcess } from "node:child_process"
import { chmodSync, chownSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { migrate } from "#src/store/postgres/migrations.js"
import { openDatabase, type Database } from "#src/store/postgres/database.js"

/** A PostgreSQL of its own, on a socket in a temporary folder; stopped and removed with it. */
export interface PostgresServer extends AsyncDisposable {
  /** Folder of the socket. */
  readonly folder: string
  /** Makes an empty database, of the superuser `postgres`. @returns its URL */
  createDatabase(name: string): Promise<string>
  /** URL of a database as a role. */
  urlOf(database: string, role?: string): string
  /** Runs SQL as the superuser, and gives what it printed. */
  sql(database: string, text: string): string
  /** A database as SQL text, by pg_dump. */
  dump(database: string): string
  /** `immediate` as a power cut; `fast` as a restart. */
  stop(mode: "immediate" | "fast"): Promise<void>
  start(): Promise<void>
}

/** Debian's newest that is here. @throws where there is none: a missing tool fails the run */
export function postgresPrograms(root = "/usr/lib/postgresql"): string {
  const versions = existsSync(root) ? readdirSync(root).map(Number).filter(Number.isInteger) : []
  if (versions.length === 0) throw new Error("no PostgreSQL is installed: run scripts/setup.sh")
  return join(root, String(Math.max(...versions)), "bin")
}

/** PostgreSQL refuses to run as root; Debian's package makes the user. */
function asUser(): { readonly uid?: number; readonly gid?: number } {
  if (process.getuid?.() !== 0) return {}
  const id = (flag: string): number => Number(execFileSync("id", [flag, "postgres"], { encoding: "utf8" }))
  return { uid: id("-u"), gid: id("-g") }
}

/**
 * @param settings further lines of postgresql.conf; `listen_addresses` is empty without
 * @param port of the machine's own, where it listens; of the socket's name otherwise
 */
export async function startPostgres(settings: readonly string[] = [], port = 5432): Promise<PostgresServer> {
  const bin = postgresPrograms()
  const user = asUser()
  const folder = mkdtempSync(join(tmpdir(), "kf-pg-"))
  chmodSync(folder, 0o755)
  if (user.uid !== undefined && user.gid !== undefined) chownSync(folder, user.uid, user.gid)
  const data = join(folder, "data")
  const run = (program: string, args: readonly string[], input?: string): string =>
    execFileSync(join(bin, program), args, {
      ...user,
      cwd: folder,
      encoding: "utf8",
      input,
      stdio: "pipe",
      maxBuffer: 2 ** 30,
    })
  run("initdb", ["--pgdata", data, "--username", "postgres", "--auth", "trust", "--encoding", "UTF8", "--no-sync"])
  const lines = [
    "listen_addresses = ''",
    `unix_socket_directories = '${folder}'`,
    `port = ${port}`,
    "max_connections = 200",
    ...settings,
  ]
  writeFileSync(join(data, "postgresql.conf"), `${lines.join("\n")}\n`, { flag: "a" })

  const to = (database: string): readonly string[] => ["-h", folder, "-p", `${port}`, "-U", "postgres", "-d", database]
  let server: ChildProcess | undefined
  const sql = (database: string, text: string): string =>
    run("psql", [...["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"], ...to(database)], text)

  const start = async (): Promise<void> => {
    server = spawn(join(bin, "postgres"), ["-D", data], { ...user, cwd: folder, stdio: "ignore" })
    for (let times = 0; times < 600; times += 1) {
      try {
        sql("postgres", "SELECT 1")
        return
      } catch {
        await sleep(50)
      }
    }
    throw new Error(`PostgreSQL did not start in ${data}`)
  }
  const stop = async (mode: "immediate" | "fast"): Promise<void> => {
    const stopping = server
    server = undefined
    if (stopping?.exitCode !== null) return
    const ended = new Promise((resolve) => stopping.once("exit", resolve))
    stopping.kill(mode === "immediate" ? "SIGQUIT" : "SIGINT")
    await ended
  }
  const urlOf = (database: string, role = "postgres"): string =>
    `postgres://${role}@/${database}?host=${encodeURIComponent(folder)}&port=${port}`
  await start()

  return {
    folder,
    urlOf,
    sql,
    dump: (database) => run("pg_dump", [...to(database)]),
    start,
    stop,
    async createDatabase(name) {
      sql("postgres", `CREATE DATABASE ${name}`)
      return await Promise.resolve(urlOf(name))
    },
    async [Symbol.asyncDispose]() {
      await stop("immediate")
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** A database with keyferry's tables, opened as the superuser. */
export async function migratedDatabase(server: PostgresServer, name: string): Promise<Database> {
  const database = openDatabase({ url: await server.createDatabase(name) }, "keyferry test")
  await migrate(database)
  return database
}
