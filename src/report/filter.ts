import { endTime, ORDER, type ReportRow } from "./fleet-report.js"

/** What a page shows of the fleet, as its address says it. */
export interface Filter {
  /** Part of a name; in lower case. */
  readonly name: string
  readonly target: string
  /** A word of ORDER. */
  readonly state: string
  readonly reason: string
  /** In which it has a KMS key. */
  readonly region: string
  /** Monday of the week in which its first material ends: `2026-11-30`. */
  readonly week: string
  /** From 1 on. */
  readonly page: number
}

export const EVERYTHING: Filter = { name: "", target: "", state: "", reason: "", region: "", week: "", page: 1 }

/** Rows of one page; the keys of a week stand together, so that each is two clicks away. */
export const pageRows = ({ week }: Pick<Filter, "week">): number => (week === "" ? 100 : 1_000)

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
    region: text("region"),
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
  const { name, target, state, reason, region, week } = filter
  return rows.filter(
    (row) =>
      (name === "" || row.key.name.toLowerCase().includes(name)) &&
      (target === "" || row.key.target === target) &&
      (state === "" || row.urgency === state) &&
      (reason === "" || reasonsOf(row).includes(reason)) &&
      (region === "" || regionsOf(row).includes(region)) &&
      (week === "" || weekOfRow(row) === week),
  )
}

export const reasonsOf = ({ key, findings }: ReportRow): readonly string[] => [
  ...new Set([key.reason, ...findings.map(({ id }) => id)]),
]

export const regionsOf = ({ key, materials }: ReportRow): readonly string[] => [
  ...new Set([...key.keyStates, ...materials].map(({ region }) => region)),
]

/** In which week its first material ends; empty where no end is known. */
export function weekOfRow(row: ReportRow): string {
  const end = endTime(row)
  return end === Infinity ? "" : weekOf(end)
}

const DAY_MS = 86_400_000

/** The Monday before a time, or the day itself, in UTC: `2026-11-30`. */
export function weekOf(time: number): string {
  const day = Math.floor(time / DAY_MS)
  // 1970-01-01 was a Thursday
  const monday = day - ((((day + 3) % 7) + 7) % 7)
  return new Date(monday * DAY_MS).toISOString().slice(0, 10)
}
