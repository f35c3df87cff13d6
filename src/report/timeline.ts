import { html } from "hono/html"
import { type Filter, queryOf, weekOf } from "./filter.js"
import type { ReportRow } from "./fleet-report.js"
import { day, type Markup } from "./markup.js"

/** Pictures of when key material ends. Drawn in numbers alone: the page's style sheet has the colours. */

/** More lines are told apart by nobody: then weeks are counted. */
const MOST_LINES = 60

interface Timeline {
  readonly rows: readonly ReportRow[]
  readonly now: number
  readonly filter: Filter
  /** Address of a key's page. */
  readonly href: (row: ReportRow) => string
  /** Before the query of another filter: empty where the page has no address. */
  readonly base: string
}

export function timeline(parts: Timeline): Markup {
  const lines = parts.rows.flatMap(linesOf)
  if (lines.length === 0) return html`<p class="none">No key material here has an end.</p>`
  return lines.length <= MOST_LINES ? linesPicture(lines, parts) : weeksPicture(parts)
}

interface Line {
  readonly row: ReportRow
  readonly region: string
  readonly generation: number
  readonly start: number
  readonly end: number
  readonly state: string
}

function linesOf(row: ReportRow): readonly Line[] {
  return row.key.generations.flatMap(({ region, generation, validTo, importedAt, state }) =>
    validTo === null || importedAt === null
      ? []
      : [{ row, region, generation, start: Date.parse(importedAt), end: Date.parse(validTo), state }],
  )
}

const WIDTH = 960
const LABELS = 250
const LINE = 22
const TOP = 34

/** A bar from the last import to the end of each material, with today's line through all. */
function linesPicture(lines: readonly Line[], { now, href }: Timeline): Markup {
  const earliest = Math.min(now, ...lines.map(({ start }) => start))
  const latest = Math.max(now, ...lines.map(({ end }) => end))
  const x = (time: number): number =>
    Math.round(LABELS + ((time - earliest) / Math.max(latest - earliest, 1)) * (WIDTH - LABELS - 12))
  const height = TOP + lines.length * LINE + 8
  const sorted = [...lines].sort((a, b) => a.end - b.end)
  return html`<svg
    class="timeline"
    viewBox="0 0 ${WIDTH} ${height}"
    role="img"
    aria-label="When key material ends, the first end at the top"
  >
    ${monthsBetween(earliest, latest).map((month) => html`<line class="month" x1="${x(month)}" x2="${x(month)}" y1="20" y2="${height}"></line><text class="axis" x="${x(month) + 3}" y="14">${monthText(month)}</text>`)}
    ${sorted.map((line, index) => {
      const y = TOP + index * LINE
      const { key } = line.row
      const words = `${key.name}, ${line.region}, generation ${line.generation}: imported ${day(line.start)}, ends ${day(line.end)}${line.state === "lost" ? ", lost" : ""}`
      return html`<a href="${href(line.row)}"
        ><title>${words}</title><text class="label" x="4" y="${y + 13}">${cut(key.name, 18)}</text
        ><text class="place" x="${LABELS - 8}" y="${y + 13}" text-anchor="end">${line.region} · ${line.generation}</text
        ><rect
          class="bar ${classOf(line, now)} g${line.generation % 4}"
          x="${x(line.start)}"
          y="${y + 3}"
          width="${Math.max(x(line.end) - x(line.start), 2)}"
          height="12"
          rx="3"
        ></rect
      ></a>`
    })}
    <line class="today" x1="${x(now)}" x2="${x(now)}" y1="20" y2="${height}"></line>
    <text class="today" x="${x(now) + 3}" y="28">today</text>
  </svg>`
}

function classOf({ row, state, end }: Line, now: number): string {
  if (state === "lost" || end <= now) return "dead"
  return row.urgency === "well" ? "well" : row.urgency.replace(" ", "-")
}

const BARS = 180

