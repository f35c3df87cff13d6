import { printable } from "../../core/base/printable.js"
import { type KeyRow, type RowSummary, summarise } from "../../core/plan/row.js"
import { table } from "./table.js"

/** The rows of a command over many keys, for people: the same facts in the same places, whatever the command. */

/** A column that a command has of its own; null shows as a dash. */
export interface Column<R> {
  readonly head: string
  readonly cell: (row: R) => string | number | null
}

interface Words<R> {
  /** Between the outcome and what is said of it. */
  readonly columns: readonly Column<R>[]
  /** Said where there are no rows. */
  readonly none: string
  readonly what?: (row: R) => string
  /** Lines after the table; without it those of `problemsOf`. */
  readonly notes?: (row: R) => readonly string[]
}

/** A row for each key, then what to know of single ones, then the count. */
export function rowsText<R extends KeyRow>(rows: readonly R[], words: Words<R>): string {
  if (rows.length === 0) return words.none
  const { columns, what = whatOf, notes = problemsOf } = words
  return [rowsTable(rows, columns, what), ...rows.flatMap(notes).map(printable), summaryText(summarise(rows))].join(
    "\n",
  )
}

/** Target and KMS key are left out where no row has one. */
function rowsTable<R extends KeyRow>(
  rows: readonly R[],
  ownColumns: readonly Column<R>[],
  remark: (row: R) => string,
): string {
  const columns: readonly Column<R>[] = [
    { head: "NAME", cell: nameOf },
    ...(rows.some(({ target }) => target !== null) ? [{ head: "TARGET", cell: ({ target }: R) => target }] : []),
    { head: "OUTCOME", cell: ({ outcome }) => outcome },
    ...ownColumns,
    { head: "WHAT", cell: remark },
    ...(rows.some(({ keyArn }) => keyArn !== null) ? [{ head: "KMS KEY", cell: ({ keyArn }: R) => keyArn }] : []),
  ]
  return table(
    columns.map(({ head }) => head),
    rows.map((row) => columns.map(({ cell }) => cell(row))),
  )
}

export function nameOf({ name, replaced }: KeyRow): string {
  return replaced ? `${name} (replaced)` : name
}

export function whatOf({ message, reason }: KeyRow): string {
  return `${message} [${reason}]`
}

/** Causes, and the hint where the operator has to do something, each with the name of its key. */
export function problemsOf(row: KeyRow): readonly string[] {
  const key = keyPrefix(row)
  const isStuck = row.outcome === "blocked" || row.outcome === "failed"
  return [
    ...row.causes.map(({ code, message }) => `${key}: ${code}: ${message}`),
    ...(isStuck && row.hint !== null ? [`${key}: hint: ${row.hint}`] : []),
  ]
}

/** `payments (prod-eu)`, before what is said of one key. */
export function keyPrefix(row: KeyRow): string {
  return row.target === null ? nameOf(row) : `${nameOf(row)} (${row.target})`
}

/** `3 keys: 2 done, 1 failed` */
export function summaryText({ keys, ...counts }: RowSummary): string {
  const parts = Object.entries(counts).flatMap(([outcome, count]) => (count === 0 ? [] : [`${count} ${outcome}`]))
  return `${keys} ${keys === 1 ? "key" : "keys"}: ${parts.join(", ")}`
}
