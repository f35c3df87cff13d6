import type { html } from "hono/html"

/** A piece of a page, in which all that is text is escaped. */
export type Markup = ReturnType<typeof html>

/** `2026-11-28`. */
export const day = (time: number): string => new Date(time).toISOString().slice(0, 10)

const DAY_MS = 86_400_000

/** `in 12 days`, `today`, `3 days ago`. */
export function fromNow(time: number, now: number): string {
  const days = Math.floor((time - now) / DAY_MS)
  if (days === 0) return "within a day"
  const count = Math.abs(days)
  const words = `${count} ${count === 1 ? "day" : "days"}`
  return days > 0 ? `in ${words}` : `${words} ago`
}
