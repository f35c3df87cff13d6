import type { Finding, Thresholds } from "../../core/plan/finding.js"

interface Measured {
  readonly findings: readonly Finding[]
  readonly keys: number
  /** Of each key that expires. */
  readonly secondsLeft: readonly number[]
  /** Seconds by which the host's clock is ahead of each target's. */
  readonly offsets: readonly number[]
  readonly thresholds: Thresholds
}

const DEAD: ReadonlySet<string> = new Set(["EXPIRED", "MATERIAL_DELETED"])
const SOURCES: ReadonlySet<string> = new Set(["SOURCE_MISSING", "SOURCE_DAMAGED", "SOURCE_UNUSABLE"])

/**
 * Performance data in the form of the Monitoring Plugins' guidelines: `label=value[unit];warn;crit;min`, where a range
 * `3:` is left below 3. What is accepted counts too: a graph shows what is.
 */
export function performanceData({ findings, keys, secondsLeft, offsets, thresholds }: Measured): string {
  const count = (ids: ReadonlySet<string>): number => findings.filter(({ id }) => ids.has(id)).length
  const unknown = findings.filter(({ status }) => status === "unknown").length
  const { warn, crit } = thresholds
  const furthest = offsets.reduce((most, offset) => (Math.abs(offset) > Math.abs(most) ? offset : most), 0)
  return [
    `keys=${keys};;;0`,
    `dead=${count(DEAD)};;0;0`,
    `expiring=${count(new Set(["EXPIRES_SOON"]))};;;0`,
    `lost_sources=${count(SOURCES)};;;0`,
    `unseen=${unknown};;;0`,
    ...(secondsLeft.length === 0
      ? []
      : [`first_expiry=${secondsLeft.reduce((least, seconds) => Math.min(least, seconds))}s;${warn}:;${crit}:`]),
    ...(offsets.length === 0 ? [] : [`clock_offset=${furthest}s;-60:60;-300:300`]),
  ].join(" ")
}
