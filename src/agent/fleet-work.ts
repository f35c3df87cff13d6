import { randomUUID } from "node:crypto"
import { degradedOf, isOfPlace, type Round } from "../app/round/round.js"
import { planRound } from "../app/round/plan-round.js"
import { doRow } from "../app/round/row.js"
import { KeyferryError } from "../core/base/error.js"
import { type AgentSettings, DEFAULT_AGENT } from "../core/manifest/agent-settings.js"
import type { DecisionRow } from "../core/plan/decision-row.js"
import type { AgentRecords } from "../core/ports/agent-records.js"
import type { Log } from "../core/ports/log.js"
import type { JobKey } from "../core/records/dead-letter.js"
import type { World } from "../host/open.js"
import type { Settings } from "../host/settings.js"
import type { JobFailure, Jobs, Worker } from "../jobs/jobs.js"
import { mayBeElsewhere } from "../app/fleet/survey.js"
import { withRun } from "./run-log.js"
import { WorkWorld } from "./work-world.js"

/** Keys of one token that an agent works on at the same time. */
const WIDTH = 8
/** After a plan that made jobs, in ms: jobs that nobody takes are told of by then. */
const LOOK_AFTER_PLAN_MS = 16 * 60_000
/** The least that `Jobs.stop` takes. */
const SOONEST_STOP_MS = 1000

export interface FleetWorkParts {
  readonly jobs: Jobs
  readonly records: AgentRecords
  readonly openWorld: (settings: Settings, log: Log) => World
  readonly log: Log
  /** Called when what was done, or what failed, is worth a look. */
  readonly onNews: () => void
}

/** What an agent does where several share a database: it plans when it gets to, and takes the jobs of the tokens that it reaches. */
export class FleetWork implements AsyncDisposable {
  readonly #parts: FleetWorkParts
  readonly #workers = new Map<string | null, AtWork>()
  /** Tokens that these settings have led to once. */
  readonly #reached = new Set<string | null>()
  readonly #told = new Set<string | null>()
  #nextLook: NodeJS.Timeout | undefined
  #settings: Settings | undefined
  #rows: DecisionRow[] = []
  #isStopping = false

  constructor(parts: FleetWorkParts) {
    this.#parts = parts
  }

  /** Tokens that the agent could use before: one of them that is gone is a failure, and not another site's. */
  get reached(): ReadonlySet<string | null> {
    return this.#reached
  }

