import { KeyferryError } from "../../core/base/error.js"
import type { Database, Queryable } from "./database.js"

/** Each brings the tables from one version to the next. They are forward only, and never changed once released. */
export const MIGRATIONS: readonly string[] = [
  `CREATE TABLE keyferry.text (
     path text COLLATE "C" PRIMARY KEY,
     content bytea NOT NULL
   );
   CREATE TABLE keyferry.custody_log (
     seq bigint PRIMARY KEY,
     hash text NOT NULL,
     previous text,
     name text,
     part text NOT NULL,
     line text NOT NULL
   );
   CREATE INDEX custody_log_name ON keyferry.custody_log (name, seq DESC);
   CREATE TABLE keyferry.binding (
     name text NOT NULL,
     target text NOT NULL,
     fence bigint NOT NULL,
     holder text NOT NULL,
     taken_at timestamptz NOT NULL,
     PRIMARY KEY (name, target)
   );
   CREATE UNLOGGED TABLE keyferry.quota (
     account text NOT NULL,
     region text NOT NULL,
     operation text NOT NULL,
     next_at timestamptz NOT NULL DEFAULT '-infinity',
     arrival_at timestamptz NOT NULL DEFAULT '-infinity',
     unanswered_until timestamptz NOT NULL DEFAULT '-infinity',
     slowed_to float8 NOT NULL DEFAULT 1,
     slowed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
     PRIMARY KEY (account, region, operation)
   );`,
]

/** The version of the tables; 0 where there are none. */
export async function schemaVersion(database: Queryable): Promise<number> {
  const { rows: there } = await database.query<{ there: boolean }>(
    "SELECT to_regclass('keyferry.migration') IS NOT NULL AS there",
  )
  if (there[0]?.there !== true) return 0
  const { rows } = await database.query<{ version: number | null }>(
    "SELECT max(version) AS version FROM keyferry.migration",
  )
  return rows[0]?.version ?? 0
}

/**
 * Brings the tables to this version, in one transaction; who asks at the same time waits for it.
 *
 * @returns from which version to which
 * @throws ERR_STATE_VERSION where they are of a newer keyferry, with nothing changed
 */
export async function migrate(database: Database): Promise<{ readonly from: number; readonly to: number }> {
  return await database.transaction(async (connection) => {
    await connection.query("SELECT pg_advisory_xact_lock(hashtextextended('keyferry migrate', 0))")
    const from = await schemaVersion(connection)
    refuseNewer(database.place, from)
    if (from === 0) {
      await connection.query("CREATE SCHEMA IF NOT EXISTS keyferry")
      await connection.query(
        "CREATE TABLE IF NOT EXISTS keyferry.migration (version integer PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())",
      )
    }
    for (const [index, sql] of MIGRATIONS.entries()) {
      const version = index + 1
      if (version <= from) continue
      await connection.query(sql)
      await connection.query("INSERT INTO keyferry.migration (version) VALUES ($1)", [version])
    }
    return { from, to: MIGRATIONS.length }
  })
}

/** @throws ERR_STATE_VERSION where the tables are older or newer than this keyferry's */
export async function assertSchema(database: Database): Promise<void> {
  const version = await schemaVersion(database)
  refuseNewer(database.place, version)
  if (version === MIGRATIONS.length) return
  const state = version === 0 ? "has no tables of keyferry" : `has the tables of version ${version}`
  throw new KeyferryError(
    "ERR_STATE_VERSION",
    `${database.place} ${state}; this keyferry has version ${MIGRATIONS.length}`,
    {
      hint: "run `keyferry state migrate` with a user who may make tables; `keyferry policy postgres` prints what the others may",
    },
  )
}

function refuseNewer(place: string, version: number): void {
  if (version <= MIGRATIONS.length) return
  throw new KeyferryError(
    "ERR_STATE_VERSION",
    `${place} has the tables of version ${version}, and this keyferry has version ${MIGRATIONS.length}`,
    { hint: "use the keyferry that brought them to that version, or a newer one" },
  )
}
