import { parseKeyArn } from "../key/key-arn.js"
import { estimate, PACE, quotaFor, type Quotas } from "./schedule.js"

/** One import, by where it goes. */
interface PlacedImport {
  readonly region: string
  readonly keyArn: string
}

/** The imports of one key, and what they ask of KMS. */
export interface KeyImports {
  readonly imports: readonly PlacedImport[]
  /** Requests of all its imports by operation. */
  readonly costs: Readonly<Record<string, number>>
  /** Overrides of AWS' quotas. */
  readonly quotas: Quotas | undefined
}

/** What one account is asked for in one Region: quotas are an account's in a Region, whatever targets lead there. */
export interface QuotaPlace {
  /** 12 digits; empty where no key is made yet. */
  readonly account: string
  readonly region: string
  readonly requests: Map<string, number>
  readonly quotas: Record<string, number>
}

/** Each account and Region that has an import. */
export function placesOf(keys: readonly KeyImports[]): readonly QuotaPlace[] {
  const places = new Map<string, QuotaPlace>()
  for (const { imports, costs, quotas } of keys) {
    for (const { keyArn, region } of imports) {
      const account = parseKeyArn(keyArn)?.account ?? ""
      const name = `${account} ${region}`
      const place = places.get(name) ?? { account, region, requests: new Map<string, number>(), quotas: {} }
      places.set(name, place)
      for (const [operation, count] of Object.entries(costs)) {
        place.requests.set(operation, (place.requests.get(operation) ?? 0) + count / imports.length)
      }
      // where two targets of one account give different quotas, the smaller one is true
      for (const [operation, quota] of Object.entries(quotas ?? {})) {
        place.quotas[operation] = Math.min(place.quotas[operation] ?? Infinity, quota)
      }
    }
  }
  return [...places.values()]
}

/** Seconds that all its requests take at its quotas. */
export const secondsOf = ({ requests, quotas }: QuotaPlace): number => estimate(Object.fromEntries(requests), quotas)

/** Every import takes one of each. */
const OF_EVERY_IMPORT = ["GetParametersForImport", "ImportKeyMaterial"] as const

/** The scarcest of the operations of an import, and its quota in requests a second. */
export function scarcestOf({ quotas }: QuotaPlace): { readonly operation: string; readonly perSecond: number } {
  const [parameters, material] = OF_EVERY_IMPORT.map((operation) => ({
    operation,
    perSecond: quotaFor(operation, quotas) ?? Infinity,
  })) as [Scarce, Scarce]
  return material.perSecond < parameters.perSecond ? material : parameters
}

type Scarce = ReturnType<typeof scarcestOf>

/** Imports a second in one place, at keyferry's pace. */
export const rateOf = (place: QuotaPlace): number => PACE * scarcestOf(place).perSecond
