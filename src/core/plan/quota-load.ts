import { CUSTODIES } from "../key/custody.js"
import { parseKeyArn } from "../key/key-arn.js"
import { generationsOf, keysOf } from "../records/inventory.js"
import { importing } from "./costs.js"
import { type KeyImports, placesOf, rateOf, scarcestOf, secondsOf } from "./quota-place.js"
import type { Quotas } from "./schedule.js"
import type { Decision, Snapshot } from "./snapshot.js"

const DAY_SECONDS = 86_400

/** One key as the plan saw it. */
export interface LoadingKey {
  readonly snapshot: Pick<Snapshot, "binding" | "entry" | "region">
  readonly decision: Pick<Decision, "action" | "next" | "imports">
  /** Overrides of AWS' quotas. */
  readonly quotas: Quotas | undefined
}

/** What one account and Region can do, and is asked for. */
export interface QuotaLoad {
  /** Null where no key is made yet. */
  readonly account: string | null
  readonly region: string
  /** The scarcest operation of an import, and its quota. */
  readonly operation: string
  readonly perSecond: number
  /** Of everything that is imported again: every generation of every key. */
  readonly imports: number
  readonly seconds: number
  /** The UTC day on which most falls due next, what is due now among the first day's; null where nothing will. */
  readonly busiestDay: { readonly day: string; readonly imports: number } | null
  /** Imports that fill a day: with more on one day the quota binds. */
  readonly importsPerDay: number
}

/** Of each account and Region that holds material which can be imported again, the one that takes longest first. */
export function quotaLoads(keys: readonly LoadingKey[], now: Date): readonly QuotaLoad[] {
  const reimported = keys.map((key) => ({ ...key, ...allImports(key) })).filter(({ imports }) => imports.length > 0)
  const days = dueByDay(reimported, now.toISOString().slice(0, 10))
  return placesOf(reimported)
    .map((place): QuotaLoad => {
      const ofPlace = [...(days.get(`${place.account} ${place.region}`) ?? [])]
      const [busiest] = ofPlace.sort(([a, countA], [b, countB]) => countB - countA || (a < b ? -1 : 1))
      return {
        account: place.account === "" ? null : place.account,
        region: place.region,
        ...scarcestOf(place),
        imports: Math.round(place.requests.get("ImportKeyMaterial") ?? 0),
        seconds: Math.ceil(secondsOf(place)),
        busiestDay: busiest === undefined ? null : { day: busiest[0], imports: busiest[1] },
        importsPerDay: Math.round(rateOf(place) * DAY_SECONDS),
      }
    })
    .sort((a, b) => b.seconds - a.seconds)
}

/** Every generation in every Region, of a key that is not made yet as well. */
function allImports({ snapshot: { binding, entry, region }, quotas }: LoadingKey): KeyImports {
  if (!binding.managed || !CUSTODIES[entry?.custody ?? binding.custody].reimport) {
    return { imports: [], costs: {}, quotas }
  }
  const existing = entry === null ? [] : keysOf(entry)
  const places =
    existing.length > 0 ? existing : [region, ...binding.replicas].map((name) => ({ region: name, keyArn: "" }))
  const generations = entry === null ? 1 : generationsOf(entry).length
  const imports = places.flatMap((place) => Array.from({ length: generations }, () => place))
  return { imports, costs: importing(binding, imports.length), quotas }
}

/** Imports that fall due next, by place and UTC day; what is due now is today's. */
function dueByDay(
  keys: readonly (LoadingKey & KeyImports)[],
  today: string,
): ReadonlyMap<string, ReadonlyMap<string, number>> {
  const places = new Map<string, Map<string, number>>()
  for (const { decision, imports } of keys) {
    const isNow = decision.action === "rewrap"
    if (!isNow && decision.next?.action !== "rewrap") continue
    const day = isNow ? today : (decision.next?.at.slice(0, 10) ?? today)
    for (const { keyArn, region } of isNow ? decision.imports : imports) {
      const place = `${parseKeyArn(keyArn)?.account ?? ""} ${region}`
      const days = places.get(place) ?? new Map<string, number>()
      places.set(place, days.set(day, (days.get(day) ?? 0) + 1))
    }
  }
  return places
}
