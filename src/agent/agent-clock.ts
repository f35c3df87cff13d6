/** Clocks of the host, in ms: by the calendar, which may be set, and since some moment, which goes on evenly. */
export interface HostClocks {
  readonly wall: () => number
  /** It may stand still while the machine sleeps. */
  readonly steady: () => number
}

/**
 * KMS' time between rounds, as far as it is known. A host's clock that is set back, as by NTP after a start with a wrong
 * one, does not hold up what is to be done: of what the two clocks say the later counts. One that is set forward has a
 * round begin too early, which learns better.
 */
export class AgentClock {
  readonly #clocks: HostClocks
  #offsetMs = 0
  #learnt: { readonly time: number; readonly steady: number }

  constructor(clocks: HostClocks) {
    this.#clocks = clocks
    this.#learnt = { time: clocks.wall(), steady: clocks.steady() }
  }

  /** @param offsetMs by how much KMS' clock is ahead of the host's now */
  learn(offsetMs: number): void {
    this.#offsetMs = offsetMs
    this.#learnt = { time: this.#clocks.wall() + offsetMs, steady: this.#clocks.steady() }
  }

  now(): Date {
    const { time, steady } = this.#learnt
    return new Date(Math.max(this.#clocks.wall() + this.#offsetMs, time + this.#clocks.steady() - steady))
  }
}
