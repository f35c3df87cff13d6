/** How often each operation was asked for and how it ended, since the start or the last reset. */
export interface RequestCounts {
  readonly requests: Readonly<Record<string, number>>
  /** The same by Region, then by operation. */
  readonly regions: Readonly<Record<string, Readonly<Record<string, number>>>>
  readonly succeeded: Readonly<Record<string, number>>
  /** By operation, then by error name. An answer that was dropped counts as what it was. */
  readonly errors: Readonly<Record<string, Readonly<Record<string, number>>>>
  /** Operation names in the order of arrival, at most the last thousand. */
  readonly recent: readonly string[]
}

export interface RequestLog {
  arrived: (operation: string, region: string) => void
  succeeded: (operation: string) => void
  failed: (operation: string, error: string) => void
  counts: () => RequestCounts
  clear: () => void
}

const RECENT = 1000

export function createRequestLog(): RequestLog {
  let requests: Record<string, number> = {}
  let regions: Record<string, Record<string, number>> = {}
  let succeeded: Record<string, number> = {}
  let errors: Record<string, Record<string, number>> = {}
  let recent: string[] = []
  const count = (into: Record<string, number>, name: string): void => {
    into[name] = (into[name] ?? 0) + 1
  }
  return {
    arrived(operation, region) {
      count(requests, operation)
      count((regions[region] ??= {}), operation)
      recent.push(operation)
      if (recent.length > RECENT) recent.shift()
    },
    succeeded: (operation) => count(succeeded, operation),
    failed: (operation, error) => count((errors[operation] ??= {}), error),
    counts: () => ({ requests, regions, succeeded, errors, recent }),
    clear() {
      requests = {}
      regions = {}
      succeeded = {}
      errors = {}
      recent = []
    },
  }
}
