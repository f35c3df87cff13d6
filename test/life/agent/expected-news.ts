import type { Line } from "../../support/running-agent.js"
import type { Told } from "./receiver.js"
import { DAY_S } from "./site.js"

/** A trouble of one day; the name is null where it is of a target or of the whole round. */
interface Trouble {
  readonly day: number
  readonly reason: string
  readonly name: string | null
  readonly target: string | null
}

/**
 * What somebody has to be told of: what rounds said in the log that they failed at, and what was done to keys and clock. The
 * log does not say what `check` finds; what was done does not say what a round failed at.
 */
export class ExpectedNews {
  readonly #start: number
  /** Of rounds after which everybody was told, and what was done. */
  readonly #due: Trouble[] = []
  /** Of rounds in whose telling the agent was killed: it may have been told of. */
  readonly #possible: Trouble[] = []

  /** @param start KMS' time of day 0 */
  constructor(start: Date) {
    this.#start = start.getTime()
  }

  /** @param trouble `isSure` where the agent must have seen it, else it may have */
  add({ isSure, ...trouble }: Trouble & { readonly isSure: boolean }): void {
    ;(isSure ? this.#due : this.#possible).push(trouble)
  }

  /** Takes in lines of the log of one agent and one day. */
  read(lines: readonly Line[], day: number): void {
    let round: Trouble[] = []
    for (const { event, name, target, reason, code, outcome } of lines) {
      const told = { day, reason: String(reason ?? code), name: nullable(name), target: nullable(target) }
      if (event === "round.began") round = []
      if (event === "round.failed" || event === "round.backoff") round.push(told)
      if (event === "round.row" && (outcome === "failed" || outcome === "blocked")) round.push(told)
      if (event === "round.ended" || event === "round.failed") this.#possible.push(...round)
      if (event === "agent.waits") this.#due.push(...round)
    }
  }

  /** How many troubles of a day there were, each once a day. */
  get count(): number {
    return new Set(this.#due.map((trouble) => JSON.stringify(trouble))).size
  }

  /** What is wrong with what was told. A notification that counts others stands for so many that were not told. */
  compare(messages: readonly Told[]): {
    readonly missing: readonly string[]
    readonly untrue: readonly string[]
    readonly unended: readonly string[]
    readonly repeated: readonly string[]
  } {
    const begun = messages.filter(({ kind }) => kind !== "recovered")
    const ends = new Map(messages.filter(({ kind }) => kind === "recovered").map((end) => [end.incident, end]))
    const isOf = (message: Told, { reason, name, target }: Trouble): boolean =>
      message.reason === reason &&
      (message.target === target || message.target === null) &&
      (message.name === name || message.name === null)
    const covers = (message: Told, { day }: Trouble): boolean => {
      const end = ends.get(message.incident)
      return this.#dayOf(message.since) <= day && (end === undefined || this.#dayOf(end.at) >= day)
    }
    const missing = this.#due.filter((trouble) => !begun.some((told) => isOf(told, trouble) && covers(told, trouble)))
    const known = [...this.#due, ...this.#possible]
    const untrue = begun.filter((told) => !known.some((trouble) => isOf(told, trouble) && covers(told, trouble)))
    const unended = begun.filter(({ incident }) => !ends.has(incident))
    const repeated = messages.filter(
      (message, index) =>
        messages.findIndex(
          ({ incident, kind }) =>
            incident === message.incident && (kind === "recovered") === (message.kind === "recovered"),
        ) !== index,
    )
    const words = ({ reason, name, target, since }: Told): string =>
      `day ${this.#dayOf(since)}: ${reason} ${name ?? ""} ${target ?? ""}`
    return {
      missing: [...new Set(missing.map(({ day, reason, name, target }) => `day ${day}: ${reason} ${name} ${target}`))],
      untrue: untrue.map(words),
      unended: unended.map(words),
      repeated: repeated.map(words),
    }
  }

  #dayOf(time: string): number {
    return Math.floor((Date.parse(time) - this.#start) / (DAY_S * 1000))
  }
}

const nullable = (field: unknown): string | null => (typeof field === "string" ? field : null)
