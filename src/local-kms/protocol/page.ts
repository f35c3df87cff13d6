import { documented } from "./refusal.js"
import { text, wholeNumber } from "./request.js"

/** The members by which a list is read in pieces. */
export const pageFields = (max: number) => ({ Limit: wholeNumber(1, max), Marker: text({ max: 1024 }) })

interface PageRequest {
  readonly Limit: number | undefined
  readonly Marker: string | undefined
}

interface Page<T> {
  readonly items: readonly T[]
  readonly answer: { readonly Truncated: boolean; readonly NextMarker?: string }
}

/** The items in the order of their names, from after a name on. */
type Source<T> = (name?: string) => Iterable<T>

/** One piece of a list, and what the answer says of the rest. A marker names the last item of the piece before. */
export function pageOf<T>(
  source: Source<T>,
  nameOf: (item: T) => string,
  request: PageRequest,
  defaultLimit: number,
): Page<T> {
  const limit = request.Limit ?? defaultLimit
  const items: T[] = []
  // the order is that of the names, so a marker works even when its item is gone
  for (const item of source(request.Marker === undefined ? undefined : readMarker(request.Marker))) {
    const last = items.at(-1)
    if (items.length === limit && last !== undefined) {
      const NextMarker = Buffer.from(`after:${nameOf(last)}`).toString("base64url")
      return { items, answer: { Truncated: true, NextMarker } }
    }
    items.push(item)
  }
  return { items, answer: { Truncated: false } }
}

function readMarker(marker: string): string {
  const read = Buffer.from(marker, "base64url").toString()
  if (!read.startsWith("after:")) throw documented.marker()
  return read.slice("after:".length)
}

/** A source over a list that is in order already. */
export const sourceOf =
  <T>(items: readonly T[], nameOf: (item: T) => string): Source<T> =>
  (name) =>
    name === undefined ? items : items.filter((item) => nameOf(item) > name)

/** Those that have been there for as long as lists lag behind. */
export function* settled<T extends { readonly createdAt: number }>(
  items: Iterable<T>,
  lag: number,
  now: number,
): Generator<T, void> {
  for (const item of items) if (lag === 0 || item.createdAt + lag <= now) yield item
}

export const byName = <T>(items: Iterable<T>, nameOf: (item: T) => string): T[] =>
  [...items].sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1))
