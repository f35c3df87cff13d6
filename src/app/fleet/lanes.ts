import { KeyferryError } from "../../core/base/error.js"

/** The lock of the state directory, as a run of many keys sees it. */
export interface SharedLock {
  /** Whether another process waits for it. */
  isAwaited(): Promise<boolean>
  /**
   * Lets it have the lock, and takes it again: what was read of the state before may have changed.
   *
   * @throws ERR_STATE_LOCKED where it is not to be had again
   */
  passOn(): Promise<void>
}

/**
 * Lanes that work side by side, and between two keys wait for each other where another process wants the state
 * directory: the lock is let go when none of them works.
 */
export class Lanes {
  readonly #lock: SharedLock
  readonly #onPassedOn: (failure: KeyferryError | null) => void
  #running: number
  readonly #arrived: (() => void)[] = []
  #isGathering = false

  /** @param onPassedOn called before the lanes go on: with null, or with why the lock was not to be had again */
  constructor(width: number, lock: SharedLock, onPassedOn: (failure: KeyferryError | null) => void) {
    this.#running = width
    this.#lock = lock
    this.#onPassedOn = onPassedOn
  }

  /** For a lane that has nothing under way. */
  async betweenKeys(): Promise<void> {
    if (!this.#isGathering && (await this.#lock.isAwaited())) this.#isGathering = true
    // another lane may have found it out meanwhile
    if (!this.#isGathering) return
    const resumed = new Promise<void>((resolve) => this.#arrived.push(resolve))
    await this.#passOnWhenAllAreHere()
    await resumed
  }

  /** For a lane that has come to its end. */
  async leave(): Promise<void> {
    this.#running -= 1
    await this.#passOnWhenAllAreHere()
  }

  async #passOnWhenAllAreHere(): Promise<void> {
    if (!this.#isGathering || this.#arrived.length < this.#running || this.#arrived.length === 0) return
    let failure: KeyferryError | null = null
    try {
      await this.#lock.passOn()
    } catch (error) {
      if (!(error instanceof KeyferryError)) throw error
      failure = error
    }
    this.#onPassedOn(failure)
    this.#isGathering = false
    for (const resume of this.#arrived.splice(0)) resume()
  }
}
