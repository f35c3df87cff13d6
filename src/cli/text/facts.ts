import { printable } from "../../core/base/printable.js"
import { type Layout, PLAIN } from "./layout.js"
import { widthOf, wrapped } from "./width.js"

/**
 * Lays out `name  value` lines; null shows as a dash. On a terminal a value that does not fit goes on below itself, and one
 * with a word that has no room there, such as an ARN, stands below its name.
 */
export function facts(
  rows: readonly (readonly [string, string | number | null])[],
  { width, wide }: Omit<Layout, "quiet"> = PLAIN,
): string {
  const indent = Math.max(...rows.map(([name]) => name.length)) + 2
  const columns = wide ? undefined : width
  return rows.map(([name, value]) => fact(name, printable(String(value ?? "-")), { indent, columns })).join("\n")
}

interface Room {
  readonly indent: number
  readonly columns: number | undefined
}

function fact(name: string, value: string, { indent, columns }: Room): string {
  const longest = Math.max(...value.split(" ").map(widthOf))
  if (columns !== undefined && indent + longest > columns) return `${name}\n${wrapped(`  ${value}`, columns)}`
  return wrapped(name.padEnd(indent) + value, columns, indent)
}
