/** What was opened so far, closed last first; Node 22 has no AsyncDisposableStack. */
export class Resources implements AsyncDisposable {
  #opened: (AsyncDisposable | Disposable)[] = []

  /** The same resource, now one of these. */
  add<Resource extends AsyncDisposable | Disposable>(resource: Resource): Resource {
    this.#opened.push(resource)
    return resource
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const resource of this.#opened.reverse()) {
      if (Symbol.asyncDispose in resource) await resource[Symbol.asyncDispose]()
      else resource[Symbol.dispose]()
    }
    this.#opened = []
  }
}
