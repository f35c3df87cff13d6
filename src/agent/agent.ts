import { randomUUID } from "node:crypto"
import type { Fleet } from "../app/fleet/fleet.js"
import type { Round } from "../app/round/round.js"
import { KeyferryError } from "../core/base/error.js"
import { rfc3339 } from "../core/base/expiry.js"
import type { AgentSettings } from "../core/manifest/agent-settings.js"
import { DEFAULT_AGENT } from "../core/manifest/agent-settings.js"
import { summarise } from "../core/plan/row.js"
import type { AgentRecords, Pause } from "../core/ports/agent-records.js"
import type { Log } from "../core/ports/log.js"
import { systemClock } from "../host/clock.js"
import type { World } from "../host/open.js"
import type { Settings } from "../host/settings.js"
import { AgentClock } from "./agent-clock.js"
import type { FleetWork } from "./fleet-work.js"
import { withRun } from "./run-log.js"
import { nextRound } from "./schedule.js"
import { lookIfItCan, outcomeOf, type Sight } from "./sight.js"
import { waitAfterTrouble } from "./trouble.js"

/** Why a round begins. */
export type Trigger = "start" | "schedule" | "reload" | "backoff" | "trouble" | "pause over" | "jobs"

/** What a round saw and did. */
export interface RoundReport {
  /** UUID, in every line of the log that is about it. */
  readonly run: string
  readonly trigger: Trigger
  readonly began: Date
  readonly ended: Date
  /** `degraded` where token or KMS kept it from some of its work, `failed` from all. */
  readonly outcome: "done" | "degraded" | "failed"
  /** What it did; null where it was paused, or failed before. */
  readonly round: Round | null
  /** What it saw afterwards; null where it could not look. */
  readonly sight: Sight | null
  readonly pause: Pause | null
  readonly error: KeyferryError | null
  /** By how much KMS' clock was ahead of the host's, in ms; null where no KMS answered. */
  readonly kmsOffsetMs: number | null
}

export interface AgentParts {
  /** A world for one round. Its log is given, and the settings of the last good reading. */
  readonly openWorld: (settings: Settings, log: Log) => World
  readonly readSettings: () => Promise<Settings>
  readonly log: Log
  /** 0 to 1. */
  readonly chance: () => number
  /** What a round does where the work of several agents is jobs: a round's work is all of it without. */
  readonly work?: Pick<FleetWork, "round" | "reached">
  /** Called after each round, before the next is waited for. */
  readonly onRound: (report: RoundReport, next: Date) => Promise<void>
}

interface NextRound {
  readonly at: Date
  readonly trigger: Trigger
}

/** Between the end of a round and one that tries something again, in ms. */
const SOONEST_MS = 60_000

/** Between two looks at the clock, in ms: the host's may be set, and a machine may sleep. */
const LOOK_MS = 20_000

/**
 * One process for the manifest: a round at start, by schedule, when the configuration is read anew, and when keys that
 * failed are to be tried again. Nothing is held between rounds: no lock, no login, no connection to KMS.
 */
export class Agent {
  readonly #parts: AgentParts
  #settings: Settings
  #isStopping = false
  #isReloading = false
  #hasNews = false
  #troubled = 0
  readonly #clock = new AgentClock({ wall: () => systemClock.now().getTime(), steady: () => performance.now() })
  #wake: () => void = () => undefined

  constructor(settings: Settings, parts: AgentParts) {
    this.#settings = settings
    this.#parts = parts
  }

  /** The manifest's `id`. */
  get owner(): string {
    return this.#settings.owner
  }

  get settings(): AgentSettings {
    return this.#settings.manifest?.agent ?? DEFAULT_AGENT
  }

  /** Finishes the key in hand, begins no other, and ends. */
  stop(): void {
    this.#isStopping = true
    this.#wake()
  }

  /** Reads the configuration anew, and begins a round. */
  reload(): void {
    this.#isReloading = true
    this.#wake()
  }

  /** Begins a round soon: jobs were done, or could not be. */
  look(): void {
    this.#hasNews = true
    this.#wake()
  }

  /** Works until it is stopped; with `once` for a single round. Gives the last one. */
  async run({ once }: { readonly once: boolean }): Promise<RoundReport> {
    let { report, next } = await this.#roundAndNext("start")
    while (!once && this.#goesOn()) {
      this.#parts.log.event("agent.waits", { next: rfc3339(next.at), because: next.trigger })
      const trigger = await this.#until(next.at, next.trigger)
      if (this.#isReloading) await this.#reload()
      if (this.#goesOn()) ({ report, next } = await this.#roundAndNext(trigger))
    }
    return report
  }

  #goesOn(): boolean {
    return !this.#isStopping
  }

  async #roundAndNext(trigger: Trigger): Promise<{ readonly report: RoundReport; readonly next: NextRound }> {
    const report = await this.#round(trigger)
    const next = this.#next(report)
    await this.#parts.onRound(report, next.at)
    return { report, next }
  }

