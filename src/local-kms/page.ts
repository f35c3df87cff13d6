import { documented } from "./refusal.js"
import { text, whole } from "./request.js"

/** The members by which a list is read in pieces. */
export const pageFields = (max: number) => ({ Limit: whole(1, max), Marker: text({ max: 1024 }) })

interface PageRequest {
  readonly Limit: number | undefined
  readonly Marker: string | undefined
}

interface Page<T> {
  readonly items: readonly T[]
  readonly answer: { readonly Truncated: boolean; readonly NextMarker?: string }
}

/** One piece of a list, and what the answer says of the rest. A marker names the last item of the piece before. */
export function pageOf<T>(
  items: readonly T[],
  nameOf: (item: T) => string,
  request: PageRequest,
  defaultLimit: number,
): Page<T> {
  const start = request.Marker === undefined ? 0 : indexAfter(items.map(nameOf), request.Marker)
  const end = start + (request.Limit ?? defaultLimit)
  const last = items[end - 1]
  const piece = items.slice(start, end)
  if (end >= items.length || last === undefined) return { items: piece, answer: { Truncated: false } }
  const NextMarker = Buffer.from(`after:${nameOf(last)}`).toString("base64url")
  return { items: piece, answer: { Truncated: true, NextMarker } }
}

/** The list is in the order of its names, so a marker works even when its item is gone. */
function indexAfter(names: readonly string[], marker: string): number {
  const read = Buffer.from(marker, "base64url").toString()
  if (!read.startsWith("after:")) throw documented.marker()
  const last = read.slice("after:".length)
  const at = names.findIndex((name) => name > last)
  return at === -1 ? names.length : at
}

export const byName = <T>(items: Iterable<T>, nameOf: (item: T) => string): T[] =>
  [...items].sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1))
