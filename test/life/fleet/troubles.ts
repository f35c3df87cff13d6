import { setTimeout as sleep } from "node:timers/promises"
import type { Seeded } from "../../support/seeded.js"
import type { Passing } from "./gate.js"
import type { RunningAgent } from "../../support/running-agent.js"
import type { Site } from "./site.js"

/** After its answer is there the process is killed; or it is stopped for a while; or its host is cut off for so long. */
export type Kind = "kill" | "stop" | "cut"

/** Where a worker can be hit: right after KMS has done what it asked for, and before it hears of that. */
const PLACES: Readonly<Record<Kind, readonly string[]>> = {
  kill: [
    "CreateKey",
    "GetParametersForImport",
    "ImportKeyMaterial (new)",
    "ImportKeyMaterial",
    "RotateKeyOnDemand",
    "DescribeKey",
    "ListResourceTags",
  ],
  stop: ["CreateKey", "ImportKeyMaterial (new)", "RotateKeyOnDemand"],
  cut: ["ImportKeyMaterial", "ImportKeyMaterial (new)"],
}
/** Hosts that share a token come first: of them the one goes on with what the other has begun. */
const SHARING = [0, 1] as const
export const PAUSE_S = 30

interface Armed {
  readonly kind: Kind
  readonly place: string
  readonly host: number
  /** Requests of that place that pass before. */
  skip: number
}

/** One that was hit. */
export interface Hit {
  readonly kind: Kind
  readonly place: string
  readonly host: number
  readonly keyName: string | null
  readonly agent: RunningAgent
  /** Lines of its log before. */
  readonly lines: number
  readonly at: number
  /** When another process next changed something of that key, or asked to; null where none did yet. */
  takenOverMs: number | null
}

/** Faults of workers, each at a place that was drawn, one after the other on each host. */
export class Troubles {
  readonly hits: Hit[] = []
  readonly #chance: Seeded
  readonly #agents = new Map<number, RunningAgent>()
  #site: Site | undefined
  #armed: Armed[] = []
  #allowed = 0
  readonly #pauses = new Set<Promise<void>>()
  readonly #paused = new Set<number>()

  constructor(chance: Seeded) {
    this.#chance = chance
  }

  /** Draws where so many of a kind hit. */
  draw(kind: Kind, count: number): void {
    const chance = this.#chance
    const places = PLACES[kind]
    for (let index = 0; index < count; index += 1) {
      const host = kind === "stop" ? chance.pick(SHARING) : chance.below(3)
      const place = places[index % places.length] ?? "CreateKey"
      // rotations are few
      this.#armed.push({ kind, place, host, skip: place.startsWith("Rotate") ? 0 : chance.below(3) })
    }
    this.#armed = chance.sample(this.#armed, this.#armed.length)
  }

  of(site: Site): void {
    this.#site = site
  }

  /** Whether its agent stands still, or nobody reaches it. */
  isPaused(host: number): boolean {
    return this.#paused.has(host)
  }

  /** Who works on a host now. */
  works(host: number, worker: RunningAgent): void {
    this.#agents.set(host, worker)
  }

  /** How many may hit from now on. */
  allow(count: number): void {
    this.#allowed = count
  }

  /** Those that wait for their place still. */
  left(): readonly string[] {
    return this.#armed.map(({ kind, place, host }) => `${kind} in ${place} on host ${host + 1}`)
  }

  /** What is stopped is woken, and what is cut off is back. */
  async ended(): Promise<void> {
    while (this.#pauses.size > 0) await Promise.all(this.#pauses)
  }

  /** @returns whether the answer goes on to the worker */
  async onPassing(host: number, { operation, place, keyName }: Passing): Promise<boolean> {
    const worker = this.#agents.get(host)
    if (worker === undefined || this.#paused.has(host)) return true
    this.#takeOver(worker, operation, keyName)
    if (this.#allowed === 0) return true
    // one at a time on a host, so that each is seen for itself
    const armed = this.#armed.find((other) => other.host === host)
    if (armed?.place !== place) {
      this.#bringForward(host, place)
      return true
    }
    if (armed.skip > 0) {
      armed.skip -= 1
      return true
    }
    this.#armed.splice(this.#armed.indexOf(armed), 1)
    this.#allowed -= 1
    this.hits.push({
      kind: armed.kind,
      place,
      host,
      keyName,
      agent: worker,
      lines: worker.lines.length,
      at: performance.now(),
      takenOverMs: null,
    })
    if (armed.kind === "kill") worker.signal("SIGKILL")
    else if (armed.kind === "stop")
      this.#pause(
        host,
        () => worker.signal("SIGSTOP"),
        () => worker.signal("SIGCONT"),
      )
    else {
      const { namespace } = this.#site!.hosts[host]!
      this.#pause(
        host,
        () => namespace.cut(true),
        () => namespace.cut(false),
      )
    }
    await Promise.resolve()
    return armed.kind !== "kill"
  }

  /** What is met today is hit before what is met on another day. */
  #bringForward(host: number, place: string): void {
    const first = this.#armed.findIndex((other) => other.host === host)
    const here = this.#armed.findIndex((other) => other.host === host && other.place === place)
    if (here === -1) return
    const [armed] = this.#armed.splice(here, 1)
    if (armed !== undefined) this.#armed.splice(first, 0, armed)
  }

  #takeOver(agent: RunningAgent, operation: string, keyName: string | null): void {
    if (keyName === null || /^(List|Describe)/.test(operation)) return
    for (const hit of this.hits) {
      if (hit.keyName === keyName && hit.agent !== agent) hit.takenOverMs ??= performance.now() - hit.at
    }
  }

  #pause(host: number, begin: () => void, end: () => void): void {
    begin()
    this.#paused.add(host)
    const pause = sleep(PAUSE_S * 1000).then(() => {
      end()
      this.#pauses.delete(pause)
      this.#paused.delete(host)
    })
    this.#pauses.add(pause)
  }
}
