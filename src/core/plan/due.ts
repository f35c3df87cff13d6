import { createHash } from "node:crypto"
import type { Renewal } from "../manifest/key-settings.js"
import { boundMs, LONGEST_LEAD, spanMs, spreadMs } from "../manifest/renewal.js"

export interface Life {
  readonly importedAt: Date
  readonly validTo: Date
}

/** The key's own place in the spread: 0 to 1, the same at every run, from name and target alone. */
export function jitterOf({ name, target }: { readonly name: string; readonly target: string }): number {
  return createHash("sha256").update(`${name}\0${target}`).digest().readUInt32BE(0) / 0x1_0000_0000
}

/**
 * From when material is due; `check-import.ts` compares it with now: its expiry less `renewBefore`, less the key's place in
 * `renewSpread`, so that keys imported together come due apart: earlier than that bound, never later.
 */
export function renewalAt({ importedAt, validTo }: Life, renewal: Renewal, jitter: number): Date {
  const lifeMs = validTo.getTime() - importedAt.getTime()
  return new Date(importedAt.getTime() + boundMs(lifeMs, renewal) - spreadMs(lifeMs, renewal) * jitter)
}

/** Whether `renewBefore` leaves less than a tenth of a life, and is cut. */
export function renewsTooEarly(lifeMs: number, { renewBefore }: Renewal): boolean {
  return spanMs(lifeMs, renewBefore) > lifeMs * LONGEST_LEAD
}
