import { statSync } from "node:fs"
import type { Clock } from "../../core/ports/clock.js"
import type { PostgresSettings } from "../../core/manifest/state-settings.js"
import type { Database } from "./database.js"
import { MIGRATIONS, schemaVersion } from "./migrations.js"

/** One thing that was looked at in the database of the state. */
export interface DatabaseFinding {
  /** `fail`: keyferry does not work with it; `warn`: it works, and promises less. */
  readonly status: "ok" | "warn" | "fail"
  readonly message: string
  /** What to do about it; null where all is well. */
  readonly hint: string | null
}

/** As `server_version_num` has it. */
const OLDEST = 140_000
/** In ms. */
const MOST_SKEW = 5000

const GRANTS_HINT =
  "log in as a role of keyferry's own, with the grants that `keyferry policy postgres --role ROLE` prints"

const well = (message: string): DatabaseFinding => ({ status: "ok", message, hint: null })
const doubtful = (message: string, hint: string): DatabaseFinding => ({ status: "warn", message, hint })
const wrong = (message: string, hint: string): DatabaseFinding => ({ status: "fail", message, hint })

/**
 * What is to be known of the database of the state: version, transport, durability, clock, tables, grants, and who reads the
 * password file.
 *
 * @param hostClock the host's own, not KMS'
 * @throws ERR_DATABASE_* where it cannot be asked
 */
export async function databaseFindings(
  database: Database,
  settings: Pick<PostgresSettings, "passwordFile">,
  hostClock: Pick<Clock, "now">,
): Promise<readonly DatabaseFinding[]> {
  return [
    await versionFinding(database),
    transportFinding(database),
    ...(await durabilityFindings(database)),
    await clockFinding(database, hostClock),
    ...(await tableFindings(database)),
    ...passwordFindings(settings),
  ]
}

async function versionFinding(database: Database): Promise<DatabaseFinding> {
  const { rows } = await database.query<{ number: number; version: string }>(
    "SELECT current_setting('server_version_num')::int AS number, current_setting('server_version') AS version",
  )
  const { number = 0, version = "" } = rows[0] ?? {}
  if (number >= OLDEST) return well(`${database.place} is PostgreSQL ${version}`)
  return wrong(`${database.place} is PostgreSQL ${version}`, "keyferry needs PostgreSQL 14 or later")
}

function transportFinding({ place, transport }: Database): DatabaseFinding {
  const words = {
    socket: "asked over a socket of this host",
    loopback: "asked over the loopback of this host",
    tls: "asked over TLS, its name verified",
  }
  return well(`${place} is ${words[transport]}`)
}

async function durabilityFindings(database: Database): Promise<readonly DatabaseFinding[]> {
  const { place } = database
  const { rows } = await database.query<{ name: string; setting: string }>(
    `SELECT name, setting FROM pg_settings
      WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit', 'synchronous_standby_names')`,
  )
  const settings = new Map(rows.map(({ name, setting }) => [name, setting]))
  const commit = settings.get("synchronous_commit") ?? ""
  const standbys = settings.get("synchronous_standby_names") ?? ""
  const on = standbys === "" ? "its disk" : `its disk and on synchronous standbys (${standbys})`
  const findings = ["fsync", "full_page_writes"]
    .filter((name) => settings.get(name) !== "on")
    .map((name) =>
      doubtful(`${place} has ${name} off: a crash of its host can lose or damage the state`, `set ${name} = on there`),
    )
  if (commit !== "on") {
    const hint = "a pooler between them may drop settings of the connection: name the server itself in state.postgres"
    return [...findings, wrong(`${place} has synchronous_commit ${commit} in a session of keyferry's`, hint)]
  }
  if (findings.length > 0) return findings
  return [well(`what is committed in ${place} is on ${on}: synchronous_commit is on in keyferry's sessions`)]
}

async function clockFinding(database: Database, hostClock: Pick<Clock, "now">): Promise<DatabaseFinding> {
  const { place } = database
  const before = hostClock.now().getTime()
  const { rows } = await database.query<{ now: number }>(
    "SELECT extract(epoch FROM clock_timestamp())::float8 * 1000 AS now",
  )
  const after = hostClock.now().getTime()
  const now = rows[0]?.now ?? 0
  // it was read at some moment in between
  const skew = now < before ? now - before : Math.max(0, now - after)
  if (Math.abs(skew) <= MOST_SKEW) return well(`the clock of ${place} is that of this host`)
  const words = `${Math.round(Math.abs(skew) / 1000)} s ${skew > 0 ? "ahead of" : "behind"} this host's`
  return doubtful(`the clock of ${place} is ${words}`, "set both by NTP: schedules and quotas go by the database's")
}

