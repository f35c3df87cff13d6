/**
 * Keeps searches and the creation of token objects apart, on tokens that cannot take both at one time (a column of
 * their profile). Searches may overlap each other; a creation has the token's store for itself. Taken inside the loan
 * of a session, so that who holds the gate never waits for one.
 */
export class StoreGate {
  readonly #serial: boolean
  /** Settles when every search and creation that came before is done. */
  #creation: Promise<unknown> = Promise.resolve()
  readonly #searches = new Set<Promise<unknown>>()

  constructor(serial: boolean) {
    this.#serial = serial
  }

  async search<T>(use: () => T | Promise<T>): Promise<T> {
    if (!this.#serial) return use()
    const searching = this.#creation.then(use)
    const settled = searching.then(nothing, nothing)
    this.#searches.add(settled)
    try {
      return await searching
    } finally {
      this.#searches.delete(settled)
    }
  }

  create<T>(use: () => T | Promise<T>): Promise<T> {
    if (!this.#serial) return Promise.resolve().then(use)
    const creating = Promise.all([this.#creation, ...this.#searches]).then(use)
    this.#creation = creating.then(nothing, nothing)
    return creating
  }
}

const nothing = (): void => undefined
