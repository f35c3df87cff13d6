import type { JobWithMetadata, PgBoss } from "pg-boss"
import type { DeadLetter, JobKey } from "../core/records/dead-letter.js"
import { DEAD_QUEUE } from "./connection.js"
import { keyOf, tokenOf, type Tried } from "./job.js"

/** Told in one page by pg-boss. */
const PAGE = 1000

async function letters(boss: PgBoss): Promise<readonly JobWithMetadata<JobKey>[]> {
  const jobs: JobWithMetadata<JobKey>[] = []
  for (;;) {
    const last = jobs.at(-1)
    const page = await boss.findJobs<JobKey>(DEAD_QUEUE, {
      limit: PAGE,
      ...(last === undefined ? {} : { after: last.id }),
    })
    jobs.push(...page)
    if (page.length < PAGE) return jobs
  }
}

export async function deadLetters(boss: PgBoss): Promise<readonly DeadLetter[]> {
  const newest = new Map<string, DeadLetter>()
  for (const { data, createdOn, sourceName, sourceOutput } of await letters(boss)) {
    const { name, target, replaced } = data
    const { code, message } = (sourceOutput ?? {}) as Partial<Tried>
    const key = keyOf(data)
    newest.delete(key)
    newest.set(key, {
      name,
      target,
      replaced,
      token: tokenOf(sourceName ?? ""),
      failedAt: createdOn,
      code: code ?? "ERR_BINDING_LOST",
      message: message ?? "the agents that worked on it ended before it was done",
    })
  }
  return [...newest.values()]
}

export async function forget(boss: PgBoss, keys: ReadonlySet<string>): Promise<void> {
  if (keys.size === 0) return
  await remove(
    boss,
    (await letters(boss)).filter(({ data }) => keys.has(keyOf(data))),
  )
}

/** For who has just done the one, and would not read them all. */
export async function forgetOne(boss: PgBoss, key: JobKey): Promise<void> {
  await remove(boss, await boss.findJobs(DEAD_QUEUE, { key: keyOf(key) }))
}

async function remove(boss: PgBoss, dead: readonly { readonly id: string }[]): Promise<void> {
  const ids = dead.map(({ id }) => id)
  if (ids.length > 0) await boss.deleteJob(DEAD_QUEUE, ids)
}
