import { printable } from "../../core/base/printable.js"

/** Lays out `name  value` lines; null shows as a dash. */
export function facts(rows: readonly (readonly [string, string | number | null])[]): string {
  const width = Math.max(...rows.map(([name]) => name.length))
  return rows.map(([name, value]) => `${name.padEnd(width)}  ${printable(String(value ?? "-"))}`).join("\n")
}
