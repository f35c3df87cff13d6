import { rfc3339 } from "../base/expiry.js"

/** How long an unattended run leaves a key alone that has failed; all times are KMS' of the key's target. */
export interface Backoff {
  readonly name: string
  readonly target: string
  /** Whether another KMS key has taken its place. */
  readonly replaced: boolean
  /** In a row, from the first on. */
  readonly failures: number
  /** RFC 3339 UTC: of the first failure, and from when it is tried again. */
  readonly since: string
  readonly retryAt: string
  /** Reason of the last failed row, and its message. */
  readonly reason: string
  readonly message: string
}

const HOUR_MS = 3_600_000
const LONGEST_MS = 24 * HOUR_MS
/** A key that is about to die is not tried more often than that. */
const SHORTEST_MS = 60_000
/** Of what the key has left to live no more passes before it is tried again. */
const SHARE_OF_LIFE = 4

interface Failure {
  readonly name: string
  readonly target: string
  readonly replaced: boolean
  readonly reason: string
  readonly message: string
  readonly now: Date
  /** When its first material ends; null for never, or where it is not known. */
  readonly end: Date | null
}

/** The backoff after one failure more: an hour, doubling, at most a day, and never more than a quarter of what is left to live. */
export function backoffAfter(previous: Backoff | undefined, failure: Failure): Backoff {
  const { name, target, replaced, reason, message, now, end } = failure
  const failures = (previous?.failures ?? 0) + 1
  const doubled = Math.min(HOUR_MS * 2 ** Math.min(failures - 1, 10), LONGEST_MS)
  const remainingMs = end === null ? Infinity : end.getTime() - now.getTime()
  // a dead key cannot die again: it is tried as often as any other
  const bound = remainingMs > 0 ? remainingMs / SHARE_OF_LIFE : Infinity
  const wait = Math.max(Math.min(doubled, bound), SHORTEST_MS)
  return {
    name,
    target,
    replaced,
    failures,
    since: previous?.since ?? rfc3339(now),
    retryAt: rfc3339(new Date(now.getTime() + wait)),
    reason,
    message,
  }
}

/** Whether the key is to be left alone now. A clock that was set back does not prolong it beyond a day. */
export function isWaiting({ retryAt }: Pick<Backoff, "retryAt">, now: Date): boolean {
  const remainingMs = Date.parse(retryAt) - now.getTime()
  return remainingMs > 0 && remainingMs <= LONGEST_MS
}
