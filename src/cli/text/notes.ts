import { printable } from "../../core/base/printable.js"
import type { Layout } from "./layout.js"
import { wrapped } from "./width.js"

/** What is to be known of one key beside its row. */
export interface Note {
  /** Name of the key, as a person tells it from others. */
  readonly key: string
  readonly text: string
  /** Notes of the same kind differ in details that nobody reads often, such as request IDs: one stands for all. */
  readonly kind?: string
}

/** Names of keys that a note gives before it counts the rest. */
const MOST_NAMES = 4

/** Each note once, with the keys that it is for; with `wide` every note that differs, and all keys. */
export function notesText(notes: readonly Note[], layout: Layout): readonly string[] {
  const groups = new Map<string, Group>()
  for (const { key, text, kind = text } of notes) {
    const id = layout.wide ? text : kind
    const group = groups.get(id)
    if (group === undefined) groups.set(id, { text, isSame: true, keys: new Set([key]) })
    else {
      group.isSame &&= group.text === text
      group.keys.add(key)
    }
  }
  return [...groups.values()].map((group) =>
    wrapped(printable(line(group, layout)), layout.wide ? undefined : layout.width),
  )
}

interface Group {
  /** Of the first key. */
  readonly text: string
  isSame: boolean
  readonly keys: Set<string>
}

function line({ text, isSame, keys }: Group, { wide, quiet }: Layout): string {
  const names = [...keys]
  const [name = "", ...others] = names
  // who sees no table sees every name
  const all = wide || quiet
  if (others.length === 0) return `${name}: ${text}`
  if (isSame) return `${names.length} keys: ${text}; for ${namesText(names, { all })}`
  return `${name}: ${text}; likewise ${namesText(others, { all })}`
}

/** `a, b, c, d and 94 more`: one more than `most` is not worth to be counted. */
export function namesText(
  names: readonly string[],
  { all = false, most = MOST_NAMES }: { readonly all?: boolean; readonly most?: number } = {},
): string {
  const shown = all || names.length <= most + 1 ? names : names.slice(0, most)
  const rest = names.length - shown.length
  return `${shown.join(", ")}${rest === 0 ? "" : ` and ${rest} more`}`
}
