const GAP = "  "
/** Shown over two columns by terminals; marks that are shown over none follow. */
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/gu
const WIDTHLESS = /[\p{Mark}\u200b-\u200d\ufeff]/gu
const ASCII = /^[\u0020-\u007e]*$/

/** Lays rows out under a head in columns; null shows as a dash. Time grows with the rows, not with their square. */
export function table(head: readonly string[], rows: readonly (readonly (string | number | null)[])[]): string {
  const lines = [head, ...rows].flatMap(linesOf)
  const widths = head.map((_, column) =>
    lines.reduce((widest, line) => Math.max(widest, widthOf(line[column] ?? "")), 0),
  )
  return lines.map((line) => laidOut(line, widths)).join("\n")
}

/** The lines of a row: as many as the cell with most of them has. */
function linesOf(row: readonly (string | number | null)[]): readonly (readonly string[])[] {
  const cells = row.map((cell) => String(cell ?? "-").split("\n"))
  const height = cells.reduce((most, cell) => Math.max(most, cell.length), 1)
  return Array.from({ length: height }, (_, at) => cells.map((cell) => cell[at] ?? ""))
}

function laidOut(line: readonly string[], widths: readonly number[]): string {
  const padded = line.map((cell, column) => cell + " ".repeat((widths[column] ?? 0) - widthOf(cell)))
  return padded.join(GAP).trimEnd()
}

/** Columns of a terminal. */
function widthOf(text: string): number {
  if (ASCII.test(text)) return text.length
  return Array.from(text.replace(WIDTHLESS, "").replace(WIDE, "ww")).length
}
