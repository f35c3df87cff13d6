import { randomUUID } from "node:crypto"
import type { DecisionRow } from "../../core/plan/decision-row.js"
import { KeyferryError } from "../../core/base/error.js"
import { systemClock } from "../../host/clock.js"
import type { Surroundings } from "../command.js"

interface MeasuredArgs {
  readonly metricsFile?: string | undefined
}

/**
 * Does the work of a command over many keys, and leaves metrics of it, and of the fleet as it is then, in the file of
 * `--metrics-file`: also where the work failed. A file that cannot be written is a warning: the work is done.
 */
export async function measured(
  { metricsFile }: MeasuredArgs,
  { world, hear, version, progress }: Surroundings,
  work: () => Promise<readonly DecisionRow[]>,
): Promise<readonly DecisionRow[]> {
  if (metricsFile === undefined) return await work()
  const { Metrics } = await import("../../agent/metrics.js")
  const { lookIfItCan, outcomeOf } = await import("../../agent/sight.js")
  const { degradedOf } = await import("../../app/round/round.js")
  const { writeMetrics } = await import("../../host/metrics-file.js")
  const metrics = new Metrics(version)
  hear(metrics)
  const began = systemClock.now()
  const { rows, error } = await rowsOrError(work)
  const ended = systemClock.now()
  await world.stored.unlock()
  const pause = await (await world.stored.agentRecords()).pause()
  const sight = await lookIfItCan(world, { pause, error })
  const round = error === null ? { rows, backoffs: [], degraded: degradedOf(rows) } : null
  const outcome = outcomeOf({ round, sight, error })
  const kmsOffsetMs = world.clock.kmsOffsetMs()
  metrics.take({ run: randomUUID(), trigger: "start", began, ended, outcome, round, sight, pause, error, kmsOffsetMs })
  try {
    await writeMetrics(metricsFile, await metrics.text())
  } catch (thrown) {
    if (!(thrown instanceof KeyferryError)) throw thrown
    progress.warn(`--metrics-file: ${thrown.message}`)
  }
  if (error !== null) throw error
  return rows
}

interface Done {
  readonly rows: readonly DecisionRow[]
  readonly error: KeyferryError | null
}

async function rowsOrError(work: () => Promise<readonly DecisionRow[]>): Promise<Done> {
  try {
    return { rows: await work(), error: null }
  } catch (error) {
    if (!(error instanceof KeyferryError)) throw error
    return { rows: [], error }
  }
}
