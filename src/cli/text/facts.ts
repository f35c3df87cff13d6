import { printable } from "../../core/base/printable.js"
import { type Layout, PLAIN } from "./layout.js"
import { wrapped } from "./width.js"

/** Lays out `name  value` lines; null shows as a dash. On a terminal a value that does not fit goes on below itself. */
export function facts(
  rows: readonly (readonly [string, string | number | null])[],
  { width, wide }: Omit<Layout, "quiet"> = PLAIN,
): string {
  const indent = Math.max(...rows.map(([name]) => name.length)) + 2
  return rows
    .map(([name, value]) => name.padEnd(indent) + printable(String(value ?? "-")))
    .map((line) => wrapped(line, wide ? undefined : width, indent))
    .join("\n")
}
