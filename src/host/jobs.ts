import type { PostgresSettings } from "../core/manifest/state-settings.js"
import type { TroubledJobs } from "../core/records/dead-letter.js"
import { readTroubledJobs } from "../jobs/troubled-jobs.js"
import { type Jobs, openJobs } from "../jobs/jobs.js"
import { poolSettings } from "../store/postgres/database-settings.js"

/**
 * Jobs of the agents whose state is in this database.
 *
 * @param onTrouble what keeps it from looking for jobs, now; it goes on by itself
 * @throws ERR_DATABASE_*, ERR_STATE_VERSION
 */
export async function jobsOf(postgres: PostgresSettings, onTrouble: (error: Error) => void): Promise<Jobs> {
  return await openJobs(poolSettings(postgres, "keyferry agent jobs"), onTrouble)
}

/** Jobs of the agents that are not tried, or not taken, for who does not work on jobs. @throws ERR_DATABASE_*, ERR_STATE_VERSION */
export async function troubledJobsOf(postgres: PostgresSettings): Promise<TroubledJobs> {
  return await readTroubledJobs(poolSettings(postgres, "keyferry"))
}
