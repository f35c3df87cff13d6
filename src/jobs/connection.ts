import { PgBoss } from "pg-boss"
import { KeyferryError } from "../core/base/error.js"

/** The database, as what keeps the state in it opened it. */
export interface JobsDatabase {
  /** What node-postgres is given. */
  readonly settings: object
  /** How it is named to people. */
  readonly place: string
  /** What a call of it failed with, as the state's database tells it. */
  readonly asError: (error: unknown) => unknown
}

/** PostgreSQL's schema of the engine's tables. */
export const SCHEMA = "keyferry_jobs"

/** Planning: no more than one run over all agents. */
export const PLAN_QUEUE = "plan"
/** Jobs that failed as often as they are tried. */
export const DEAD_QUEUE = "dead"

/** In s. An agent that dies is missed after the heartbeat, by the supervision after that. pg-boss takes none below 10. */
const HEARTBEAT = 10
const SUPERVISION = 5
/** In s, and each time twice as long: what an agent that died had in hand is another's within half a minute. */
const RETRY_DELAY = 3
/** Above the longest row: a provision of many Regions behind a slow token. In s. */
const EXPIRY = 3600
/** What is done is kept for who looks after it. In s. */
const DONE_KEPT = 86_400
const DEAD_KEPT = 90 * 86_400

interface Rights {
  /** Makes and changes tables. */
  readonly migrate: boolean
  /** Whether what others left is taken up, and the schedule kept, beside the work. */
  readonly works: boolean
}

/** An engine that is not started. What is wrong between two of its looks is told to `onTrouble`, and tried again. */
export function engineOn(
  { settings }: JobsDatabase,
  { migrate, works }: Rights,
  onTrouble: (error: Error) => void,
): PgBoss {
  const boss = new PgBoss({
    ...settings,
    schema: SCHEMA,
    migrate,
    createSchema: migrate,
    supervise: works,
    schedule: works,
    superviseIntervalSeconds: SUPERVISION,
    monitorIntervalSeconds: SUPERVISION,
    maintenanceIntervalSeconds: 3600,
    queueCacheIntervalSeconds: 60,
    // an agent owns no index
    reindex: false,
    monitorVacuum: false,
    registerInstance: false,
    persistWarnings: false,
    persistQueueStats: false,
    openTelemetry: { enabled: false },
    max: 8,
  })
  boss.on("error", onTrouble)
  return boss
}

/**
 * Makes the engine's tables, or brings them to its version, and the queues that every fleet has. Whoever asks at the same
 * time waits for it.
 *
 * @throws ERR_DATABASE_*
 */
export async function migrateJobs(database: JobsDatabase): Promise<void> {
  const boss = engineOn(database, { migrate: true, works: false }, () => undefined)
  await asked(database, async () => {
    try {
      await boss.start()
      // pg-boss makes it where schedules are kept
      await boss.createQueue("__pgboss__send-it")
      await boss.createQueue(DEAD_QUEUE, { retentionSeconds: DEAD_KEPT, deleteAfterSeconds: DEAD_KEPT })
      await boss.createQueue(PLAN_QUEUE, {
        policy: "exclusive",
        heartbeatSeconds: HEARTBEAT,
        expireInSeconds: EXPIRY,
        retryLimit: 2,
        retryDelay: RETRY_DELAY,
        deleteAfterSeconds: DONE_KEPT,
      })
    } finally {
      await boss.stop({ graceful: false })
    }
  })
}

/**
 * How the queue of a token works. Most failures are counted by who does the job (`Jobs.workOn`), and a job that failed
 * three times is dead; `retryLimit` bounds what is no fault of the key, and agents that die of it: about a day.
 */
export const ROW_QUEUE = {
  policy: "exclusive",
  heartbeatSeconds: HEARTBEAT,
  expireInSeconds: EXPIRY,
  retryLimit: 100,
  retryDelay: RETRY_DELAY,
  retryBackoff: true,
  retryDelayMax: 900,
  deadLetter: DEAD_QUEUE,
  deleteAfterSeconds: DONE_KEPT,
} as const

/** Gives the error of an engine that cannot be asked the code that the state's database has. */
export async function asked<T>({ place, asError }: JobsDatabase, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof Error && /not installed|requires migrations/.test(error.message)) {
      throw new KeyferryError("ERR_STATE_VERSION", `${place} has not the tables of jobs of this version`, {
        cause: error,
        hint: "run `keyferry state migrate` with a user who may make tables",
      })
    }
    throw asError(error)
  }
}
