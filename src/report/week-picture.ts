import { html } from "hono/html"
import { weekOf, weekOfRow } from "./filter.js"
import type { ReportRow } from "./fleet-report.js"
import { bar, type Kind, kindOf, KIND_WORDS, KINDS, legend } from "./kind.js"
import type { Markup } from "./markup.js"

interface WeekPicture {
  /** Each with a first end. */
  readonly rows: readonly ReportRow[]
  readonly now: number
  /** Address of a week's keys. */
  readonly weekHref: (week: string) => string
}

interface Week {
  /** Its Monday. */
  readonly name: string
  readonly keys: number
  readonly counts: ReadonlyMap<Kind, number>
}

const [TOP, BARS, BOTTOM] = [34, 170, 34] as const

/** A bar for each week, as high as the number of keys whose first material ends in it; each leads to those keys. */
export function weekPicture({ rows, now, weekHref }: WeekPicture): Markup {
  const weeks = weeksOf(rows, now)
  const outside = rows.length - weeks.reduce((sum, { keys }) => sum + keys, 0)
  const highest = Math.max(...weeks.map(({ keys }) => keys))
  const step = 100 / weeks.length
  const every = Math.ceil(weeks.length / 14)
  return html`${legend(new Set(rows.map(kindOf)))}
    <div class="scroll">
      <svg
        class="weeks${weeks.length > 30 ? " many" : ""}"
        width="100%"
        height="${TOP + BARS + BOTTOM}"
        role="group"
        aria-labelledby="weeks-title weeks-desc"
      >
        <title id="weeks-title">How many keys have their first end in which week</title>
        <desc id="weeks-desc">A bar a week leads to its keys; the table below says the same.</desc>
        ${weeks.map((week, index) => {
          const label = index % every !== 0 ? null : index % (every * 3) === 0 ? "main" : "between"
          const year = week.name.slice(0, 4)
          const newYear = weeks[index - 1]?.name.startsWith(year) === true ? "" : year
          const isNow = week.name === weekOf(now)
          return weekBar({ week, x: index * step, step, highest, isNow, href: weekHref(week.name), label, newYear })
        })}
      </svg>
    </div>
    ${outside === 0 ? "" : html`<p class="of">Not in the picture: ${outside} that ended over ${WEEKS_BEFORE} weeks ago, or end after ${WEEKS_AFTER}.</p>`}
    <details>
      <summary>The weeks as a table</summary>
      <div class="scroll">${weeksTable(weeks, weekHref)}</div>
    </details>`
}

interface WeekBar {
  readonly week: Week
  /** In percent of the picture's width, as `step` is. */
  readonly x: number
  readonly step: number
  readonly highest: number
  readonly isNow: boolean
  readonly href: string
  /** Whether its date is shown, and whether a narrow screen leaves it out. */
  readonly label: "main" | "between" | null
  /** The year, where it is the first week of one. */
  readonly newYear: string
}

function weekBar({ week, x, step, highest, isNow, href, label, newYear }: WeekBar): Markup {
  const percent = (part: number): string => `${part.toFixed(2)}%`
  const [left, width, middle] = [percent(x + step * 0.06), percent(step * 0.88), percent(x + step / 2)]
  const height = (count: number): number => Math.round((count / highest) * BARS)
  const floor = TOP + BARS
  const bars: Markup[] = []
  let above = 0
  // the worst on top
  for (const kind of KINDS.toReversed()) {
    const count = week.counts.get(kind) ?? 0
    if (count === 0) continue
    const box = { x: left, width, y: floor - height(above + count), height: Math.max(height(count), 2) }
    bars.push(bar(kind, box))
    above += count
  }
  const text = (words: string, y: number, kind: string): Markup => weekText({ words, y, kind, x, step })
  const date = html`${label === null ? "" : text(week.name.slice(5), floor + 16, label)}${newYear === "" ? "" : text(newYear, floor + 29, "main")}`
  const today = isNow
    ? html`<rect class="this-week" x="${percent(x)}" y="14" width="${percent(step)}" height="${BARS + TOP - 14}"></rect>
        <text class="today" x="${left}" y="11">this week</text>`
    : ""
  if (week.keys === 0) return html`${today}${date}`
  const words = weekWords(week)
  return html`${today}<a href="${href}"
      ><title>${words}</title
      ><rect class="reach" x="${percent(x)}" y="${TOP}" width="${percent(step)}" height="${BARS}"></rect>${bars}<text
        class="count"
        x="${middle}"
        y="${floor - height(week.keys) - 5}"
        text-anchor="middle"
      >
        ${week.keys}
      </text></a
    >${date}`
}

