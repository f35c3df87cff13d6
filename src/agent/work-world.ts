import { openRowWork, type RowWork } from "../app/round/row.js"
import type { World } from "../host/open.js"

/** How long what was opened for jobs is kept without any, and how long at all: what was read in it gets old. In ms. */
const IDLE_MS = 5_000
const LONGEST_MS = 600_000

/** A world, its keys and tokens, that jobs share. */
interface Shared {
  readonly world: World
  readonly work: Promise<RowWork>
  readonly openedAt: number
  users: number
  /** Whether no other job is to use it. */
  isOver: boolean
  timer?: NodeJS.Timeout
}

/**
 * What jobs of one token work in: opened by the first, shared by those that come meanwhile, and closed once none has come
 * for a while. Nothing is held by an agent that has nothing to do: no lock, no login.
 */
export class WorkWorld {
  readonly #open: () => World
  readonly #onClosed: () => void
  #shared: Shared | undefined

  /** @param onClosed called when the last job is done and none has come for a while */
  constructor(open: () => World, onClosed: () => void) {
    this.#open = open
    this.#onClosed = onClosed
  }

  /** Does a job. Where opening it fails, the next job tries again. */
  async use<T>(job: (work: RowWork, world: World) => Promise<T>): Promise<T> {
    await this.#letGoIfAwaited()
    const shared = this.#current()
    shared.users += 1
    clearTimeout(shared.timer)
    try {
      return await job(await shared.work, shared.world)
    } catch (error) {
      this.#retire(shared)
      throw error
    } finally {
      shared.users -= 1
      if (shared.users === 0) {
        if (shared.isOver) await close(shared)
        else shared.timer = setTimeout(() => void this.#closeIdle(shared), IDLE_MS)
      }
    }
  }

  /** Lets the next job begin with what is read anew: a token that failed stays failed in a world. */
  renew(): void {
    if (this.#shared !== undefined) this.#retire(this.#shared)
  }

  /** Closes it, where no job uses it. */
  async close(): Promise<void> {
    const shared = this.#shared
    if (shared === undefined) return
    this.#retire(shared)
    clearTimeout(shared.timer)
    if (shared.users === 0) await close(shared)
  }

  /** Who waits for the state as a whole has it once the jobs in hand are done; the next are done in a world after that. */
  async #letGoIfAwaited(): Promise<void> {
    const shared = this.#shared
    if (shared === undefined) return
    const work = await shared.work.catch(() => null)
    // a lock that cannot be asked is lost, and taken anew
    const isAwaited = (await work?.isAwaited().catch(() => true)) ?? false
    if (!isAwaited || this.#shared !== shared) return
    this.#retire(shared)
    clearTimeout(shared.timer)
    if (shared.users === 0) await close(shared)
  }

  #current(): Shared {
    const shared = this.#shared
    if (shared !== undefined && performance.now() - shared.openedAt < LONGEST_MS) return shared
    if (shared !== undefined) this.#retire(shared)
    const world = this.#open()
    const work = world.fleet({ lock: true }).then(openRowWork)
    work.catch(() => undefined)
    return (this.#shared = { world, work, openedAt: performance.now(), users: 0, isOver: false })
  }

  #retire(shared: Shared): void {
    shared.isOver = true
    if (this.#shared === shared) this.#shared = undefined
  }

  async #closeIdle(shared: Shared): Promise<void> {
    this.#retire(shared)
    await close(shared)
    this.#onClosed()
  }
}

async function close({ world }: Shared): Promise<void> {
  await world[Symbol.asyncDispose]()
  await world.stored[Symbol.asyncDispose]()
}
