import type { Renewal, Span } from "./key-settings.js"

/** Part of a life that `renewBefore` can take at most: with all of it a key would be imported again at every run. */
export const LONGEST_LEAD = 0.9
/** Part of the time from an import to the bound of the next that the spread can take at most. */
const LONGEST_SPREAD = 0.5

/** Milliseconds from an import to the latest moment for the next. */
export function boundMs(lifeMs: number, { renewBefore }: Renewal): number {
  return lifeMs - Math.min(spanMs(lifeMs, renewBefore), lifeMs * LONGEST_LEAD)
}

/** Milliseconds before that moment over which keys come due. */
export function spreadMs(lifeMs: number, renewal: Renewal): number {
  const bound = boundMs(lifeMs, renewal)
  return Math.min(spanMs(bound, renewal.renewSpread), bound * LONGEST_SPREAD)
}

/** Whether the spread of such a life is cut. */
export function isSpreadTooLong(lifeMs: number, renewal: Renewal): boolean {
  const bound = boundMs(lifeMs, renewal)
  return Number.isFinite(bound) && spanMs(bound, renewal.renewSpread) > bound * LONGEST_SPREAD
}

/** Milliseconds; a percentage is of `wholeMs`. */
export function spanMs(wholeMs: number, span: Span): number {
  return span.kind === "duration" ? span.seconds * 1000 : (wholeMs * span.percent) / 100
}
