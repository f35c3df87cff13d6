import { burstOf, PACE } from "../core/plan/schedule.js"
import type { ArrivalWanted, QuotaName, SharedQuotas } from "../core/ports/shared-quotas.js"
import { Line, Quickest, type Timer, type Turn } from "./line.js"

/** Slots are taken for so many milliseconds ahead: who dies with them keeps them from the others no longer. */
const AHEAD_MS = 50
/** A slot that a process, held up, comes to later than this is not used any more: others have theirs by then. */
const LATE_MS = 1_000

/** A time at which a request may be sent, and the time of the shared clock by which its arrival is reckoned. */
interface Slot {
  /** By this process' timer. */
  readonly dueMs: number
  /** Less the process' timer, the time of the shared clock; null where arrivals do not count. */
  readonly clockMs: number | null
}

/**
 * The quota of one account, Region and operation that all agents share. Slots are asked for while somebody waits, for
 * those who are first in line then: who comes later with a smaller rank gets the slot of who came before.
 */
export class SharedBucket {
  readonly #name: QuotaName
  readonly #shared: SharedQuotas
  readonly #timer: Timer
  readonly #line = new Line()
  #quota: number
  #serving = false
  readonly #quickestAnswer = new Quickest()
  readonly #quickestSlot = new Quickest()

  constructor(name: QuotaName, quota: number, { shared, timer }: { shared: SharedQuotas; timer: Timer }) {
    this.#name = name
    this.#quota = quota
    this.#shared = shared
    this.#timer = timer
  }

  /** @throws ERR_DATABASE_*: without a slot nothing is sent */
  turn(quota: number): Promise<Turn> {
    this.#quota = Math.min(this.#quota, quota)
    const turn = this.#line.wait()
    if (!this.#serving) void this.#serve()
    return turn
  }

  get #everyMs(): number {
    return 1000 / (PACE * this.#quota)
  }

  async #serve(): Promise<void> {
    this.#serving = true
    while (this.#line.length > 0) {
      try {
        for (const slot of await this.#slots()) await this.#use(slot)
      } catch (error) {
        this.#line.refuse(error)
      }
    }
    this.#serving = false
  }

  /** For whoever is first in line when it is due. */
  async #use({ dueMs, clockMs }: Slot): Promise<void> {
    await this.#until(dueMs)
    const sent = this.#timer.now()
    if (sent - dueMs > LATE_MS) {
      // others wait for what comes of an arrival
      if (clockMs !== null) this.#arrived(dueMs + clockMs)
      return
    }
    this.#line.next()?.resolve({
      answered: () => {
        if (clockMs !== null) this.#answered(sent, clockMs)
      },
      throttled: () => {
        ignoreFailure(this.#shared.throttled(this.#name, this.#everyMs))
      },
    })
  }

  #slots(): Promise<readonly Slot[]> {
    return burstOf(this.#quota) > 1 ? this.#burstSlots() : this.#arrivalSlot()
  }

  async #burstSlots(): Promise<readonly Slot[]> {
    const everyMs = this.#everyMs
    const most = Math.max(1, Math.ceil((AHEAD_MS + this.#quickestSlot.ms) / everyMs))
    const count = Math.min(this.#line.length, most)
    const slots = await this.#asked(() =>
      this.#shared.takeSlots(this.#name, { everyMs, burst: burstOf(this.#quota), count }),
    )
    const { madeMs, answer } = slots
    return Array.from({ length: count }, (_, index) => ({
      dueMs: madeMs + answer.waitMs + index * answer.everyMs,
      clockMs: null,
    }))
  }

  /**
   * Who has a place in the order asks again when it is near: what arrived late meanwhile moves it. Nothing is sent early
   * for the way that it has: how much of an answer's time that is cannot be told.
   */
  async #arrivalSlot(): Promise<readonly Slot[]> {
    let place: string | null = null
    for (;;) {
      const wanted: ArrivalWanted = { everyMs: this.#everyMs, place }
      const { madeMs, earliestMs, answer } = await this.#asked(() => this.#shared.takeArrival(this.#name, wanted))
      if (answer.granted) return [{ dueMs: madeMs + answer.waitMs, clockMs: answer.at - earliestMs }]
      place = answer.place
      await this.#until(madeMs + answer.waitMs)
    }
  }

  /** Asks, and tells when the answer was made, by this process' timer: no later than the one, no sooner than the other. */
  async #asked<T>(ask: () => Promise<T>): Promise<{ answer: T; madeMs: number; earliestMs: number }> {
    const before = this.#timer.now()
    const answer = await ask()
    const after = this.#timer.now()
    this.#quickestSlot.learn(after - before)
    const way = this.#quickestSlot.ms / 2
    return { answer, madeMs: after - way, earliestMs: before + way }
  }

  /**
   * A request that was held up must not be followed too soon: it arrived no later than its answer came, less the way
   * back, which is taken for half of the quickest answer's time.
   */
  #answered(sent: number, clockMs: number): void {
    const now = this.#timer.now()
    this.#quickestAnswer.learn(now - sent)
    this.#arrived(now - this.#quickestAnswer.ms / 2 + clockMs)
  }

  /** @param at by the shared clock */
  #arrived(at: number): void {
    ignoreFailure(this.#shared.arrived(this.#name, at, this.#everyMs))
  }

  async #until(ms: number): Promise<void> {
    const wait = ms - this.#timer.now()
    if (wait > 0) await new Promise<void>((resolve) => this.#timer.after(Math.ceil(wait), resolve))
  }
}

/** Who asks for the next slot is told of it. */
function ignoreFailure(telling: Promise<void>): void {
  telling.catch(() => undefined)
}
