import type { FleetCost } from "../../core/plan/fleet-cost.js"
import type { QuotaLoad } from "../../core/plan/quota-load.js"
import { timeText } from "./decision-text.js"

const GROUPED = new Intl.NumberFormat("en-US")
const CENTS = new Intl.NumberFormat("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 })

/** What AWS charges for the keys; nothing where there are none. */
export function costText({
  kmsKeys,
  keysPerMonth,
  requests,
  requestsPerMonth,
  pricesOf,
}: FleetCost): readonly string[] {
  if (kmsKeys === 0) return []
  return [
    `a month costs USD ${CENTS.format(keysPerMonth)} for ${GROUPED.format(kmsKeys)} KMS ${kmsKeys === 1 ? "key" : "keys"} and ` +
      `USD ${CENTS.format(requestsPerMonth)} for ${GROUPED.format(requests)} requests (list price of ${pricesOf}, without tax)`,
  ]
}

/** When the quota binds, in the account and Region where that is soonest. */
export function quotaText([load]: readonly QuotaLoad[]): readonly string[] {
  if (load === undefined) return []
  const { operation, perSecond, region, imports, seconds, busiestDay, importsPerDay } = load
  const busiest =
    busiestDay === null ? "" : `; most of them fall due on ${busiestDay.day}: ${GROUPED.format(busiestDay.imports)}`
  return [
    `${operation}, ${perSecond} a second in ${region}, binds above ${GROUPED.format(importsPerDay)} imports a day; ` +
      `all ${GROUPED.format(imports)} again take ${timeText(seconds)}${busiest}`,
  ]
}
