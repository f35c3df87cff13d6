import { html } from "hono/html"

/** A piece of a page, in which all that is text is escaped. */
export type Markup = ReturnType<typeof html>

/** `2026-11-28`. */
export const day = (time: number): string => new Date(time).toISOString().slice(0, 10)

/** `2026-11-28 19:00 UTC`. */
export function moment(time: number): Markup {
  const text = new Date(time).toISOString()
  return html`<time datetime="${text.slice(0, 19)}Z">${text.slice(0, 10)} ${text.slice(11, 16)} UTC</time>`
}

const DAY_MS = 86_400_000

/** `in 12 days`, `within a day`, `3 days ago`. */
export function fromNow(time: number, now: number): string {
  const days = Math.floor((time - now) / DAY_MS)
  if (days === 0) return "within a day"
  const count = Math.abs(days)
  const words = `${count} ${count === 1 ? "day" : "days"}`
  return days > 0 ? `in ${words}` : `${words} ago`
}

/** A message, whose times do not break over lines. */
export function message(text: string): Markup {
  // with a group, split keeps what it splits at: every second piece
  const pieces = text.split(/(\d{4}-\d\d-\d\dT[\d:.]+Z)/)
  return html`${pieces.map((piece, index) => (index % 2 === 0 ? piece : html`<span class="date">${piece}</span>`))}`
}
