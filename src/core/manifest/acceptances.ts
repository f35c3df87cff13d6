import { instantSeconds } from "../base/expiry.js"

/** Findings of `check` that are known and taken as they are: `REASON:NAME`, and the last day of it or a time. */
export type Acceptances = Readonly<Record<string, string>>

/** REASON as `check` names it, and the name of a key, of a target, or of what else is found at fault. */
export const ACCEPTANCE = /^[A-Z][A-Z0-9_]*:\S+$/
const DAY = /^\d{4}-\d\d-\d\d$/
const DAY_MS = 86_400_000

/** The end of an acceptance: that of the day (UTC), or a time with its zone; undefined for anything else. */
export function acceptanceEnd(text: string): Date | undefined {
  const isDay = DAY.test(text)
  const seconds = instantSeconds(isDay ? `${text}T00:00:00Z` : text)
  return Number.isNaN(seconds) ? undefined : new Date(seconds * 1000 + (isDay ? DAY_MS : 0))
}
