/** How long the agent waits after a round that token or KMS kept from its work, in ms: a minute, doubling, at most an hour. */
const FIRST_MS = 60_000
const LONGEST_MS = 3_600_000

/** @param rounds that went so, in a row, from 1 on */
export function waitAfterTrouble(rounds: number): number {
  return Math.min(FIRST_MS * 2 ** Math.min(rounds - 1, 10), LONGEST_MS)
}
