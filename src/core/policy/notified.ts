/** Of ARNs to be told those that an alarm or a rule of a Region reaches: what is in the same Region, or in none. */
export function notifiedIn(region: string, notify: readonly string[]): readonly string[] {
  return notify.filter((arn) => ["", region].includes(regionOf(arn)))
}

const regionOf = (arn: string): string => arn.split(":")[3] ?? ""
