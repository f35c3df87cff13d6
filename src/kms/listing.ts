import { KeyferryError } from "../core/base/error.js"

interface Page {
  readonly NextMarker?: string | undefined
  readonly Truncated?: boolean | undefined
}

/**
 * Pages of a List operation, fetched as they are asked for. A listing that is not whole is none: one that would go on
 * without saying where, comes to a page that was there before, or has more than `most` pages, is refused.
 *
 * @throws ERR_KMS_ANSWER
 */
export async function* paged<P extends Page>(
  { operation, most }: { readonly operation: string; readonly most: number },
  page: (marker: { Marker?: string }) => Promise<P>,
): AsyncGenerator<P> {
  const markers = new Set<string>()
  for (let marker: string | undefined; ;) {
    const answer = await page(marker === undefined ? {} : { Marker: marker })
    yield answer
    const { Truncated: truncated, NextMarker: next } = answer
    if (truncated !== true) return
    if (next === undefined) throw endless(operation, "there is more of it, and no marker says where")
    if (markers.has(next)) throw endless(operation, "the same page comes again and again")
    if (markers.size >= most) throw endless(operation, `it has more than ${most} pages`)
    markers.add(next)
    marker = next
  }
}

/**
 * Entries of a listing, each once: paging may repeat one.
 *
 * @throws ERR_KMS_ANSWER where one comes again with something else in it
 */
export class Entries<Entry> {
  readonly #operation: string
  readonly #byId = new Map<string, string>()

  constructor(operation: string) {
    this.#operation = operation
  }

  /** Whether the entry is new. */
  isNew(id: string, entry: Entry): boolean {
    const content = JSON.stringify(entry)
    const before = this.#byId.get(id)
    if (before !== undefined && before !== content) throw endless(this.#operation, "it says two things of one entry")
    this.#byId.set(id, content)
    return before === undefined
  }
}

const endless = (operation: string, why: string): KeyferryError =>
  new KeyferryError("ERR_KMS_ANSWER", `${operation}: the listing cannot be believed: ${why}`)