async function tableFindings(database: Database): Promise<readonly DatabaseFinding[]> {
  const { place } = database
  const migrateHint = "run `keyferry state migrate` with a user who may make tables"
  const { rows } = await database.query<{ tables: boolean; usage: boolean }>(
    `SELECT to_regnamespace('keyferry') IS NOT NULL AS tables,
            coalesce(has_schema_privilege(to_regnamespace('keyferry'), 'USAGE'), false) AS usage`,
  )
  const { tables = false, usage = false } = rows[0] ?? {}
  if (!tables) return [wrong(`${place} has no tables of keyferry`, migrateHint)]
  if (!usage) return [wrong(`this role may not use the tables of keyferry in ${place}`, GRANTS_HINT)]
  const version = await schemaVersion(database)
  if (version === 0) return [wrong(`${place} has no tables of keyferry`, migrateHint)]
  if (version !== MIGRATIONS.length) {
    const hint = version < MIGRATIONS.length ? migrateHint : "use the keyferry that brought them to that version"
    return [wrong(`the tables of ${place} have version ${version}, and not ${MIGRATIONS.length}`, hint)]
  }
  return [well(`the tables of ${place} have version ${version}`), ...(await grantFindings(database))]
}

/** What keyferry needs of each table. */
const NEEDED = [
  ["text", "SELECT"],
  ["text", "INSERT"],
  ["text", "UPDATE"],
  ["text", "DELETE"],
  ["custody_log", "SELECT"],
  ["custody_log", "INSERT"],
  ["binding", "SELECT"],
  ["binding", "INSERT"],
  ["binding", "UPDATE"],
  ["quota", "SELECT"],
  ["quota", "INSERT"],
  ["quota", "UPDATE"],
] as const

async function grantFindings(database: Database): Promise<readonly DatabaseFinding[]> {
  const { place } = database
  const { rows } = await database.query<{
    role: string
    super: boolean
    owner: boolean
    changes: string[]
    lacks: string[]
  }>(
    `SELECT current_user AS role,
            (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS super,
            pg_has_role(relowner, 'MEMBER') AS owner,
            ARRAY(SELECT right_of FROM unnest(ARRAY['UPDATE', 'DELETE', 'TRUNCATE']) AS right_of
                   WHERE has_table_privilege(c.oid, right_of)
                      OR right_of = 'UPDATE' AND has_any_column_privilege(c.oid, 'UPDATE')) AS changes,
            ARRAY(SELECT needed_right || ' of ' || needed_table
                    FROM unnest($1::text[], $2::text[]) AS needed (needed_table, needed_right)
                   WHERE NOT has_table_privilege('keyferry.' || needed_table, needed_right)) AS lacks
       FROM pg_class c WHERE c.oid = 'keyferry.custody_log'::regclass`,
    [NEEDED.map(([table]) => table), NEEDED.map(([, right]) => right)],
  )
  const [row] = rows
  if (row === undefined) return []
  const { role, changes, lacks } = row
  if (lacks.length > 0) return [wrong(`the role ${role} lacks in ${place}: ${lacks.join(", ")}`, GRANTS_HINT)]
  if (row.super) return [doubtful(`the role ${role} is a superuser: it may change the custody log`, GRANTS_HINT)]
  if (row.owner) {
    return [doubtful(`the role ${role} owns the tables of ${place}: it may change the custody log`, GRANTS_HINT)]
  }
  if (changes.length === 0) return [well(`the role ${role} may add to the custody log, and not change it`)]
  return [doubtful(`the role ${role} may change the custody log: ${changes.join(", ")}`, GRANTS_HINT)]
}

function passwordFindings({ passwordFile }: Pick<PostgresSettings, "passwordFile">): readonly DatabaseFinding[] {
  if (passwordFile === undefined) return []
  if ((statSync(passwordFile).mode & 0o044) === 0) return [well(`others cannot read ${passwordFile}`)]
  return [doubtful(`others can read the password file ${passwordFile}`, `chmod go-rwx ${passwordFile}`)]
}
