import { parseDuration } from "../base/expiry.js"
import { CUSTODIES } from "../key/custody.js"
import { phaseOf } from "../key/key-state.js"
import { isAsymmetric } from "../key/key-spec.js"
import type { Binding } from "../manifest/binding.js"
import { boundMs, spreadMs } from "../manifest/renewal.js"
import type { InventoryEntry } from "../records/inventory.js"
import { importing } from "./costs.js"
import type { Snapshot } from "./snapshot.js"

/** What AWS charges for a fleet: an estimate, by which nothing is decided. */

/**
 * AWS KMS' list prices in USD, of most Regions, without tax; the 20,000 requests a month that an account has for nothing
 * are not taken off (aws.amazon.com/kms/pricing).
 */
export const PRICES = {
  asOf: "2026-06",
  /** A month, for each KMS key, a replica too. */
  key: 1,
  /** As much again for each of a key's first rotations. */
  rotationsCharged: 2,
  /** For 10,000 requests. */
  requests: 0.03,
  /** For 10,000 requests that read or use an asymmetric key other than RSA_2048. */
  asymmetricRequests: 0.15,
} as const

const DAY_MS = 86_400_000
const MONTH_MS = (365 / 12) * DAY_MS
/** What a look at a KMS key asks, as `plan` does; one a day is reckoned. */
const LOOK = ["DescribeKey", "ListResourceTags"] as const
const OF_KEY_PAIRS: ReadonlySet<string> = new Set(["GetPublicKey"])

/** One key as the plan saw it. */
type CostlyKey = Pick<Snapshot, "binding" | "entry" | "key" | "replicas">

/** USD a month. */
export interface FleetCost {
  readonly currency: "USD"
  /** Year and month of the price list. */
  readonly pricesOf: string
  /** KMS keys that are charged, replicas among them; those that the plan would make, too. */
  readonly kmsKeys: number
  readonly keysPerMonth: number
  /** A look a day at each KMS key, imports by `expiresIn` and `renewBefore`, rotations by `rotateEvery`. */
  readonly requests: number
  readonly requestsPerMonth: number
}

/** What so many KMS keys and the requests for them cost a month by {@link PRICES}. */
export function costOf(keys: readonly CostlyKey[]): FleetCost {
  const charged = keys.map((key) => ({ ...key, kmsKeys: chargedKeys(key) }))
  const requests = charged.flatMap((key) =>
    requestsPerMonth(key).map(([operation, count]) => ({
      count,
      usd: (count / 10_000) * priceOf(operation, key.binding),
    })),
  )
  const sum = (amounts: readonly number[]): number => amounts.reduce((total, amount) => total + amount, 0)
  return {
    currency: "USD",
    pricesOf: PRICES.asOf,
    kmsKeys: sum(charged.map(({ kmsKeys }) => kmsKeys)),
    keysPerMonth: sum(
      charged.map(
        ({ kmsKeys, entry }) => kmsKeys * PRICES.key * (1 + Math.min(rotationsOf(entry), PRICES.rotationsCharged)),
      ),
    ),
    requests: Math.round(sum(requests.map(({ count }) => count))),
    requestsPerMonth: Math.round(sum(requests.map(({ usd }) => usd)) * 100) / 100,
  }
}

/** KMS charges none that waits for its deletion. */
function chargedKeys({ binding, entry, key, replicas }: CostlyKey): number {
  const isDying = [key, ...replicas].map((view) => view.seen === "key" && phaseOf(view.description) === "dying")
  const keyCount = Math.max(1 + (entry?.replicas.length ?? 0), 1 + binding.replicas.length)
  return keyCount - isDying.filter(Boolean).length
}

/** Of one that is under way KMS has the material, and has not rotated to it. */
function rotationsOf(entry: InventoryEntry | null): number {
  return entry === null ? 0 : Math.max(0, entry.earlier.length - (entry.rotating ? 1 : 0))
}

function priceOf(operation: string, { keySpec }: Binding): number {
  const isDear = isAsymmetric(keySpec) && keySpec !== "RSA_2048" && OF_KEY_PAIRS.has(operation)
  return isDear ? PRICES.asymmetricRequests : PRICES.requests
}

/** Requests a month by operation: looks, rewraps and rotations. */
function requestsPerMonth({ binding, entry, kmsKeys }: CostlyKey & { readonly kmsKeys: number }) {
  const { managed, rotateEvery } = binding
  const periodMs = renewalPeriodMs(binding, entry)
  const rewraps = periodMs === null ? 0 : MONTH_MS / periodMs
  const rotations = managed && rotateEvery !== null ? MONTH_MS / (rotateEvery * 1000) : 0
  const generations = 1 + (entry?.earlier.length ?? 0)
  const imports = (rewraps * generations + rotations) * (1 + binding.replicas.length)
  return [
    ...LOOK.map((operation) => [operation, (kmsKeys * MONTH_MS) / DAY_MS] as const),
    ...Object.entries(importing(binding, imports)),
    ["RotateKeyOnDemand", rotations] as const,
  ]
}

/** Milliseconds from one import of a material to the next, in the middle of its spread; null where there is no next. */
function renewalPeriodMs(binding: Binding, entry: InventoryEntry | null): number | null {
  const lifeSeconds = parseDuration(binding.expiresIn)
  if (!binding.managed || lifeSeconds === undefined || lifeSeconds === 0) return null
  if (!CUSTODIES[entry?.custody ?? binding.custody].reimport) return null
  return boundMs(lifeSeconds * 1000, binding) - spreadMs(lifeSeconds * 1000, binding) / 2
}
