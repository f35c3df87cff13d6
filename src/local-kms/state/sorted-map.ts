/** A map whose values can be read in the order of their names, from after a name on. Sorted when read, not when written. */
export class SortedMap<V> extends Map<string, V> {
  #names: readonly string[] | undefined

  override set(name: string, value: V): this {
    if (!this.has(name)) this.#names = undefined
    return super.set(name, value)
  }

  override delete(name: string): boolean {
    this.#names = undefined
    return super.delete(name)
  }

  override clear(): void {
    this.#names = undefined
    super.clear()
  }

  /** The values whose names come after the given one, all without one. */
  *after(name?: string): Generator<V, void> {
    const names = (this.#names ??= [...this.keys()].sort())
    for (let i = name === undefined ? 0 : firstAfter(names, name); i < names.length; i++) {
      const value = this.get(names[i] ?? "")
      if (value !== undefined) yield value
    }
  }
}

/** Index of the first of the sorted names that comes after the given one. */
function firstAfter(names: readonly string[], name: string): number {
  let [low, high] = [0, names.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((names[middle] ?? "") > name) high = middle
    else low = middle + 1
  }
  return low
}