  /**
   * The agent's part in the fleet, as a round sees it: planned as the settings say, and at work for each token that is
   * reached. What was done since the last time is the round.
   */
  async round(world: World, settings: Settings): Promise<Round> {
    const { records } = this.#parts
    if (this.#settings !== settings) await this.#follow(settings)
    const fleet = await world.fleet({ lock: false })
    for (const token of new Set(fleet.bindings.map((binding) => binding.token))) await this.#reach(world, token)
    const rows = this.#rows.splice(0)
    return { rows, backoffs: await records.backoffs(), degraded: degradedOf(rows) }
  }

  /** Begins no other job, and waits so long for those in hand, in ms, at least 1000. */
  async stop(timeoutMs: number): Promise<void> {
    this.#isStopping = true
    clearTimeout(this.#nextLook)
    try {
      await this.#parts.jobs.stop(timeoutMs)
    } finally {
      for (const { world } of this.#workers.values()) await world.close()
    }
  }

  /** As after `stop`, where what began it did not come so far. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#isStopping) await this.stop(SOONEST_STOP_MS)
  }

  async #follow(settings: Settings): Promise<void> {
    const { jobs } = this.#parts
    this.#settings = settings
    this.#reached.clear()
    this.#told.clear()
    // what is in hand is done as it was begun
    await this.#leaveAll()
    const { schedule, timeZone } = agentSettingsOf(settings)
    await jobs.planOn({ cron: schedule, timeZone }, () => this.#plan(settings))
    await jobs.planNow()
  }

  async #plan(settings: Settings): Promise<void> {
    const { jobs, records, openWorld } = this.#parts
    if (this.#isStopping || (await records.pause()) !== null) return
    const log = withRun(this.#parts.log, randomUUID())
    const start = performance.now()
    await using opened = opening(openWorld(settings, log))
    const fleet = await opened.world.fleet({ lock: false })
    const { allow } = agentSettingsOf(settings)
    const { due, well } = await planRound(fleet, { records, dead: jobs, allow })
    let queued = 0
    for (const [token, keys] of due) queued += await jobs.queue(token, keys)
    await jobs.forget(well)
    if (queued > 0) this.#lookLater()
    log.event("plan.ended", { keys: fleet.bindings.length, queued, durationMs: Math.round(performance.now() - start) })
  }

  #lookLater(): void {
    clearTimeout(this.#nextLook)
    this.#nextLook = setTimeout(this.#parts.onNews, LOOK_AFTER_PLAN_MS).unref()
  }

  /** A token of another site is left to the agents there; one that fails is tried again by the next round. */
  async #reach(world: World, token: string | null): Promise<void> {
    const settings = this.#settings
    if (this.#workers.has(token) || this.#isStopping || settings === undefined) return
    try {
      if ((await world.tokenIfGiven(token)) === null) return
    } catch (error) {
      if (!(error instanceof KeyferryError)) throw error
      this.#tellElsewhere(token, error)
      return
    }
    this.#reached.add(token)
    const { jobs, openWorld, log, onNews } = this.#parts
    const open = (): World => openWorld(settings, withRun(log, randomUUID()))
    const shared = new WorkWorld(open, onNews)
    const worker = await jobs.workOn(token, { width: WIDTH }, (key, signal) =>
      this.#do({ settings, token, key, shared, signal }),
    )
    this.#workers.set(token, { worker, world: shared })
  }

  /** Once: it is so for good, as a rule. */
  #tellElsewhere(token: string | null, { code, message }: KeyferryError): void {
    if (this.#reached.has(token) || this.#told.has(token) || !mayBeElsewhere(token, code)) return
    this.#told.add(token)
    this.#parts.log.event("token.elsewhere", { token, code, message })
  }

  async #do({ settings, token, key, shared, signal }: Job): Promise<JobFailure | null> {
    if ((await this.#parts.records.pause()) !== null) {
      this.#leave(token)
      return { code: "PAUSED", message: "unattended work is paused", counts: false }
    }
    const { allow } = agentSettingsOf(settings)
    const isStopping = (): boolean => this.#isStopping || signal.aborted
    let rows: readonly DecisionRow[]
    try {
      rows = await shared.use((work, world) => told(world, doRow(work, { key, allow, isStopping })))
    } catch (error) {
      if (!(error instanceof KeyferryError)) throw error
      // the state could not be opened, or was lost: the key was not begun
      return { code: error.code, message: error.message, counts: false }
    }
    if (rows.length === 0 && !isStopping()) {
      // read anew, this agent's configuration may know it; or another agent's does
      shared.renew()
      return { code: "KEY_UNKNOWN", message: `the configuration of this agent has no key ${key.name}`, counts: false }
    }
    this.#rows.push(...rows)
    const failed = rows.find((row) => row.outcome === "failed" || isOfPlace(row) || row.reason === "ERR_KEY_HELD")
    if (failed === undefined) {
      // what was not begun, or not finished, is another agent's
      return isStopping() ? { code: "STOPPED", message: "the agent that had it was stopping", counts: false } : null
    }
    const { reason: code, message } = failed
    const counts = !isOfPlace(failed) && code !== "ERR_KEY_HELD"
    if (isOfPlace(failed)) shared.renew()
    // others may reach it; a refused PIN is presented by nobody
    if (/^ERR_(TOKEN|MODULE|PIN)_/.test(code) && !counts) this.#leave(token)
    return { code, message, counts }
  }

  /** Takes no other job of the token, until a round reaches it again. */
  #leave(token: string | null): void {
    const atWork = this.#workers.get(token)
    if (atWork === undefined) return
    this.#workers.delete(token)
    // the job that noticed it is in hand yet
    void end(atWork).catch((error: unknown) => this.#parts.log.event("warning", { text: String(error) }))
    this.#parts.onNews()
  }

  async #leaveAll(): Promise<void> {
    const allAtWork = [...this.#workers.values()]
    this.#workers.clear()
    for (const atWork of allAtWork) await end(atWork)
  }
}

/** What takes the jobs of a token, and what they work in. */
interface AtWork {
  readonly worker: Worker
  readonly world: WorkWorld
}

async function end({ worker, world }: AtWork): Promise<void> {
  await worker.stop()
  await world.close()
}

/** Rows, in the log of the world in which they were done. */
async function told({ log }: World, doing: Promise<readonly DecisionRow[]>): Promise<readonly DecisionRow[]> {
  const rows = await doing
  for (const { name, target, keyArn, outcome, reason, message } of rows) {
    if (outcome !== "nothing") log.event("round.row", { name, target, keyArn, outcome, reason, message })
  }
  return rows
}

interface Job {
  readonly settings: Settings
  readonly token: string | null
  readonly key: JobKey
  readonly shared: WorkWorld
  readonly signal: AbortSignal
}

const agentSettingsOf = ({ manifest }: Settings): AgentSettings => manifest?.agent ?? DEFAULT_AGENT

/** A world with its place of the state, closed together. */
function opening(world: World): AsyncDisposable & { readonly world: World } {
  return {
    world,
    async [Symbol.asyncDispose]() {
      await world[Symbol.asyncDispose]()
      await world.stored[Symbol.asyncDispose]()
    },
  }
}
