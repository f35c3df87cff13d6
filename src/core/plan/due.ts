import { createHash } from "node:crypto"
import type { RenewBefore } from "../manifest/key-settings.js"

/** Part of the time between import and the latest moment for the next, over which keys are spread. */
export const SPREAD = 0.1
/** Part of a life that `renewBefore` can take at most: with all of it a key would be imported again at every run. */
const LONGEST_LEAD = 0.9

export interface Life {
  readonly importedAt: Date
  readonly validTo: Date
}

/** The key's own place in the spread: 0 to 1, the same at every run, from name and target alone. */
export function jitterOf({ name, target }: { readonly name: string; readonly target: string }): number {
  return createHash("sha256").update(`${name}\0${target}`).digest().readUInt32BE(0) / 0x1_0000_0000
}

/**
 * From when material is due; `check-import.ts` compares it with now. The bound is its expiry less `renewBefore`; of the time from import to that
 * bound the last tenth is the spread, so that keys imported together come due apart: earlier than the bound, never later.
 */
export function renewalAt({ importedAt, validTo }: Life, renewBefore: RenewBefore, jitter: number): Date {
  const lifeMs = validTo.getTime() - importedAt.getTime()
  const untilBound = lifeMs - Math.min(leadMs(renewBefore, lifeMs), lifeMs * LONGEST_LEAD)
  return new Date(validTo.getTime() - lifeMs + untilBound * (1 - SPREAD * jitter))
}

/** Whether `renewBefore` leaves less than a tenth of a life, and is cut. */
export function renewsTooEarly(lifeMs: number, renewBefore: RenewBefore): boolean {
  return leadMs(renewBefore, lifeMs) > lifeMs * LONGEST_LEAD
}

function leadMs(renewBefore: RenewBefore, lifeMs: number): number {
  return renewBefore.kind === "duration" ? renewBefore.seconds * 1000 : (lifeMs * renewBefore.percent) / 100
}
