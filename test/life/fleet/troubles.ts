import { setTimeout as sleep } from "node:timers/promises"
import type { Seeded } from "../../support/seeded.js"
import type { Passing } from "./gate.js"
import type { Line, RunningAgent } from "../../support/running-agent.js"
import type { Site } from "./site.js"

/** After its answer is there the process is killed; or it is stopped for a while; or its host is cut off for so long. */
export type Kind = "kill" | "stop" | "cut"

/** Where an agent can be hit: right after KMS has done what it asked for, and before it hears of that. */
const PLACES: Readonly<Record<Kind, readonly string[]>> = {
  kill: [
    "CreateKey",
    "ImportKeyMaterial",
    "ImportKeyMaterial (new)",
    "RotateKeyOnDemand",
    "GetParametersForImport",
    "ListKeyRotations",
    "TagResource",
    "DescribeKey",
    "ListResourceTags",
    "GetKeyRotationStatus",
    "ListKeys",
    "VerifyMac",
    "GetPublicKey",
  ],
  stop: ["CreateKey", "ImportKeyMaterial (new)", "RotateKeyOnDemand"],
  cut: ["ImportKeyMaterial", "ImportKeyMaterial (new)"],
}
/** Those with a token in common: of them the one goes on with what the other, who stands still, has begun. */
const SHARING: readonly number[] = [0, 1]
export const PAUSE_S = 30
/** What only looks at KMS. */
const LOOKS = /^(List|Describe|Get|Verify|Decrypt)/

interface Armed {
  readonly kind: Kind
  readonly place: string
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
  readonly at: Date
  /** Whether it was in the middle of a change, so that somebody has to go on with it. */
  readonly isChange: boolean
  /** Whether another agent was at work that reaches the same token. */
  readonly hasSuccessor: boolean
  /** What it changed of that key in KMS when it was woken, before it said how it ended. */
  readonly changedAfter: string[]
}

/** Faults of agents, each at a place that was drawn, one at a time on each host. */
export class Troubles {
  readonly hits: Hit[] = []
  /** What KMS was asked for, and did, by all hosts. */
  readonly passed = new Map<string, number>()
  /** New material of each key by the answers of KMS, each ID once. */
  readonly newMaterial = new Map<string, Set<string>>()
  readonly #chance: Seeded
  readonly #agents = new Map<number, RunningAgent>()
  #site: Site | undefined
  #armed: Armed[] = []
  #allowed = 0
  #allowedOfNewKeys = 0
  readonly #pauses = new Set<Promise<void>>()
  readonly #paused = new Set<number>()

  constructor(chance: Seeded) {
    this.#chance = chance
  }

  /** So many of a kind, over all of its places in turn. */
  draw(kind: Kind, count: number): void {
    const places = PLACES[kind]
    for (let index = 0; index < count; index += 1) {
      const place = places[index % places.length] ?? "CreateKey"
      // rotations are few
      const isOfRotation = /new|Rotat/.test(place)
      this.#armed.push({ kind, place, skip: isOfRotation ? 0 : this.#chance.below(3) })
    }
    this.#armed = this.#chance.sample(this.#armed, this.#armed.length)
  }

  of(site: Site): void {
    this.#site = site
  }

  /** Whether its agent stands still, or reaches nobody. */
  isPaused(host: number): boolean {
    return this.#paused.has(host)
  }

  #isAtWork(host: number): boolean {
    return this.#agents.has(host) && !this.#paused.has(host)
  }

  /** Who works on a host now. */
  works(host: number, agent: RunningAgent): void {
    this.#agents.set(host, agent)
  }

  /** How many may hit from now on. New keys are soon made: of those, one stop may, besides. */
  allow(count: number): void {
    this.#allowed = count
    this.#allowedOfNewKeys = Math.min(1, count)
  }

  /** Those that wait for their place still. */
  left(): readonly string[] {
    return this.#armed.map(({ kind, place }) => `${kind} in ${place}`)
  }

  /** What is stopped is woken, and what is cut off is back. */
  async ended(): Promise<void> {
    while (this.#pauses.size > 0) await Promise.all(this.#pauses)
  }

  /** @returns whether the answer goes on to the worker */
  onPassing(host: number, { operation, place, keyName, isDone, newMaterialId }: Passing): boolean {
    if (!isDone) return true
    this.passed.set(place, (this.passed.get(place) ?? 0) + 1)
    if (keyName !== null && newMaterialId !== null) {
      this.newMaterial.set(keyName, (this.newMaterial.get(keyName) ?? new Set()).add(newMaterialId))
    }
    const agent = this.#agents.get(host)
    if (agent === undefined || this.#paused.has(host)) return true
    if (!LOOKS.test(operation)) this.#noteChange(agent, place, keyName)
    const hasSuccessor = SHARING.includes(host) && SHARING.every((other) => other === host || this.#isAtWork(other))
    const isOfNewKeys = ({ kind, place }: Armed): boolean => kind === "stop" && place === "CreateKey"
    const armed = this.#armed.find((other) => {
      const allowed = this.#allowed + (isOfNewKeys(other) ? this.#allowedOfNewKeys : 0)
      return other.place === place && allowed > 0 && (other.kind !== "stop" || hasSuccessor)
    })
    if (armed === undefined) return true
    if (armed.skip > 0) {
      armed.skip -= 1
      return true
    }
    this.#armed.splice(this.#armed.indexOf(armed), 1)
    if (isOfNewKeys(armed) && this.#allowedOfNewKeys > 0) this.#allowedOfNewKeys -= 1
    else this.#allowed -= 1
    const isChange = !LOOKS.test(operation) || operation === "GetParametersForImport"
    const lines = agent.lines.length
    this.hits.push({
      kind: armed.kind,
      place,
      host,
      keyName,
      agent,
      lines,
      at: new Date(),
      isChange,
      hasSuccessor,
      changedAfter: [],
    })
    const { kind } = armed
    if (kind === "kill") {
      this.#agents.delete(host)
      agent.signal("SIGKILL")
    } else this.#pause(host, (isOver) => this.#stand(kind, { agent, host }, isOver))
    return kind !== "kill"
  }

  /** What who was woken, or reached again, does to the key that it was at, until it has said what became of it. */
  #noteChange(agent: RunningAgent, place: string, keyName: string | null): void {
    for (const hit of this.hits) {
      if (hit.agent === agent && hit.keyName === keyName && hit.kind !== "kill" && rowAfter(hit) === undefined) {
        hit.changedAfter.push(place)
      }
    }
  }

  #stand(kind: "stop" | "cut", { agent, host }: { agent: RunningAgent; host: number }, isOver: boolean): void {
    if (kind === "stop") agent.signal(isOver ? "SIGCONT" : "SIGSTOP")
    else this.#site!.hosts[host]!.namespace.cut(!isOver)
  }

  #pause(host: number, stand: (isOver: boolean) => void): void {
    stand(false)
    this.#paused.add(host)
    const pause = sleep(PAUSE_S * 1000).then(() => {
      this.#pauses.delete(pause)
      this.#paused.delete(host)
      stand(true)
    })
    this.#pauses.add(pause)
  }
}

/** What the agent that was hit then said of the key. */
export function rowAfter({ agent, lines, keyName }: Hit): Line | undefined {
  return agent.lines.slice(lines).find(({ event, name }) => event === "round.row" && name === keyName)
}
