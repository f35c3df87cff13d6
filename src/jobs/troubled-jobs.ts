import type { PgBoss } from "pg-boss"
import type { TroubledJobs, UntakenJobs } from "../core/records/dead-letter.js"
import { asked, engineOn, type JobsDatabase, SCHEMA } from "./connection.js"
import { deadLetters } from "./dead-letters.js"
import { tokenOf } from "./job.js"

/** After so many minutes in which nobody took a job of a token, those that wait are told of. */
const UNTAKEN_MIN = 15

/** Reads of a database what its agents do not try for now, and what none of them takes, without working there. */
export async function readTroubledJobs(database: JobsDatabase): Promise<TroubledJobs> {
  const boss = engineOn(database, { migrate: false, works: false }, () => undefined)
  return await asked(database, async () => {
    try {
      await boss.start()
      return { dead: await deadLetters(boss), untaken: await untakenJobs(boss) }
    } finally {
      await boss.stop({ graceful: false })
    }
  })
}

/** A long queue that somebody works on is none of them: its jobs wait for quotas. */
async function untakenJobs(boss: PgBoss): Promise<readonly UntakenJobs[]> {
  const { rows } = (await boss.getDb().executeSql(
    `SELECT name, count(*) FILTER (WHERE waits)::int AS count, min(start_after) FILTER (WHERE waits) AS since
       FROM (SELECT name, start_after, greatest(started_on, heartbeat_on) AS taken,
                    state IN ('created', 'retry') AND start_after < now() - $1 * interval '1 minute' AS waits
               FROM ${SCHEMA}.job WHERE name = 'rows' OR name LIKE 'rows/%') jobs
      GROUP BY name
     HAVING bool_or(waits) AND coalesce(max(taken) < now() - $1 * interval '1 minute', true)
      ORDER BY name COLLATE "C"`,
    [UNTAKEN_MIN],
  )) as { readonly rows: readonly { readonly name: string; readonly count: number; readonly since: Date }[] }
  return rows.map(({ name, count, since }) => ({ token: tokenOf(name), count, since }))
}
