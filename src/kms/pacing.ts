import { AsyncLocalStorage } from "node:async_hooks"
import { burstOf, PACE, quotaFor, type Quotas } from "../core/plan/schedule.js"

/** The share of its pace that an operation keeps after a ThrottlingException, and how it comes back. */
const SLOWED = { factor: 0.5, least: 1 / 16, step: 1 / 8, everyMs: 5_000 }
/** Answers to requests that were under way together are one event. */
const ONE_EVENT_MS = 1_000

/** Time for the pacer, in milliseconds: monotonic, since a wall clock that is set would stop or flood. */
export interface Timer {
  now(): number
  /** Calls back once, so many milliseconds later. */
  after(milliseconds: number, run: () => void): void
}

const MONOTONIC: Timer = {
  now: () => performance.now(),
  after(milliseconds, run) {
    setTimeout(run, milliseconds)
  },
}

/** A request that may go out; tells the pacer what came of it. */
export interface Turn {
  answered(): void
  throttled(): void
}

const ranks = new AsyncLocalStorage<number>()

/** Does work whose requests, where they have to wait, go before those of a greater rank. Without one the rank is 0. */
export function inTurn<T>(rank: number, work: () => Promise<T>): Promise<T> {
  return ranks.run(rank, work)
}

/**
 * Token buckets of a process, one for each account, Region and operation, so that all its work together keeps to the
 * quotas. Whoever waits is served by rank, then in the order of asking. There is a timer only while somebody waits.
 */
export interface Pacer {
  /** A turn now, or the promise of one; undefined for an operation without a quota. */
  turn(quotaKey: string, region: string, operation: string, quotas?: Quotas): Turn | Promise<Turn> | undefined
}

export function createPacer(timer: Timer = MONOTONIC): Pacer {
  const buckets = new Map<string, Bucket>()
  return {
    turn(quotaKey, region, operation, quotas) {
      const quota = quotaFor(operation, quotas)
      if (quota === undefined) return undefined
      const name = `${quotaKey} ${region} ${operation}`
      let bucket = buckets.get(name)
      if (bucket === undefined) {
        bucket = new Bucket(quota, timer)
        buckets.set(name, bucket)
      }
      return bucket.turn(quota)
    },
  }
}

class Bucket {
  readonly #timer: Timer
  /** Next first. */
  readonly #waiting: { readonly rank: number; readonly resolve: (turn: Turn) => void }[] = []
  #quota: number
  #tokens: number
  #at: number
  #armed = false
  #slowed: { readonly factor: number; readonly at: number } | null = null
  /** The shortest time to an answer, in milliseconds, and of how many answers. */
  #quickest = { ms: Infinity, answers: 0 }

  constructor(quota: number, timer: Timer) {
    this.#timer = timer
    this.#quota = quota
    this.#tokens = burstOf(quota)
    this.#at = timer.now()
  }

  /** Where two targets of one account give different quotas, the smaller one is true. */
  turn(quota: number): Turn | Promise<Turn> {
    this.#quota = Math.min(this.#quota, quota)
    if (this.#waiting.length === 0) {
      this.#refill()
      if (this.#tokens >= 1) return this.#spend()
    }
    const rank = ranks.getStore() ?? 0
    return new Promise((resolve) => {
      const before = this.#waiting.findLastIndex((waiting) => waiting.rank <= rank)
      this.#waiting.splice(before + 1, 0, { rank, resolve })
      this.#arm()
    })
  }

  #spend(): Turn {
    this.#tokens -= 1
    const sent = this.#timer.now()
    return {
      answered: () => {
        this.#answered(sent)
      },
      throttled: () => {
        this.#throttled()
      },
    }
  }

  #factor(now: number): number {
    if (this.#slowed === null) return 1
    const steps = Math.floor((now - this.#slowed.at) / SLOWED.everyMs)
    const factor = this.#slowed.factor + steps * SLOWED.step
    if (factor < 1) return factor
    this.#slowed = null
    return 1
  }

  /** Requests a millisecond. */
  #pace(now: number): number {
    return (PACE * this.#quota * this.#factor(now)) / 1000
  }

  #refill(): void {
    const now = this.#timer.now()
    this.#tokens = Math.min(burstOf(this.#quota), this.#tokens + (now - this.#at) * this.#pace(now))
    this.#at = now
  }

  #arm(): void {
    if (this.#armed) return
    this.#armed = true
    const wait = Math.max(0, 1 - this.#tokens) / this.#pace(this.#timer.now())
    this.#timer.after(Math.ceil(wait), () => {
      this.#armed = false
      this.#serve()
    })
  }

  #serve(): void {
    this.#refill()
    while (this.#tokens >= 1) {
      const next = this.#waiting.shift()
      if (next === undefined) return
      next.resolve(this.#spend())
    }
    if (this.#waiting.length > 0) this.#arm()
  }

  /**
   * A quota without room for a burst counts from when a request arrives, not from when it was sent: one that was held up
   * must not be followed too soon. It arrived no later than its answer came, less the time that the quickest answer took.
   */
  #answered(sent: number): void {
    const now = this.#timer.now()
    const took = now - sent
    this.#quickest = { ms: Math.min(this.#quickest.ms, took), answers: this.#quickest.answers + 1 }
    if (burstOf(this.#quota) > 1) return
    // a first answer says nothing of how long the others take: it may have opened the connection
    const arrived = this.#quickest.answers === 1 ? now : now - this.#quickest.ms
    this.#refill()
    this.#tokens = Math.min(this.#tokens, Math.max(0, now - arrived) * this.#pace(now))
  }

  #throttled(): void {
    const now = this.#timer.now()
    this.#refill()
    this.#tokens = Math.min(this.#tokens, 0)
    if (this.#slowed !== null && now - this.#slowed.at < ONE_EVENT_MS) return
    this.#slowed = { factor: Math.max(SLOWED.least, this.#factor(now) * SLOWED.factor), at: now }
  }
}
