interface Waiting<Entry> {
  readonly entry: Entry
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/**
 * Writes one entry after the other; what waits at the same time is written together.
 *
 * @param write gives what each entry failed with that was not written; where it throws, none was
 */
export function inBatches<Entry>(
  write: (batch: readonly Entry[]) => Promise<ReadonlyMap<Entry, unknown>>,
): (entry: Entry) => Promise<void> {
  let waiting: Waiting<Entry>[] = []
  let isWriting = false

  const flush = async (): Promise<void> => {
    isWriting = true
    while (waiting.length > 0) {
      const batch = waiting
      waiting = []
      try {
        const failures = await write(batch.map(({ entry }) => entry))
        for (const { entry, resolve, reject } of batch) {
          if (failures.has(entry)) reject(failures.get(entry))
          else resolve()
        }
      } catch (error) {
        for (const { reject } of batch) reject(error)
      }
    }
    isWriting = false
  }

  return (entry) =>
    new Promise<void>((resolve, reject) => {
      waiting.push({ entry, resolve, reject })
      if (!isWriting) void flush()
    })
}
