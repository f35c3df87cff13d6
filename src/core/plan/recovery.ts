import { rfc3339 } from "../base/expiry.js"
import type { Binding } from "../manifest/binding.js"
import { type KeyImports, placesOf, type QuotaPlace, rateOf, secondsOf } from "./quota-place.js"
import { estimate, quotaFor } from "./schedule.js"
import type { PlannedImport } from "./snapshot.js"

/** Bringing back what KMS has lost: in which order, and how long it takes. */

/** Most important first: by `priority`, 1 before 2 and none last, then by name. */
export function byImportance(a: Pick<Binding, "name" | "priority">, b: Pick<Binding, "name" | "priority">): number {
  const [rankA, rankB] = [a.priority ?? Infinity, b.priority ?? Infinity]
  if (rankA !== rankB) return rankA - rankB
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0
}

/** One quota that would have to be raised. */
export interface QuotaWish {
  readonly operation: string
  readonly account: string
  readonly region: string
  /** Requests a second as they are, and as they would have to be. */
  readonly perSecond: number
  readonly wanted: number
}

/** How long recovery takes at the quotas of KMS. */
export interface RecoveryTime {
  readonly imports: number
  /** Imports a second over all accounts and Regions, which are worked on at the same time. */
  readonly perSecond: number
  readonly seconds: number
  /** RFC 3339 UTC, were it begun now. */
  readonly finishes: string
  /** What to ask AWS for so that it takes half the time; empty where quotas do not hold it up. */
  readonly ask: readonly QuotaWish[]
}

/** What one key lost. */
export interface Recovering extends KeyImports {
  readonly imports: readonly PlannedImport[]
}

/** Reckoned as the pacing does it: quotas are an account's in a Region, whatever targets lead there. */
export function recoveryTime(keys: readonly Recovering[], now: Date): RecoveryTime {
  const places = placesOf(keys)
  const seconds = Math.max(0, ...places.map(secondsOf))
  const imports = keys.reduce((sum, key) => sum + key.imports.length, 0)
  const rates = places.map(rateOf)
  return {
    imports,
    perSecond: Math.round(rates.reduce((sum, rate) => sum + rate, 0) * 100) / 100,
    seconds: Math.ceil(seconds),
    finishes: rfc3339(new Date(now.getTime() + Math.ceil(seconds) * 1000)),
    ask: places.flatMap((place) => wishesOf(place, seconds / 2)),
  }
}

function wishesOf({ account, region, requests, quotas }: QuotaPlace, seconds: number): readonly QuotaWish[] {
  return [...requests].flatMap(([operation, count]) => {
    const perSecond = quotaFor(operation, quotas)
    if (perSecond === undefined || seconds <= 0) return []
    const takes = (quota: number): number => estimate({ [operation]: count }, { [operation]: quota })
    if (takes(perSecond) <= seconds) return []
    // with a greater quota more goes out at once: the whole number that is enough is at most twice the present one
    let halving = Math.floor(perSecond) + 1
    while (takes(halving) > seconds) halving += 1
    return [{ operation, account, region, perSecond, wanted: halving }]
  })
}
