import stringWidth from "string-width"
import { printable } from "../../core/base/printable.js"

const GAP = "  "
const ASCII = /^[\u0020-\u007e]*$/

type Cells = readonly (string | number | null)[]

/**
 * Lays rows out under a head in columns; null shows as a dash. A terminal of `width` columns that is too narrow for the
 * widest line gets one row after the other instead, each cell on a line of its own: a table whose lines are broken
 * cannot be read. Time grows with the rows, not with their square.
 *
 * @param width columns of the terminal; undefined where stdout is none, and nothing is too wide
 */
export function table(
  head: readonly string[],
  rows: readonly Cells[],
  width: number | undefined = process.stdout.isTTY ? process.stdout.columns : undefined,
): string {
  const laid = columns(head, rows)
  const isTooWide = width !== undefined && laid.some((line) => widthOf(line) > width)
  return isTooWide ? rows.map((row) => record(head, row)).join("\n\n") : laid.join("\n")
}

/** One row: the head's words before each of its cells. */
function record(head: readonly string[], row: Cells): string {
  return columns(
    [],
    row.map((cell, column) => [head[column] ?? "", cell]),
  ).join("\n")
}

function columns(head: readonly string[], rows: readonly Cells[]): readonly string[] {
  const lines = (head.length === 0 ? rows : [head, ...rows]).map((row) =>
    row.map((cell) => printable(String(cell ?? "-"))),
  )
  const widths = (lines[0] ?? []).map((_, column) =>
    lines.reduce((widest, line) => Math.max(widest, widthOf(line[column] ?? "")), 0),
  )
  return lines.map((line) => laidOut(line, widths))
}

function laidOut(line: readonly string[], widths: readonly number[]): string {
  const padded = line.map((cell, column) => cell + " ".repeat((widths[column] ?? 0) - widthOf(cell)))
  return padded.join(GAP).trimEnd()
}

/** Columns of a terminal. */
function widthOf(text: string): number {
  return ASCII.test(text) ? text.length : stringWidth(text)
}
