import { AsyncLocalStorage } from "node:async_hooks"

/** Time for the pacer, in milliseconds: monotonic, since a wall clock that is set would stop or flood. */
export interface Timer {
  now(): number
  /** Calls back once, so many milliseconds later. */
  after(milliseconds: number, run: () => void): void
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

interface Waiting {
  readonly rank: number
  readonly resolve: (turn: Turn) => void
  readonly reject: (error: unknown) => void
}

/** Who waits for a turn: by rank, then in the order of asking. */
export class Line {
  /** Next first. */
  readonly #waiting: Waiting[] = []

  get length(): number {
    return this.#waiting.length
  }

  wait(): Promise<Turn> {
    const rank = ranks.getStore() ?? 0
    return new Promise((resolve, reject) => {
      const before = this.#waiting.findLastIndex((waiting) => waiting.rank <= rank)
      this.#waiting.splice(before + 1, 0, { rank, resolve, reject })
    })
  }

  next(): Waiting | undefined {
    return this.#waiting.shift()
  }

  /** Nobody waits any more. */
  refuse(error: unknown): void {
    for (const { reject } of this.#waiting.splice(0)) reject(error)
  }
}

/**
 * How long a request takes to its answer, at least: by how much more it took, it may have arrived the later. A first
 * answer says nothing of the others: it may have opened the connection.
 */
export class Quickest {
  #ms = Infinity
  #answers = 0

  /** In milliseconds; 0 while nothing is known. */
  get ms(): number {
    return this.#answers < 2 ? 0 : this.#ms
  }

  learn(tookMs: number): void {
    this.#ms = Math.min(this.#ms, tookMs)
    this.#answers += 1
  }
}
