import { burstOf, PACE, quotaFor, type Quotas, SLOWED } from "../core/plan/schedule.js"
import type { SharedQuotas } from "../core/ports/shared-quotas.js"
import { Line, Quickest, type Timer, type Turn } from "./line.js"
import { SharedBucket } from "./shared-pacing.js"

const MONOTONIC: Timer = {
  now: () => performance.now(),
  after(milliseconds, run) {
    setTimeout(run, milliseconds)
  },
}

/**
 * Token buckets of a process, one for each account, Region and operation, so that all its work together keeps to the
 * quotas; or the buckets that all agents share. Whoever waits is served by rank, then in the order of asking. There is a
 * timer only while somebody waits.
 */
export interface Pacer {
  /** A turn now, or the promise of one; undefined for an operation without a quota. */
  turn(quotaKey: string, region: string, operation: string, quotas?: Quotas): Turn | Promise<Turn> | undefined
}

interface Surroundings {
  readonly timer?: Timer
  /** Where all agents' quotas are kept; without it the process keeps its own. */
  readonly shared?: SharedQuotas | null
}

export function createPacer({ timer = MONOTONIC, shared = null }: Surroundings = {}): Pacer {
  const buckets = new Map<string, Bucket | SharedBucket>()
  return {
    turn(quotaKey, region, operation, quotas) {
      const quota = quotaFor(operation, quotas)
      if (quota === undefined) return undefined
      const index = `${quotaKey} ${region} ${operation}`
      let bucket = buckets.get(index)
      if (bucket === undefined) {
        const name = { account: quotaKey, region, operation }
        bucket = shared === null ? new Bucket(quota, timer) : new SharedBucket(name, quota, { shared, timer })
        buckets.set(index, bucket)
      }
      return bucket.turn(quota)
    },
  }
}

class Bucket {
  readonly #timer: Timer
  readonly #line = new Line()
  #quota: number
  #tokens: number
  #at: number
  #armed = false
  #slowed: { readonly factor: number; readonly at: number } | null = null
  readonly #quickest = new Quickest()

  constructor(quota: number, timer: Timer) {
    this.#timer = timer
    this.#quota = quota
    this.#tokens = burstOf(quota)
    this.#at = timer.now()
  }

  /** Where two targets of one account give different quotas, the smaller one is true. */
  turn(quota: number): Turn | Promise<Turn> {
    this.#quota = Math.min(this.#quota, quota)
    if (this.#line.length === 0) {
      this.#refill()
      if (this.#tokens >= 1) return this.#spend()
    }
    const turn = this.#line.wait()
    this.#arm()
    return turn
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
      const next = this.#line.next()
      if (next === undefined) return
      next.resolve(this.#spend())
    }
    if (this.#line.length > 0) this.#arm()
  }

  /**
   * A quota without room for a burst counts from when a request arrives, not from when it was sent: one that was held up
   * must not be followed too soon. It arrived no later than its answer came, less the time that the quickest answer took.
   */
  #answered(sent: number): void {
    const now = this.#timer.now()
    this.#quickest.learn(now - sent)
    if (burstOf(this.#quota) > 1) return
    const arrived = now - this.#quickest.ms
    this.#refill()
    this.#tokens = Math.min(this.#tokens, Math.max(0, now - arrived) * this.#pace(now))
  }

  #throttled(): void {
    const now = this.#timer.now()
    this.#refill()
    this.#tokens = Math.min(this.#tokens, 0)
    if (this.#slowed !== null && now - this.#slowed.at < SLOWED.oneEventMs) return
    this.#slowed = { factor: Math.max(SLOWED.least, this.#factor(now) * SLOWED.factor), at: now }
  }
}
