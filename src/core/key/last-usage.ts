import { durationText, rfc3339 } from "../base/expiry.js"

/** What KMS says of the last cryptographic operation with a KMS key in one Region (GetKeyLastUsage). */
export interface KeyLastUsage {
  /** Null where none is known since tracking began. */
  readonly last: { readonly operation: string; readonly at: Date } | null
  /** From when on KMS knows of uses; null where it does not say. */
  readonly trackedSince: Date | null
}

/** The proof of an HMAC key uses it, at the end of each import. */
const PROOF = { operation: "VerifyMac", withinMs: 5 * 60_000 }

/** Whether a use is keyferry's own proof of one of these imports, as far as operation and time tell. */
export function isOwnProof({ last }: KeyLastUsage, importedAt: readonly string[]): boolean {
  if (last?.operation !== PROOF.operation) return false
  return importedAt.some((time) => {
    const passed = last.at.getTime() - new Date(time).getTime()
    return Math.abs(passed) <= PROOF.withinMs
  })
}

/** In words, to follow the key; null for KMS that does not tell. */
export function usageText(usage: KeyLastUsage | null): string {
  if (usage === null) return "when it was last used is not known: this KMS does not tell"
  const { last, trackedSince } = usage
  if (last !== null) return `last used on ${rfc3339(last.at)} by ${last.operation}`
  return trackedSince === null
    ? "no use of it is known"
    : `not used since ${rfc3339(trackedSince)}, when KMS began to look`
}

/** What is wrong with ending a key that was used lately; null where nothing is. `idleFor` is in seconds. */
export function usedLately(usage: KeyLastUsage | null, now: Date, idleFor: number): string | null {
  if (usage?.last == null) return null
  const passed = Math.max(0, Math.floor((now.getTime() - usage.last.at.getTime()) / 1000))
  return passed < idleFor ? `was ${usageText(usage)}, less than ${durationText(idleFor)} ago` : null
}
