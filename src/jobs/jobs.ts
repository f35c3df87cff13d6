import type { JobResult, JobWithMetadata, PgBoss } from "pg-boss"
import { type ErrorCode, KeyferryError } from "../core/base/error.js"
import type { DeadLetters } from "../core/ports/dead-letters.js"
import type { JobKey } from "../core/records/dead-letter.js"
import { asked, engineOn, type JobsDatabase, PLAN_QUEUE, ROW_QUEUE } from "./connection.js"
import { deadLetters, forget, forgetOne } from "./dead-letters.js"
import { type JobFailure, keyOf, queueOf, type Tried } from "./job.js"

export type { JobFailure }

/** Does a job; null where that went well. `signal` is aborted when the job is another agent's by now. */
export type JobHandler = (key: JobKey, signal: AbortSignal) => Promise<JobFailure | null>

/** Takes jobs of one token until it is stopped. */
export interface Worker {
  /** Begins no other job; resolves when those in hand have ended. */
  stop(): Promise<void>
}

/** Jobs of all agents of one database: where and when, never how. */
export interface Jobs extends DeadLetters {
  /** Plans by schedule: one run at a time over all agents, by whoever gets it. A later schedule takes the place of this one. */
  planOn(
    schedule: { readonly cron: string; readonly timeZone: string },
    plan: (signal: AbortSignal) => Promise<void>,
  ): Promise<void>
  /** Plans soon; where a run is queued or under way nothing is added. */
  planNow(): Promise<void>
  /**
   * Makes jobs of a token's keys, which are taken in this order; one that is tried again comes before those after it.
   * Keys that are queued or worked on already are left.
   *
   * @returns how many are new
   */
  queue(token: string | null, keys: readonly JobKey[]): Promise<number>
  /** Takes a token's jobs, so many at a time. */
  workOn(token: string | null, options: { readonly width: number }, handler: JobHandler): Promise<Worker>
  /** Forgets the dead letters of keys that need no work any more. */
  forget(keys: readonly JobKey[]): Promise<void>
  /**
   * Begins nothing, and waits so long for what is in hand; what is not done by then goes back to its queue.
   *
   * @param timeoutMs at least 1000
   */
  stop(timeoutMs: number): Promise<void>
}

/** Failures of one key before its job is a dead letter. */
const TRIES = 3
/** Between two looks for jobs where there were none, in s: of one lane, and of the others, which it wakes where there is one. */
const POLLING = 5
const OTHERS_POLLING = 20
/** Jobs that are made by one statement: no statement may take a minute. */
const AT_ONCE = 1000

/** What fails so is held by another process, or cannot be told: no key is at fault. */
const NOT_OF_THE_KEY: ReadonlySet<ErrorCode> = new Set(["ERR_KEY_HELD", "ERR_BINDING_LOST", "ERR_DATABASE_UNREACHABLE"])

/**
 * Begins to work with the jobs of a database, whose tables `migrateJobs` made.
 *
 * @param onTrouble what is wrong with the database between two looks; the engine goes on by itself
 * @throws ERR_STATE_VERSION, ERR_DATABASE_*
 */