  /** KMS' time as far as it is known: a host's clock that is wrong does not move the schedule. */
  #now(): Date {
    return this.#clock.now()
  }

  async #until(next: Date, trigger: Trigger): Promise<Trigger> {
    while (this.#now() < next && !this.#isStopping && !this.#isReloading && !this.#hasNews) {
      const remainingMs = Math.min(next.getTime() - this.#now().getTime(), LOOK_MS)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, remainingMs)
        this.#wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
    const cause = this.#hasNews ? "jobs" : trigger
    this.#hasNews = false
    return this.#isReloading ? "reload" : cause
  }

  async #reload(): Promise<void> {
    this.#isReloading = false
    try {
      this.#settings = await this.#parts.readSettings()
      const { schedule, timeZone, allow } = this.settings
      this.#parts.log.event("agent.reloaded", { schedule, timeZone, allow })
    } catch (error) {
      if (!(error instanceof KeyferryError)) throw error
      const { code, message } = error
      // what was right before goes on
      this.#parts.log.event("agent.reload-refused", { code, message })
    }
  }

  async #round(trigger: Trigger): Promise<RoundReport> {
    const run = randomUUID()
    const log = withRun(this.#parts.log, run)
    const began = systemClock.now()
    log.event("round.began", { trigger })
    let report: RoundReport
    let world: World | null = null
    try {
      await using opened = this.#parts.openWorld(this.#settings, log)
      world = opened
      const work = await this.#work(opened, log)
      report = { run, trigger, began, ended: systemClock.now(), kmsOffsetMs: opened.clock.kmsOffsetMs(), ...work }
    } catch (error) {
      if (!(error instanceof KeyferryError)) throw error
      const nothing = { round: null, sight: null, pause: null, outcome: "failed" } as const
      const kmsOffsetMs = world?.clock.kmsOffsetMs() ?? null
      report = { run, trigger, began, ended: systemClock.now(), error, kmsOffsetMs, ...nothing }
    } finally {
      await world?.stored[Symbol.asyncDispose]()
    }
    if (report.kmsOffsetMs !== null) this.#clock.learn(report.kmsOffsetMs)
    this.#troubled = report.outcome === "done" ? 0 : this.#troubled + 1
    // rows that were jobs are told as they are done
    tell(log, report, { withRows: this.#parts.work === undefined })
    return report
  }

  async #work(world: World, log: Log): Promise<Pick<RoundReport, "round" | "sight" | "pause" | "outcome" | "error">> {
    const records = await world.stored.agentRecords()
    const pause = await records.pause()
    const isPaused = pause !== null && !(await isPast(world, pause.until))
    if (isPaused) log.event("round.paused", { until: pause.until })
    if (pause !== null && !isPaused) await records.putPause(null)
    const { round, error } = isPaused ? { round: null, error: null } : await this.#workIfItCan(world, records)
    await world.stored.unlock()
    // also where the work could not begin: keys that die meanwhile are to be told of
    const reached = this.#parts.work?.reached ?? new Set()
    const sight = this.#isStopping ? null : await lookIfItCan(world, { pause: isPaused ? pause : null, error, reached })
    return { round, sight, pause: isPaused ? pause : null, outcome: outcomeOf({ round, sight, error }), error }
  }

  async #workIfItCan(
    world: World,
    records: AgentRecords,
  ): Promise<{ readonly round: Round | null; readonly error: KeyferryError | null }> {
    const { runRound } = await import("../app/round/round.js")
    const { work } = this.#parts
    const openFleet = (): Promise<Fleet> => world.fleet({ lock: true })
    const { allow } = this.settings
    try {
      const round = await (work === undefined
        ? runRound({ openFleet, records, allow, isStopping: () => this.#isStopping })
        : work.round(world, this.#settings))
      return { round, error: null }
    } catch (error) {
      if (!(error instanceof KeyferryError)) throw error
      return { round: null, error }
    }
  }

  /** The first of: the schedule, a key that waits, a token or a KMS that did not answer, the end of a pause. */
  #next({ outcome, round, pause }: RoundReport): NextRound {
    const now = this.#now()
    const times: NextRound[] = [
      { at: nextRound(this.settings, now, this.#parts.chance()), trigger: "schedule" },
      ...(round?.backoffs ?? []).map(({ retryAt }) => ({
        at: later(new Date(retryAt), now),
        trigger: "backoff" as const,
      })),
    ]
    if (outcome !== "done") {
      times.push({ at: new Date(now.getTime() + waitAfterTrouble(this.#troubled)), trigger: "trouble" })
    }
    if (pause !== null) times.push({ at: later(new Date(pause.until), now), trigger: "pause over" })
    return times.reduce((earliest, time) => (time.at < earliest.at ? time : earliest))
  }
}

/** Whether a time has passed by KMS' clock, of the first target that tells it; a host's clock alone ends no pause. */
async function isPast(world: World, time: string): Promise<boolean> {
  const { learnKmsTime } = await import("../app/kms-key/kms-time.js")
  const targets = Object.keys((await world.settings()).manifest?.targets ?? {})
  for (const target of targets.length === 0 ? [null] : targets) {
    await learnKmsTime({ kms: await world.kms(target), clock: world.clock })
    if (world.clock.kmsOffsetMs() !== null) return Date.parse(time) <= world.clock.now().getTime()
  }
  return false
}

/** Not before a minute has passed, whatever a clock has done meanwhile. */
const later = (time: Date, now: Date): Date => new Date(Math.max(time.getTime(), now.getTime() + SOONEST_MS))

function tell(
  log: Log,
  { trigger, outcome, round, sight, error, began, ended }: RoundReport,
  { withRows }: { readonly withRows: boolean },
): void {
  const durationMs = ended.getTime() - began.getTime()
  if (error !== null) {
    log.event("round.failed", { trigger, code: error.code, message: error.message, durationMs })
    return
  }
  const rows = round?.rows ?? []
  for (const { name, target, keyArn, outcome: end, reason, message } of withRows ? rows : []) {
    if (end !== "nothing") log.event("round.row", { name, target, keyArn, outcome: end, reason, message })
  }
  for (const { name, target, failures, retryAt, reason } of round?.backoffs ?? []) {
    log.event("round.backoff", { name, target, failures, retryAt, reason })
  }
  const { keys, done, failed, blocked } = summarise(rows)
  const waiting = round?.backoffs.length ?? 0
  const status = sight?.check.status ?? null
  log.event("round.ended", { trigger, outcome, keys, done, failed, blocked, waiting, status, durationMs })
}
