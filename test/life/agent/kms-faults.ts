import type { ServerResponse } from "node:http"
import type { Fault } from "#src/local-kms/server/faults.js"
import type { Seeded } from "../../support/seeded.js"
import { BEHIND_PROXY, type Site } from "./site.js"

const KINDS = ["internal", "throttle", "unavailable", "drop-before", "drop-after", "cut-after"] as const
const EFFECTIVE: readonly string[] = ["drop-after", "cut-after"]
/** Asked for each key in each round. */
const EACH_ROUND = ["DescribeKey", "ListResourceTags"] as const
/** Asked for when something is due. */
const WHEN_DUE = ["GetParametersForImport", "ImportKeyMaterial"] as const

const PAGE = "<html><head><title>Sign in</title></head><body>Please sign in to go on.</body></html>"
/** Of proxies that cannot reach what is asked for, are being restarted, or want a person to sign in. */
const PAGES = [502, 503, 504, 200, 403] as const

interface Drawn {
  readonly kind: string
  readonly operation: string
  /** Requests that it has spoilt. */
  readonly hits: () => number
}

/** What spoils answers of KMS, each told apart, and what it has hit. */
export class KmsFaults {
  readonly #site: Site
  readonly #chance: Seeded
  readonly #drawn: Drawn[] = []
  readonly #remaining = new Map<number, number>()

  constructor(site: Site, chance: Seeded) {
    this.#site = site
    this.#chance = chance
  }

  /**
   * Two or three kinds on one day, for one to five requests each.
   *
   * @param isWorkAhead whether keys are to be made or imported from now on
   */
  async draw({ isWorkAhead }: { readonly isWorkAhead: boolean }): Promise<void> {
    const chance = this.#chance
    for (const kind of chance.sample(KINDS, chance.between(2, 3))) {
      const waiting = new Set(this.#drawn.filter(({ hits }) => hits() === 0).map(({ operation }) => operation))
      // what is asked for seldom has one that waits for it, no more
      const seldom = isWorkAhead ? WHEN_DUE.filter((operation) => !waiting.has(operation)) : []
      const operation = seldom.length > 0 && chance.oneIn(3) ? chance.pick(seldom) : chance.pick(EACH_ROUND)
      const isSeldom = seldom.some((name) => name === operation)
      const count = isSeldom ? chance.between(1, 2) : chance.between(1, 5)
      const skip = isSeldom ? 0 : chance.below(Math.floor(this.#site.keys().length / 2))
      const { id } = (await this.#site.kms.admin("POST", "faults", { kind, operation, count, skip })) as Fault
      this.#remaining.set(id, count)
      this.#drawn.push({ kind, operation, hits: () => count - (this.#remaining.get(id) ?? 0) })
    }
  }

  /** HTML in place of answers: for a few requests, or all there are until `relieve`. */
  html(): void {
    const chance = this.#chance
    const status = chance.pick(PAGES)
    const isOutage = chance.oneIn(3)
    const respond = (response: ServerResponse): void =>
      void response.writeHead(status, { "content-type": "text/html" }).end(PAGE)
    const kind = `html ${isOutage ? "for hours" : "at times"}`
    const times = isOutage ? Infinity : chance.between(1, 5)
    const operations = isOutage ? [...EACH_ROUND, ...WHEN_DUE] : [chance.pick(EACH_ROUND)]
    const counts = operations.map((operation) => this.#site.proxy.spoil(operation, { effect: false, times, respond }))
    this.#drawn.push({
      kind,
      operation: `${BEHIND_PROXY} ${status}`,
      hits: () => counts.reduce((sum, hits) => sum + hits(), 0),
    })
  }

  /** The proxy lets everything pass; what waits for its request waits on. */
  relieve(): void {
    this.#site.proxy.unspoil()
  }

  /** Looks at what was hit by now; whether a fault waits still that any round would meet. */
  async settle(): Promise<boolean> {
    const left = (await this.#site.kms.faults()) as readonly Fault[]
    for (const id of this.#remaining.keys()) {
      this.#remaining.set(id, left.find((fault) => fault.id === id)?.count ?? 0)
    }
    return left.some(({ operation }) => EACH_ROUND.some((name) => name === operation))
  }

  /** By kind: how many were drawn, how many of them have hit, and requests that they have spoilt. */
  summary(): Readonly<Record<string, { readonly drawn: number; readonly hit: number; readonly requests: number }>> {
    const byKind = Object.groupBy(this.#drawn, ({ kind }) => kind)
    return Object.fromEntries(
      Object.entries(byKind).map(([kind, drawn = []]) => {
        const hits = drawn.map((fault) => fault.hits())
        return [
          kind,
          {
            drawn: drawn.length,
            hit: hits.filter((count) => count > 0).length,
            requests: hits.reduce((sum, count) => sum + count, 0),
          },
        ]
      }),
    )
  }

  /** Those that were drawn and have hit nothing. */
  unmet(): readonly string[] {
    return this.#drawn.filter(({ hits }) => hits() === 0).map(({ kind, operation }) => `${kind} ${operation}`)
  }

  /** Imports that took effect and whose answer was lost. */
  lostImports(): number {
    return this.#drawn
      .filter(({ kind, operation }) => EFFECTIVE.includes(kind) && operation === "ImportKeyMaterial")
      .reduce((sum, { hits }) => sum + hits(), 0)
  }
}
