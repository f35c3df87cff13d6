/** What was opened so far, closed last first; Node 20 has no AsyncDisposableStack. */
export class Resources implements AsyncDisposable {
  #open: AsyncDisposable[] = []

  add(resource: AsyncDisposable | Disposable): void {
    this.#open.push(Symbol.asyncDispose in resource ? resource : closing(resource))
  }

  /** The same resource, now one of these. */
  added<T extends AsyncDisposable | Disposable>(resource: T): T {
    this.add(resource)
    return resource
  }

  /** Hands everything over to a new owner. */
  move(): Resources {
    const owner = new Resources()
    owner.#open = this.#open
    this.#open = []
    return owner
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const resource of this.#open.reverse()) await resource[Symbol.asyncDispose]()
  }
}

function closing(resource: Disposable): AsyncDisposable {
  return {
    [Symbol.asyncDispose]: () => {
      resource[Symbol.dispose]()
      return Promise.resolve()
    },
  }
}
