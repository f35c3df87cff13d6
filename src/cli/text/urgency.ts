import { printable } from "../../core/base/printable.js"
import type { KeyRow } from "../../core/plan/row.js"
import { URGENCIES, type Urgency } from "../../core/plan/urgency.js"
import type { Layout } from "./layout.js"
import { namesText } from "./notes.js"
import { keyPrefix, nameOf, whatOf } from "./row-words.js"
import { wrapped } from "./width.js"

/** Rows that a screen shows together with what is said of them: fewer need no overview. */
const FEW = 10
/** Names of keys in a line of the overview, before it counts the rest. */
const NAMED = 3

/** What to do about the keys of an urgency. */
export type Steps = Readonly<Partial<Record<Urgency, string>>>

interface Overview<R> {
  readonly urgency: (row: R) => Urgency
  readonly steps: Steps
}

/**
 * Where there are many rows: how many of each urgency there are, then for each that needs a person what to do, with names
 * of its keys, or their targets and why.
 */
export function overview<R extends KeyRow>(
  rows: readonly R[],
  { urgency, steps }: Overview<R>,
  { width, wide }: Layout,
): readonly string[] {
  const groups = URGENCIES.flatMap((word) => {
    const members = rows.filter((row) => urgency(row) === word)
    return members.length === 0 ? [] : [{ word, members }]
  })
  if (rows.length <= FEW || groups.every(({ word }) => word === "well")) return []
  const counts = groups.map(({ word, members }) => `${members.length} ${word}`).join(", ")
  const lines = groups.flatMap(({ word, members }) => {
    if (word === "well") return []
    const step = steps[word] === undefined ? "" : `: ${steps[word]}`
    if (word !== "not reached")
      return [`${word}${step}: ${namesText(members.map(keyPrefix), { all: wide, most: NAMED })}`]
    return [`${word}${step}: ${namesText(targetsOf(members), { all: wide })}: ${whyText(members)}`]
  })
  return [`${countText(rows)}: ${counts}`, ...lines].map((line) => wrapped(printable(line), width))
}

/** `prod-us (76)`: what cannot be reached is a place rather than a key. */
function targetsOf(rows: readonly KeyRow[]): readonly string[] {
  return counted(rows.map(({ target }) => target ?? "-").sort())
}

/** The cause, where it is the same for all; else each by its code. */
function whyText(rows: readonly KeyRow[]): string {
  const causes = new Set(rows.map(whatOf))
  const [cause] = causes
  if (cause !== undefined && causes.size === 1) return cause
  return counted(rows.map(({ reason }) => `[${reason}]`)).join(", ")
}

function counted(words: readonly string[]): readonly string[] {
  const counts = new Map<string, number>()
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1)
  return [...counts].map(([word, count]) => `${word} (${count})`)
}

/**
 * `3 keys`; `3 keys, 9 bindings` where keys have several targets, and `, 12 KMS keys` or `, 5 source keys` where several rows
 * are of one.
 */
export function countText(rows: readonly KeyRow[]): string {
  const names = new Set(rows.map(nameOf)).size
  const bindings = new Set(rows.map(keyPrefix)).size
  const withTarget = rows.some(({ target }) => target !== null)
  return [
    `${names} ${names === 1 ? "key" : "keys"}`,
    ...(bindings === names ? [] : [`${bindings} bindings`]),
    ...(bindings === rows.length ? [] : [`${rows.length} ${withTarget ? "KMS keys" : "source keys"}`]),
  ].join(", ")
}
