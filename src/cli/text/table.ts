import { printable } from "../../core/base/printable.js"
import type { Layout } from "./layout.js"
import { cut, cutName, widthOf } from "./width.js"

const GAP = 2

type Cells = readonly (string | number | null)[]

/**
 * Lays rows out under a head in columns; null shows as a dash. On a terminal the widest cells are cut so that no line
 * is longer than it; with `wide`, or where stdout is no terminal, none is. Time grows with the rows, not with their square.
 */
export function table(head: readonly string[], rows: readonly Cells[], { width, wide }: Omit<Layout, "quiet">): string {
  const lines = [head, ...rows].map((row) => row.map((cell) => printable(String(cell ?? "-"))))
  const natural = head.map((_, column) =>
    lines.reduce((widest, line) => Math.max(widest, widthOf(line[column] ?? "")), 0),
  )
  const widths = width === undefined || wide ? natural : fitted(natural, width)
  return lines.map((line) => laidOut(line, widths)).join("\n")
}

/** As wide as a word and a day: narrower columns are cut last. */
const NARROW = 17
/** What a wide column has at least, before narrow ones are cut as well. */
const LEAST = 8

/** Widths that fit: of the widest columns first. Where there is no room for all columns, the last are left out. */
function fitted(natural: readonly number[], width: number): readonly number[] {
  let columns = natural
  while (columns.length > 1 && columns.length + GAP * (columns.length - 1) > width) columns = columns.slice(0, -1)
  const room = Math.max(1, width - GAP * (columns.length - 1))
  const wide = columns.map((_, column) => column).filter((column) => (columns[column] ?? 0) > NARROW)
  const narrow = columns.reduce((sum, column) => sum + (column > NARROW ? 0 : column), 0)
  return narrow + LEAST * wide.length > room
    ? shared(
        columns,
        columns.map((_, column) => column),
        room,
      )
    : shared(columns, wide, room - narrow)
}

/** From the narrowest on each takes what it needs, and no more than its share of what is left. */
function shared(columns: readonly number[], among: readonly number[], room: number): readonly number[] {
  const widths = [...columns]
  const byWidth = [...among].sort((a, b) => (columns[a] ?? 0) - (columns[b] ?? 0))
  let roomLeft = room
  byWidth.forEach((column, served) => {
    const width = Math.min(columns[column] ?? 0, Math.floor(roomLeft / (byWidth.length - served)))
    widths[column] = width
    roomLeft -= width
  })
  return widths
}

function laidOut(line: readonly string[], widths: readonly number[]): string {
  const cells = widths.map((width, column) => {
    const cell = (column === 0 ? cutName : cut)(line[column] ?? "", width)
    return cell + " ".repeat(Math.max(0, width - widthOf(cell)))
  })
  return cells.join(" ".repeat(GAP)).trimEnd()
}