/** A bar for each week, as high as the number of keys whose first material ends in it; each leads to those keys. */
function weeksPicture({ rows, now, filter, base }: Timeline): Markup {
  const ending = rows.filter(({ end }) => end !== null)
  const weeks = Map.groupBy(ending, ({ end }) => weekOf(end ?? 0))
  const thisWeek = weekOf(now)
  const names = weeksFrom([...weeks.keys(), thisWeek].sort())
  const highest = Math.max(...[...weeks.values()].map((keys) => keys.length))
  const step = (WIDTH - 20) / names.length
  return html`<svg
    class="timeline weeks"
    viewBox="0 0 ${WIDTH} ${BARS + 60}"
    role="img"
    aria-label="How many keys have their first end in which week"
  >
    ${names.map((week, index) => {
      const keys = weeks.get(week) ?? []
      const dead = keys.filter(({ urgency }) => urgency === "dead").length
      const dying = keys.filter(
        ({ urgency }) => urgency === "dying" || urgency === "due" || urgency === "failed",
      ).length
      const x = Math.round(10 + index * step)
      const width = Math.max(Math.floor(step) - 2, 2)
      const height = (count: number): number => Math.round((count / highest) * BARS)
      const isShown = names.length <= 26 || index % Math.ceil(names.length / 26) === 0
      const label = isShown ? html`<text class="axis" x="${x}" y="${BARS + 38}">${week.slice(5)}</text>` : ""
      const thisWeekMark =
        week === thisWeek
          ? html`<rect class="this-week" x="${x - 1}" y="12" width="${width + 2}" height="${BARS + 10}"></rect
              ><text class="today" x="${x}" y="10">today</text>`
          : ""
      if (keys.length === 0) return html`${thisWeekMark}${label}`
      const words = `week of ${week}: ${keys.length} ${keys.length === 1 ? "key" : "keys"}${dead > 0 ? `, ${dead} dead` : ""}${dying > 0 ? `, ${dying} dying or due` : ""}`
      const well = keys.length - dead - dying
      const bar = (kind: string, count: number, above: number): Markup =>
        count === 0
          ? html``
          : html`<rect
              class="bar ${kind}"
              x="${x}"
              y="${20 + BARS - height(above + count)}"
              width="${width}"
              height="${Math.max(height(count), 1)}"
            ></rect>`
      return html`${thisWeekMark}<a
          href="${base}${queryOf({ ...filter, week: filter.week === week ? "" : week, page: 1 })}#keys"
          ><title>${words}</title
          >${bar("well", well, 0)}${bar("dying", dying, well)}${bar("dead", dead, well + dying)}<text
            class="count"
            x="${x + width / 2}"
            y="${16 + BARS - height(keys.length)}"
            text-anchor="middle"
            >${names.length <= 40 ? keys.length : ""}</text
          ></a
        >${label}`
    })}
  </svg>`
}

const WEEK_MS = 7 * 86_400_000

/** Every week from the first to the last; at most three years of them. */
function weeksFrom(sorted: readonly string[]): readonly string[] {
  const [earliest = "", latest = ""] = [sorted[0], sorted.at(-1)]
  const count = Math.min(Math.round((Date.parse(latest) - Date.parse(earliest)) / WEEK_MS) + 1, 160)
  return Array.from({ length: count }, (_, index) => weekOf(Date.parse(earliest) + index * WEEK_MS))
}

/** First days of months, at most a dozen of them. */
function monthsBetween(earliest: number, latest: number): readonly number[] {
  const start = new Date(earliest)
  const months: number[] = []
  for (let month = 1; ; month += 1) {
    const time = Date.UTC(start.getUTCFullYear(), start.getUTCMonth() + month, 1)
    if (time > latest) break
    months.push(time)
  }
  const every = Math.ceil(months.length / 12)
  return months.filter((_, index) => index % every === 0)
}

const monthText = (time: number): string => new Date(time).toISOString().slice(0, 7)

const cut = (text: string, length: number): string => (text.length <= length ? text : `${text.slice(0, length - 1)}…`)