export async function openJobs(database: JobsDatabase, onTrouble: (error: Error) => void): Promise<Jobs> {
  const boss = engineOn(database, { migrate: false, works: true }, onTrouble)
  await asked(database, async () => {
    try {
      await boss.start()
    } catch (error) {
      await boss.stop({ graceful: false })
      throw error
    }
  })
  const made = new Set<string>()
  const makeQueue = async (token: string | null): Promise<string> => {
    const queue = queueOf(token)
    if (!made.has(queue)) await boss.createQueue(queue, ROW_QUEUE)
    made.add(queue)
    return queue
  }

  return {
    planOn: (schedule, plan) => asked(database, () => planOn(boss, schedule, plan)),
    planNow: () =>
      asked(database, async () => {
        await boss.send(PLAN_QUEUE, {})
      }),
    queue: (token, keys) =>
      asked(database, async () => {
        const queue = await makeQueue(token)
        const jobs = keys.map(({ name, target, replaced }, index) => ({
          data: { name, target, replaced },
          singletonKey: keyOf({ name, target, replaced }),
          // among jobs of equal priority the engine takes those last that have been tried before
          priority: -index,
        }))
        let queued = 0
        for (let start = 0; start < jobs.length; start += AT_ONCE) {
          const ids = await boss.insert(queue, jobs.slice(start, start + AT_ONCE), { returnId: true })
          queued += ids?.length ?? 0
        }
        return queued
      }),
    workOn: (token, options, handler) =>
      asked(database, async () => {
        const queue = await makeQueue(token)
        return await workOn(boss, queue, { ...options, handler, onTrouble })
      }),
    deadLetters: () => asked(database, () => deadLetters(boss)),
    forget: (keys) => asked(database, () => forget(boss, new Set(keys.map(keyOf)))),
    stop: (timeout) => asked(database, () => boss.stop({ graceful: true, timeout })),
  }
}

async function planOn(
  boss: PgBoss,
  { cron, timeZone }: { readonly cron: string; readonly timeZone: string },
  plan: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  // what came while no agent ran is made up for once
  await boss.schedule(PLAN_QUEUE, cron, {}, { tz: timeZone, missed: "once" })
  await boss.offWork(PLAN_QUEUE)
  await boss.work<object>(PLAN_QUEUE, { pollingIntervalSeconds: POLLING }, async ([job]) => {
    if (job !== undefined) await plan(job.signal)
  })
}

interface WorkOptions {
  readonly width: number
  readonly handler: JobHandler
  readonly onTrouble: (error: Error) => void
}

async function workOn(boss: PgBoss, queue: string, work: WorkOptions): Promise<Worker> {
  const { width, onTrouble } = work
  const ids: string[] = []
  const take = async ([job]: readonly JobWithMetadata<JobKey>[]): Promise<JobResult[]> => {
    if (job === undefined) return []
    // where there is one job there may be more: nobody waits for the next look
    for (const id of ids) boss.notifyWorker(id)
    const { id, data, signal } = job
    const failure = await doJob(work, data, signal)
    if (failure === null) {
      await forgetOne(boss, data).catch(onTrouble)
      return [{ id, status: "completed" }]
    }
    const failures = failuresBefore(job) + (failure.counts ? 1 : 0)
    const output: Tried = { ...failure, failures }
    return [{ id, status: failures < TRIES ? "failed" : "deadletter", output }]
  }
  for (let lane = 0; lane < width; lane += 1) {
    const pollingIntervalSeconds = lane === 0 ? POLLING : OTHERS_POLLING
    const options = { perJobResults: true, includeMetadata: true, pollingIntervalSeconds } as const
    ids.push(await boss.work<JobKey, unknown, typeof options>(queue, options, take))
  }
  return {
    async stop() {
      await Promise.all(ids.map((id) => boss.offWork(queue, { id, wait: true })))
    },
  }
}

async function doJob(
  { handler, onTrouble }: WorkOptions,
  { name, target, replaced }: JobKey,
  signal: AbortSignal,
): Promise<JobFailure | null> {
  try {
    return await handler({ name, target, replaced }, signal)
  } catch (error) {
    if (!(error instanceof Error)) throw error
    const { message } = error
    if (error instanceof KeyferryError) return { code: error.code, message, counts: !NOT_OF_THE_KEY.has(error.code) }
    onTrouble(error)
    return { code: error.name, message, counts: true }
  }
}

/** An agent that died of it, or a job that did not end in time, counts as one. */
function failuresBefore({ retryCount, output }: JobWithMetadata<JobKey>): number {
  if (retryCount === 0) return 0
  const tried = output as Partial<Tried> | null
  return tried?.failures ?? 1
}
