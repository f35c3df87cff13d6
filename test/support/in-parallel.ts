interface Lanes<T, R extends AsyncDisposable> {
  /** How many rows are worked on at one time. */
  readonly width: number
  readonly name: (row: T) => string
  /** What a row needs for itself while it runs; made once a lane. */
  readonly lane: () => Promise<R>
  readonly run: (row: T, lane: R) => Promise<void>
  /** Rows to begin with, because they wait for long. */
  readonly first?: (row: T) => boolean
  /** Mocha's limit for one row, which may wait for its turn. */
  readonly patienceMs?: number
}

const PATIENCE_MS = 240_000

/**
 * Declares one test a row, in order, and works on several rows at a time: each is a command in a process of its own,
 * and would leave the other core idle.
 */
export function inParallel<T, R extends AsyncDisposable>(rows: readonly T[], how: Lanes<T, R>): void {
  const { width, name, lane, run, first = () => false, patienceMs = PATIENCE_MS } = how
  const outcomes = new Map<T, PromiseSettledResult<void>>()
  const waiting = new Map<T, () => void>()
  const working: Promise<void>[] = []
  let stopped = false

  const work = async (queue: T[]): Promise<void> => {
    await using resource = await lane()
    for (let row = queue.shift(); row !== undefined && !stopped; row = queue.shift()) {
      const [outcome] = await Promise.allSettled([run(row, resource)])
      outcomes.set(row, outcome)
      waiting.get(row)?.()
    }
  }
  before(() => {
    const queue = [...rows.filter(first), ...rows.filter((row) => !first(row))]
    for (let count = 0; count < width; count += 1) working.push(work(queue))
  })
  after(async () => {
    stopped = true
    await Promise.all(working)
  })
  for (const row of rows) {
    it(name(row), async function () {
      this.timeout(patienceMs)
      if (!outcomes.has(row)) {
        const turn = new Promise<void>((resolve) => waiting.set(row, resolve))
        // a lane that cannot be set up would leave its rows waiting
        await Promise.race([turn, Promise.all(working)])
      }
      const outcome = outcomes.get(row)
      if (outcome?.status === "rejected") throw outcome.reason as Error
      if (outcome === undefined) throw new Error("nothing worked on this row")
    })
  }
}

/** For rows that need nothing for themselves. */
export function sharedLane(): Promise<AsyncDisposable> {
  return Promise.resolve({ [Symbol.asyncDispose]: () => Promise.resolve() })
}
