import { html } from "hono/html"
import { regionsOf } from "./filter.js"
import { endTime, type ReportRow } from "./fleet-report.js"
import { type Kind, kindOf } from "./kind.js"
import { day, fromNow, type Markup } from "./markup.js"
import type { Material } from "./material.js"

/** How keys are in one Region. */
export interface RegionSummary {
  readonly region: string
  readonly keys: number
  readonly counts: Readonly<Record<Kind, number>>
  /** Keys that lack material here which they have elsewhere, or need it again here and were given it elsewhere. */
  readonly behind: number
  /** By how many days at most; 0 where material is only lacking. */
  readonly behindDays: number
  /** When the first material here ends that has not ended; null where none is known. ms since 1970. */
  readonly next: number | null
}

const DAY_MS = 86_400_000

/** By Region, the one that needs a person most first. @param now ms since 1970 */
export function regionSummaries(rows: readonly ReportRow[], now: number): readonly RegionSummary[] {
  const lags = lagsOf(rows)
  const tallies = new Map<string, Tally>()
  for (const row of rows) {
    for (const region of regionsOf(row)) {
      const tally = tallies.get(region) ?? {
        keys: 0,
        counts: { dead: 0, dying: 0, due: 0, unseen: 0, well: 0 },
        next: Infinity,
      }
      tally.keys += 1
      tally.counts[kindHere(row, region)] += 1
      tallies.set(region, tally)
    }
    for (const { region, end, isLost } of row.materials) {
      const tally = tallies.get(region)
      if (tally !== undefined && end !== null && end > now && !isLost) tally.next = Math.min(tally.next, end)
    }
  }
  const summaries = [...tallies].map(([region, { keys, counts, next }]): RegionSummary => {
    const lag = lags.get(region)
    return {
      region,
      keys,
      counts,
      behind: lag?.names.size ?? 0,
      behindDays: lag?.days ?? 0,
      next: next === Infinity ? null : next,
    }
  })
  const trouble = ({ counts: { dead, dying }, behind }: RegionSummary): readonly number[] => [dead, behind, dying]
  return summaries.sort((a, b) => {
    const [left, right] = [trouble(a), trouble(b)]
    const differing = left.findIndex((count, index) => count !== right[index])
    if (differing >= 0) return (right[differing] ?? 0) - (left[differing] ?? 0)
    return (a.next ?? Infinity) - (b.next ?? Infinity)
  })
}

interface Tally {
  keys: number
  readonly counts: Record<Kind, number>
  next: number
}

/** A key in several Regions may be dead in one of them, and not reached in another. */
function kindHere(row: ReportRow, region: string): Kind {
  const { keyStates } = row.key
  if (keyStates.some((view) => view.region === region && view.keyState === null)) return "unseen"
  const kind = kindOf(row)
  if (keyStates.length < 2) return kind
  if (kind === "dead")
    return row.materials.some((material) => material.region === region && material.isLost) ? "dead" : "well"
  return kind === "unseen" ? "well" : kind
}

interface Lag {
  readonly names: Set<string>
  days: number
}

interface Held extends Material {
  readonly row: ReportRow
}

/**
 * What a key holds of one generation is compared over all its targets and Regions. Those that are well may have been imported
 * at different times, as a jitter wants it: that is no lag.
 */
function lagsOf(rows: readonly ReportRow[]): ReadonlyMap<string, Lag> {
  const lags = new Map<string, Lag>()
  const named = Map.groupBy(
    rows.filter(({ key }) => !key.replaced),
    ({ key }) => key.name,
  )
  for (const [name, keys] of named) {
    if (keys.length === 1 && keys.every(({ key }) => key.keyStates.length < 2)) continue
    const regions = new Set(keys.flatMap(regionsOf))
    if (regions.size < 2) continue
    const held = keys.flatMap((row) => row.materials.map((material): Held => ({ ...material, row })))
    for (const ofGeneration of Map.groupBy(held, ({ generation }) => generation).values()) {
      for (const region of regions) {
        const days = daysBehind(ofGeneration, region)
        if (days === null) continue
        const lag = lags.get(region) ?? { names: new Set<string>(), days: 0 }
        lag.names.add(name)
        lag.days = Math.max(lag.days, days)
        lags.set(region, lag)
      }
    }
  }
  return lags
}

/** By how many days one Region is behind with one generation; 0 where it lacks the material, null where it is not behind. */
function daysBehind(ofGeneration: readonly Held[], region: string): number | null {
  const living = ofGeneration.filter(({ isLost }) => !isLost)
  const [inRegion, elsewhere] = [true, false].map((isHere) =>
    living.filter((material) => (material.region === region) === isHere),
  )
  if (inRegion === undefined || elsewhere === undefined || elsewhere.length === 0) return null
  if (inRegion.length === 0) return 0
  const latest = Math.max(...elsewhere.map(({ end }) => end ?? Infinity))
  const [earliest] = inRegion.toSorted((a, b) => (a.end ?? Infinity) - (b.end ?? Infinity))
  if (earliest?.end == null || earliest.row.urgency === "well") return null
  const days = latest === Infinity ? 0 : Math.floor((latest - earliest.end) / DAY_MS)
  return latest - earliest.end > DAY_MS ? days : null
}

interface RegionsTable {
  readonly rows: readonly ReportRow[]
  readonly now: number
  readonly regionHref: (region: string) => string
}

export function regionsTable({ rows, now, regionHref }: RegionsTable): Markup {
  const summaries = regionSummaries(rows, now)
  if (summaries.length === 0) return html`<p class="none">No Region is known yet.</p>`
  const count = (figure: number, label: string, kind = ""): Markup =>
    html`<td data-label="${label}" class="${figure === 0 ? "zero" : kind}">${figure}</td>`
  return html`<table class="figures stacked">
    <caption>
      The one that needs most stands first. Behind: a key lacks material there which it has elsewhere, or was imported
      again elsewhere and not there.
    </caption>
    <thead>
      <tr>
        <th scope="col">Region</th>
        <th scope="col">keys</th>
        <th scope="col">dead</th>
        <th scope="col">dying or failed</th>
        <th scope="col">due or blocked</th>
        <th scope="col">not reached</th>
        <th scope="col">behind other Regions</th>
        <th scope="col">next end</th>
      </tr>
    </thead>
    <tbody>
      ${summaries.map(
        ({ region, keys, counts, behind, behindDays, next }) =>
          html`<tr>
            <th scope="row"><a href="${regionHref(region)}">${region}</a></th>
            ${count(keys, "keys")} ${count(counts.dead, "dead", "bad")} ${count(counts.dying, "dying or failed", "bad")}
            ${count(counts.due, "due or blocked", "some")} ${count(counts.unseen, "not reached", "some")}
            <td data-label="behind other Regions" class="${behind === 0 ? "zero" : "bad"}">
              ${behind}${behindDays === 0 ? "" : html` <span class="of">by up to ${behindDays} days</span>`}
            </td>
            <td data-label="next end" class="date">
              ${next === null ? html`<span class="of">none known</span>` : html`${day(next)} <span class="of">${fromNow(next, now)}</span>`}
            </td>
          </tr>`,
      )}
    </tbody>
  </table>`
}

/** The first material to end of those that KMS has: which key, where and when; null where none has an end. */
export function firstToEnd(rows: readonly ReportRow[], now: number): ReportRow | null {
  const ahead = rows.filter((row) => row.urgency !== "dead" && endTime(row) !== Infinity && endTime(row) > now)
  return ahead.length === 0 ? null : ahead.reduce((a, b) => (endTime(b) < endTime(a) ? b : a))
}
