import type { KeyRow } from "../../core/plan/row.js"

/** How a row is called, and what it says. */

export function nameOf({ name, replaced }: KeyRow): string {
  return replaced ? `${name} (replaced)` : name
}

export function whatOf({ message, reason }: KeyRow): string {
  return `${message} [${reason}]`
}

/** `payments (prod-eu)`, before what is said of one key. */
export function keyPrefix(row: KeyRow): string {
  return row.target === null ? nameOf(row) : `${nameOf(row)} (${row.target})`
}
