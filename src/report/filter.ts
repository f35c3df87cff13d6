import { ORDER, type ReportRow } from "./fleet-report.js"

/** What a page shows of the fleet, as its address says it. */
export interface Filter {
  /** Part of a name; in lower case. */
  readonly name: string
  readonly target: string
  /** A word of ORDER. */
  readonly state: string
  readonly reason: string
  /** Monday of the week in which its first material ends: `2026-11-30`. */
  readonly week: string
  /** From 1 on. */
  readonly page: number
}

export const EVERYTHING: Filter = { name: "", target: "", state: "", reason: "", week: "", page: 1 }

/** Rows of one page. */
export const PAGE_ROWS = 100

/** What is not understood counts as not said: a page is no place for refusals. */
export function filterOf(query: (name: string) => string | undefined): Filter {
  const text = (name: string): string => (query(name) ?? "").slice(0, 200)
  const state = text("state")
  const week = text("week")
  const page = Number(text("page"))
  return {
    name: text("name").toLowerCase(),
    target: text("target"),
    state: (ORDER as readonly string[]).includes(state) ? state : "",
    reason: text("reason"),
    week: /^\d{4}-\d\d-\d\d$/.test(week) ? week : "",
    page: Number.isSafeInteger(page) && page > 0 ? page : 1,
  }
}

/** The query of an address, without what says nothing: `?state=dead`, or nothing. */
export function queryOf(filter: Filter): string {
  const parts = Object.entries(filter).flatMap(([name, value]) =>
    value === "" || (name === "page" && value === 1) ? [] : [[name, String(value)] as [string, string]],
  )
  return parts.length === 0 ? "" : `?${new URLSearchParams(parts).toString()}`
}

export function filtered(rows: readonly ReportRow[], filter: Filter): readonly ReportRow[] {
  const { name, target, state, reason, week } = filter
  return rows.filter(
    ({ key, urgency, findings, end }) =>
      (name === "" || key.name.toLowerCase().includes(name)) &&
      (target === "" || key.target === target) &&
      (state === "" || urgency === state) &&
      (reason === "" || key.reason === reason || findings.some(({ id }) => id === reason)) &&
      (week === "" || (end !== null && weekOf(end) === week)),
  )
}

const DAY_MS = 86_400_000

/** The Monday before a time, or the day itself, in UTC: `2026-11-30`. */
export function weekOf(time: number): string {
  const day = Math.floor(time / DAY_MS)
  // 1970-01-01 was a Thursday
  const monday = day - ((((day + 3) % 7) + 7) % 7)
  return new Date(monday * DAY_MS).toISOString().slice(0, 10)
}