interface WeekText {
  readonly words: string
  readonly y: number
  /** What a narrow screen leaves out is `between`. */
  readonly kind: string
  readonly x: number
  readonly step: number
}

/** Below its bar; at the right end of the picture it ends with it. */
function weekText({ words, y, kind, x, step }: WeekText): Markup {
  const isLast = x > 88
  const place = `${(isLast ? x + step * 0.94 : x + step * 0.06).toFixed(2)}%`
  return html`<text class="axis ${kind}" x="${place}" y="${y}" text-anchor="${isLast ? "end" : "start"}"
    >${words}</text
  >`
}

function weekWords({ name, keys, counts }: Week): string {
  const parts = [...counts].map(([kind, count]) => `${count} ${KIND_WORDS[kind]}`)
  return `week of ${name}: ${keys} ${keys === 1 ? "key" : "keys"}, ${parts.join(", ")}`
}

function weeksTable(weeks: readonly Week[], weekHref: WeekPicture["weekHref"]): Markup {
  const kinds = KINDS.filter((kind) => weeks.some(({ counts }) => counts.has(kind)))
  return html`<table class="figures">
    <thead>
      <tr>
        <th scope="col">Week of</th>
        <th scope="col">Keys</th>
        ${kinds.map((kind) => html`<th scope="col">${KIND_WORDS[kind]}</th>`)}
      </tr>
    </thead>
    <tbody>
      ${weeks.map(({ name, keys, counts }) =>
        keys === 0
          ? ""
          : html`<tr>
              <th scope="row"><a href="${weekHref(name)}">${name}</a></th>
              <td>${keys}</td>
              ${kinds.map((kind) => html`<td>${counts.get(kind) ?? 0}</td>`)}
            </tr>`,
      )}
    </tbody>
  </table>`
}

const WEEK_MS = 7 * 86_400_000

/** What ended longer ago, or ends later, stands in the list of keys alone: it would leave the rest no room. */
const [WEEKS_BEFORE, WEEKS_AFTER] = [12, 160] as const

/** Every week from the first to the last, this one among them. */
function weeksOf(rows: readonly ReportRow[], now: number): readonly Week[] {
  const groups = Map.groupBy(rows, weekOfRow)
  const thisWeek = Date.parse(weekOf(now))
  const mondays = [...groups.keys()].map((name) => Date.parse(name))
  const firstWeek = Math.max(Math.min(thisWeek, ...mondays), thisWeek - WEEKS_BEFORE * WEEK_MS)
  const lastWeek = Math.min(Math.max(thisWeek, ...mondays), thisWeek + WEEKS_AFTER * WEEK_MS)
  return Array.from({ length: Math.round((lastWeek - firstWeek) / WEEK_MS) + 1 }, (_, index) => {
    const name = weekOf(firstWeek + index * WEEK_MS)
    const keys = groups.get(name) ?? []
    const byKind = Map.groupBy(keys, kindOf)
    const counts = new Map(
      KINDS.flatMap((kind) => (byKind.has(kind) ? [[kind, byKind.get(kind)?.length ?? 0] as const] : [])),
    )
    return { name, keys: keys.length, counts }
  })
}
