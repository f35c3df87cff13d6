import { parseKeyArn } from "#src/core/key/key-arn.js"
import type { KmsProxy } from "../../support/kms-proxy.js"
import { REGIONS } from "./fleet.js"

/** An import that KMS took. */
export interface Import {
  readonly arn: string
  readonly region: string
  /** Milliseconds of a clock that nobody sets. */
  readonly at: number
  /** Which of keyferry's processes asked for it. */
  readonly run: number
}

export interface ImportsSeen {
  readonly all: readonly Import[]
  /** From now on they are another process'. */
  nextRun(): number
  /** Resolves when so many were seen in all. */
  reached(count: number): Promise<void>
}

/** Notes what goes through the proxy. */
export function seeImports(proxy: KmsProxy): ImportsSeen {
  const all: Import[] = []
  let run = 0
  let waiting: { readonly count: number; readonly resolve: () => void } | undefined
  proxy.alter("ImportKeyMaterial", (answer, request) => {
    const arn = String(request["KeyId"])
    all.push({ arn, region: parseKeyArn(arn)?.region ?? "", at: performance.now(), run })
    if (waiting !== undefined && all.length >= waiting.count) waiting.resolve()
    return answer
  })
  return {
    all,
    nextRun: () => (run += 1),
    reached: (count) => new Promise((resolve) => (waiting = { count, resolve })),
  }
}

/** Requests in less time than this tell nothing of a pace. */
const TOO_SHORT_MS = 1000

/**
 * The share of a quota that was used: of each Region and process the requests after the first, by the time from the first to
 * the last. What a process sends at once at its beginning is left out, and so is the time between two processes.
 *
 * @returns in words
 */
export function shareOfQuota(imports: readonly Import[], { quota, atOnce }: { quota: number; atOnce: number }): string {
  let [requests, seconds] = [0, 0]
  const runs = new Set(imports.map(({ run }) => run))
  for (const run of runs) {
    for (const region of REGIONS) {
      const times = imports.filter((seen) => seen.run === run && seen.region === region).map(({ at }) => at)
      const [first, last] = [times[atOnce], times.at(-1)]
      if (first === undefined || last === undefined || last - first < TOO_SHORT_MS) continue
      requests += times.length - atOnce - 1
      seconds += (last - first) / 1000
    }
  }
  if (seconds === 0) return "too few imports at a time to tell the share of the quota"
  return `${((100 * requests) / seconds / quota).toFixed(1)} % of the quota in ${seconds.toFixed(1)} s of one Region`
}
