import { type KeyRow, summarise } from "../../core/plan/row.js"
import type { Layout } from "./layout.js"
import { type Note, notesText } from "./notes.js"
import { keyPrefix, nameOf, whatOf } from "./row-words.js"
import { table } from "./table.js"
import { URGENCIES, type Urgency, urgencyOf } from "../../core/plan/urgency.js"
import { countText, overview, type Steps } from "./urgency.js"
import { wrapped } from "./width.js"

/** The rows of a command over many keys, for people: the same facts in the same places, whatever the command. */

/** A column that a command has of its own; null shows as a dash. */
export interface Column<R> {
  readonly head: string
  readonly cell: (row: R, layout: Layout) => string | number | null
  /** Left out unless every column is asked for. */
  readonly onlyWide?: boolean
}

interface Words<R> {
  /** Between the outcome and what is said of it. */
  readonly columns: readonly Column<R>[]
  /** Said where there are no rows. */
  readonly none: string
  /** Left out where the columns say as much. */
  readonly withOutcome?: boolean
  readonly remark?: (row: R, layout: Layout) => string | null
  /** After the table; without it those of `problemsOf`. */
  readonly notes?: (row: R) => readonly Note[]
  readonly urgency?: (row: R) => Urgency
  /** What to do about the keys that need a person. */
  readonly steps?: Steps
}

/**
 * What needs a person first, then a row for each key in that order, then what to know of single ones, then the count.
 * Asked to be quiet: the rows with an error or a warning alone, and nothing where there is none.
 */
export function rowsText<R extends KeyRow>(rows: readonly R[], words: Words<R>, layout: Layout): string {
  const { notes = problemsOf, urgency = urgencyOf, steps = {} } = words
  if (layout.quiet)
    return notesText(
      rows.flatMap((row) => [...troubleOf(row), ...notes(row)]),
      layout,
    ).join("\n")
  if (rows.length === 0) return words.none
  const ranks = new Map(rows.map((row) => [row, URGENCIES.indexOf(urgency(row))]))
  const sorted = [...rows].sort((a, b) => (ranks.get(a) ?? 0) - (ranks.get(b) ?? 0))
  const above = overview(rows, { urgency, steps }, layout)
  return [
    ...above,
    ...(above.length === 0 ? [] : [""]),
    rowsTable(sorted, words, layout),
    ...notesText(sorted.flatMap(notes), layout),
    wrapped(summaryText(rows), layout.width),
  ].join("\n")
}

/** What of a row is an error, for who does not see the table. */
function troubleOf(row: KeyRow): readonly Note[] {
  return isStuck(row) ? [{ key: keyPrefix(row), text: whatOf(row), kind: row.reason }] : []
}

/** A terminal is not told a target that all rows share, nor the KMS key unless every column is asked for. */
function rowsTable<R extends KeyRow>(
  rows: readonly R[],
  { columns: ownColumns, withOutcome = true, remark = whatOf }: Words<R>,
  layout: Layout,
): string {
  const targets = new Set(rows.flatMap(({ target }) => target ?? []))
  const showsTarget = targets.size > (layout.wide || layout.width === undefined ? 0 : 1)
  const columns: readonly Column<R>[] = [
    { head: "NAME", cell: nameOf },
    ...(showsTarget ? [{ head: "TARGET", cell: ({ target }: R) => target }] : []),
    ...(withOutcome ? [{ head: "OUTCOME", cell: ({ outcome }: R) => outcome }] : []),
    ...ownColumns,
    { head: "REMARK", cell: remark },
    { head: "KMS KEY", cell: ({ keyArn }: R) => keyArn, onlyWide: true },
  ]
  const shown = columns.filter(({ onlyWide }) => layout.wide || onlyWide !== true)
  return table(
    shown.map(({ head }) => head),
    rows.map((row) => shown.map(({ cell }) => cell(row, layout))),
    layout,
  )
}

/** Causes, and the hint where the operator has to do something. */
export function problemsOf(row: KeyRow): readonly Note[] {
  const key = keyPrefix(row)
  return [
    ...row.causes.map(({ code, message }) => ({ key, text: `${code}: ${message}`, kind: code })),
    ...(isStuck(row) && row.hint !== null
      ? [{ key, text: `hint: ${row.hint}`, kind: `hint: ${row.hint.replaceAll(row.name, "NAME")}` }]
      : []),
  ]
}

const isStuck = ({ outcome }: KeyRow): boolean => outcome === "blocked" || outcome === "failed"

/** `3 keys: 2 done, 1 failed`; `3 keys, 9 bindings: …` where keys have several targets. */
export function summaryText(rows: readonly KeyRow[]): string {
  const counts = Object.entries(summarise(rows)).filter(([outcome, count]) => outcome !== "keys" && count > 0)
  const parts = counts.map(([outcome, count]) => `${count} ${outcome}`)
  return `${countText(rows)}: ${parts.join(", ")}`
}
