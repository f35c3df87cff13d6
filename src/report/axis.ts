import { html } from "hono/html"
import type { Markup } from "./markup.js"

/** Time from left to right, in percent of a picture's width: it is drawn as wide as the screen is. */
export interface Axis {
  /** ms since 1970. */
  readonly from: number
  readonly to: number
  /** Of a time within it: `41.27%`. */
  readonly at: (time: number) => string
  /** Of a span within it. */
  readonly length: (from: number, to: number) => string
}

export function axisOf(times: readonly number[]): Axis {
  const [from, to] = [Math.min(...times), Math.max(...times)]
  const span = Math.max(to - from, 1)
  const percent = (part: number): string => `${((part / span) * 100).toFixed(2)}%`
  return {
    from,
    to,
    at: (time) => percent(time - from),
    length: (start, end) => percent(Math.max(end - start, span / 400)),
  }
}

/** First days of months, at most seven of them. */
export function monthsOf({ from, to }: Axis): readonly number[] {
  const start = new Date(from)
  const months: number[] = []
  for (let month = 1; ; month += 1) {
    const time = Date.UTC(start.getUTCFullYear(), start.getUTCMonth() + month, 1)
    if (time > to) break
    months.push(time)
  }
  const every = Math.ceil(months.length / 7)
  return months.filter((_, index) => index % every === 0)
}

/** Lines of months and of today, once a picture: a row of it uses the ones below its bar, and the other above. */
export function axisLines(axis: Axis, now: number): Markup {
  const line = (kind: string, time: number): Markup =>
    html`<line class="${kind}" x1="${axis.at(time)}" x2="${axis.at(time)}" y1="0" y2="100%"></line>`
  return html`<g id="axis-months">${monthsOf(axis).map((month) => line("month", month))}</g
    ><g id="axis-today">${line("today", now)}</g>`
}
