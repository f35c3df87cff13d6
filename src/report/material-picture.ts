import { html } from "hono/html"
import { type Axis, axisLines, axisOf, monthsOf } from "./axis.js"
import type { ReportRow } from "./fleet-report.js"
import { bar, type Kind, kindOf, legend } from "./kind.js"
import { day, fromNow, type Markup } from "./markup.js"
import type { Material } from "./material.js"

/** Material that has a beginning and an end, of a key. Times are ms since 1970. */
export interface Line {
  readonly row: ReportRow
  readonly material: Material
  readonly from: number
  readonly to: number
}

export function linesOf(row: ReportRow): readonly Line[] {
  return row.materials.flatMap((material) =>
    material.end === null || material.importedAt === null
      ? []
      : [{ row, material, from: material.importedAt, to: material.end }],
  )
}

interface MaterialPicture {
  readonly lines: readonly Line[]
  readonly now: number
  readonly href: (row: ReportRow) => string
}

/** A table with a bar in each row, from the last import to the end of the material: the first end at the top. */
export function materialPicture({ lines, now, href }: MaterialPicture): Markup {
  const axis = axisOf([now, ...lines.flatMap(({ from, to }) => [from, to])])
  // what was deleted before its end is gone by now
  const endOf = ({ material, to }: Line): number => (material.isLost ? Math.min(to, now) : to)
  const sorted = [...lines].sort((a, b) => endOf(a) - endOf(b))
  const kinds = new Set(lines.map((line) => kindOfLine(line, now)))
  const mark = html`<li>
    <svg width="8" height="14" aria-hidden="true"><line class="due-from" x1="4" x2="4" y1="0" y2="14"></line></svg>
    imported again from here on
  </li>`
  return html`${legend(kinds, lines.some((line) => dueTime(line) !== null) ? mark : "")}
    <table class="lines">
      <thead>
        <tr>
          <th scope="col">Key</th>
          <th scope="col">Region · generation</th>
          <th scope="col">Ends</th>
          <th scope="col" class="track">${scale(axis, now)}</th>
        </tr>
      </thead>
      <tbody>
        ${sorted.map((line) => lineRow({ line, axis, now, href }))}
      </tbody>
    </table>`
}

/** The axis: months, and today. */
function scale(axis: Axis, now: number): Markup {
  const months = monthsOf(axis)
  return html`<svg class="scale" width="100%" height="34" role="img" aria-labelledby="scale-title scale-desc">
    <title id="scale-title">Time from import to end</title>
    <desc id="scale-desc">
      From ${day(axis.from)} to ${day(axis.to)}; today is ${day(now)}. The columns before say the same.
    </desc>
    ${axisLines(axis, now)}
    ${months.map((month) => html`<text class="axis" x="${axis.at(month)}" dx="3" y="11">${day(month).slice(0, 7)}</text>`)}
    <text
      class="today"
      x="${axis.at(now)}"
      dx="${now > (axis.from + axis.to) / 2 ? -4 : 4}"
      y="28"
      text-anchor="${now > (axis.from + axis.to) / 2 ? "end" : "start"}"
    >
      today
    </text>
  </svg>`
}

interface LineParts extends Omit<MaterialPicture, "lines"> {
  readonly line: Line
  readonly axis: Axis
}

function lineRow({ line, axis, now, href }: LineParts): Markup {
  const { row, material, from, to } = line
  const { region, generation, isLost, isRecorded } = material
  const kind = kindOfLine(line, now)
  const dueAt = dueTime(line)
  const due =
    dueAt === null
      ? ""
      : html`<line class="due-from" x1="${axis.at(dueAt)}" x2="${axis.at(dueAt)}" y1="1" y2="19"></line>`
  const isDeleted = isLost && to > now
  const ends = isDeleted
    ? html`deleted <span class="of">before ${day(to)}</span>`
    : html`${day(to)} <span class="of">${fromNow(to, now)}${isRecorded ? ", as recorded" : ""}</span>`
  const until = isDeleted ? now : to
  const lacking = isDeleted
    ? html`<rect class="gone" x="${axis.at(now)}" y="4" width="${axis.length(now, to)}" height="12"></rect>`
    : ""
  return html`<tr>
    <th scope="row"><a href="${href(row)}">${row.key.name}</a> <span class="of">${row.key.target}</span></th>
    <td class="of">${region} · ${generation}</td>
    <td class="date">${ends}</td>
    <td class="track">
      <svg width="100%" height="20" aria-hidden="true">
        <title>${row.key.name}, ${region}, generation ${generation}: imported ${day(from)}, ends ${day(to)}</title>
        <use href="#axis-months"></use>
        ${bar(kind, { x: axis.at(from), y: 4, width: axis.length(from, until), height: 12 })} ${lacking} ${due}
        <use href="#axis-today"></use>
      </svg>
    </td>
  </tr>`
}

/** From when on it is to be imported again, where that is to come; null where it is not known. */
function dueTime({ row, material, from, to }: Line): number | null {
  const { next } = row.key
  if (next?.action !== "rewrap" || material.isLost) return null
  const dueAt = Date.parse(next.at)
  return dueAt > from && dueAt < to ? dueAt : null
}

function kindOfLine({ row, material, to }: Line, now: number): Kind {
  if (material.isLost || (to <= now && !material.isRecorded)) return "dead"
  if (material.isRecorded) return "unseen"
  const kind = kindOf(row)
  // the key may be dead or unseen by other material than this
  return kind === "dead" || kind === "unseen" ? "well" : kind
}
