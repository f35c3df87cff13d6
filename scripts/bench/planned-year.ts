import { DEFAULT_SETTINGS } from "#src/core/manifest/key-settings.js"
import { parseDuration } from "#src/core/base/expiry.js"
import { jitterOf, renewalAt } from "#src/core/plan/due.js"
import { DEFAULT_QUOTAS, PACE } from "#src/core/plan/schedule.js"

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const LIFE_MS = (parseDuration("90d") ?? 0) * 1000
/** In ms: each import has its own GetParametersForImport, the scarcest of its requests. */
const EVERY_MS = 1000 / (DEFAULT_QUOTAS.GetParametersForImport * PACE)

/** What comes due in a year of a fleet whose keys were all made as fast as the quota lets them. */
export interface PlannedYear {
  readonly imports: number
  /** Requests a second that come due in the busiest minute, hour and day. */
  readonly perMinute: number
  readonly perHour: number
  readonly perDay: number
}

/**
 * Keys of 90 days and the settings that a configuration file has without saying, in one account and Region. A plan a day
 * finds what is due, which is imported at the quota's pace; from then its next life counts.
 */
export function plannedYear({ keys, days }: { readonly keys: number; readonly days: number }): PlannedYear {
  const due = Array.from({ length: keys }, (_, index) => dueAfter(index, index * EVERY_MS))
  const counts = { minute: new Map<number, number>(), hour: new Map<number, number>(), day: new Map<number, number>() }
  const count = (moment: number): void => {
    for (const [window, ms] of [
      ["minute", 60_000],
      ["hour", HOUR_MS],
      ["day", DAY_MS],
    ] as const) {
      const place = Math.floor(moment / ms)
      counts[window].set(place, (counts[window].get(place) ?? 0) + 1)
    }
  }
  let [imports, free] = [0, keys * EVERY_MS]
  for (let plan = DAY_MS; plan <= days * DAY_MS; plan += DAY_MS) {
    const found: { readonly index: number; readonly moment: number }[] = []
    for (const [index, moment] of due.entries()) if (moment <= plan) found.push({ index, moment })
    for (const { index, moment } of found.sort((a, b) => a.moment - b.moment)) {
      count(moment)
      free = Math.max(free, plan) + EVERY_MS
      due[index] = dueAfter(index, free)
      imports += 1
    }
  }
  const most = (window: ReadonlyMap<number, number>, ms: number): number => (Math.max(...window.values()) * 1000) / ms
  return {
    imports,
    perMinute: most(counts.minute, 60_000),
    perHour: most(counts.hour, HOUR_MS),
    perDay: most(counts.day, DAY_MS),
  }
}

function dueAfter(index: number, importedMs: number): number {
  const life = { importedAt: new Date(importedMs), validTo: new Date(importedMs + LIFE_MS) }
  return renewalAt(life, DEFAULT_SETTINGS, jitterOf({ name: `key-${index}`, target: "here" })).getTime()
}
