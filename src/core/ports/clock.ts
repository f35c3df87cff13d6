/**
 * The time by which everything is decided (invariant I11): KMS' own, as the Date of its answers told it in this run; the
 * host's before the first answer, and where there is no KMS.
 */
export interface Clock {
  now(): Date
  /** By how many milliseconds KMS' clock is ahead of the host's, negative where it is behind; null before its first answer. */
  kmsOffsetMs(): number | null
}
