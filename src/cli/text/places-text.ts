import type { Place } from "../../host/places.js"

/** A line for each account and endpoint, with its targets: `KMS of prod-eu: account 111122223333 in aws, eu-west-3`. */
export function placesText(places: readonly Place[]): readonly string[] {
  const groups = new Map<string, Place[]>()
  // in the order of their names rather than that in which lanes happened to open them
  for (const place of [...places].sort((a, b) => (a.target < b.target ? -1 : 1))) {
    const { account, partition, endpoint } = place
    const id = JSON.stringify([account, partition, endpoint])
    groups.set(id, [...(groups.get(id) ?? []), place])
  }
  return [...groups.values()].map((group) => {
    const [place, second] = group
    if (place === undefined) return ""
    const { target, account, partition, region, endpoint } = place
    const isAlone = second === undefined
    const where = `account ${account ?? "not known"} in ${partition}${isAlone ? `, ${region}` : ""}`
    const origins = new Set(group.map(({ endpointOrigin }) => endpointOrigin ?? ""))
    const origin = origins.size === 1 ? [...origins][0] : `${origins.size} targets`
    const at = endpoint === null ? "" : `, at ${endpoint} (named by ${origin ?? ""})`
    return `KMS of ${isAlone ? target : group.map(placeName).join(", ")}: ${where}${at}`
  })
}

/** With its Region, unless its name has it already. */
function placeName({ target, region }: Place): string {
  return target.includes(region) ? target : `${target} (${region})`
}
