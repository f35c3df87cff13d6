import { html } from "hono/html"
import { endTime, type ReportRow } from "./fleet-report.js"
import type { Markup } from "./markup.js"
import { linesOf, materialPicture } from "./material-picture.js"
import { weekPicture } from "./week-picture.js"

/** More lines are told apart by nobody: then weeks are counted. */
const MOST_LINES = 40

interface Timeline {
  readonly rows: readonly ReportRow[]
  readonly now: number
  /** Address of a key's page. */
  readonly href: (row: ReportRow) => string
  /** Address of a week's keys; null where lines are drawn however many there are. */
  readonly weekHref: ((week: string) => string) | null
}

/** A picture of when key material ends: a line for each, or weeks with counts where they are many. */
export function timeline({ rows, now, href, weekHref }: Timeline): Markup {
  const lines = rows.flatMap(linesOf)
  if (lines.length === 0) return html`<p class="none">No key material here has an end.</p>`
  if (weekHref === null || lines.length <= MOST_LINES) return materialPicture({ lines, now, href })
  return weekPicture({ rows: rows.filter((row) => endTime(row) !== Infinity), now, weekHref })
}
