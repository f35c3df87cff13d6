import type { Clock } from "../core/ports/clock.js"

/** A host's clock that is not KMS' of a target, as every command names it. */
export interface ClockSkew {
  readonly code: "CLOCK_SKEW"
  /** Of the manifest; null for the one that flags give. */
  readonly target: string | null
  /** By how much KMS' clock is ahead of the host's; negative where it is behind. */
  readonly offsetSeconds: number
  readonly message: string
}

/** A Date header has whole seconds, and comes after it was written: what is closer than this is the same time. */
const RESOLUTION_MS = 2000
/** From here on a host's clock counts as wrong. */
const SKEW_MS = 60_000

/**
 * The one clock of a run: the host's, set right by what KMS said, for each target by itself. Without a target its time
 * is that of the KMS that answered last.
 */
export class RunClock implements Clock {
  readonly #hostNow: () => number
  readonly #offsets = new Map<string | null, number>()
  #lastOffset: number | null = null

  constructor(hostNow: () => number = Date.now) {
    this.#hostNow = hostNow
  }

  now(): Date {
    return new Date(this.#hostNow() + (this.#lastOffset ?? 0))
  }

  kmsOffsetMs(): number | null {
    return this.#lastOffset
  }

  /** The clock of a target: before its first answer the time is that of {@link now}. */
  of(target: string | null): Clock {
    const offset = (): number | null => this.#offsets.get(target) ?? null
    return {
      now: () => new Date(this.#hostNow() + (offset() ?? this.#lastOffset ?? 0)),
      kmsOffsetMs: offset,
    }
  }

  /** Takes in the Date of an answer of KMS that came just now. */
  learn(target: string | null, date: Date): void {
    const seen = date.getTime() - this.#hostNow()
    const previousOffset = this.#offsets.get(target) ?? 0
    const offset = Math.abs(seen - previousOffset) < RESOLUTION_MS ? previousOffset : seen
    this.#offsets.set(target, offset)
    this.#lastOffset = offset
  }

  /** Targets whose KMS is a minute or more away from the host's clock. */
  skews(): readonly ClockSkew[] {
    return [...this.#offsets]
      .filter(([, offset]) => Math.abs(offset) >= SKEW_MS)
      .map(([target, offset]) => ({
        code: "CLOCK_SKEW",
        target,
        offsetSeconds: Math.round(offset / 1000),
        message: skewText(target, offset),
      }))
  }
}

function skewText(target: string | null, offset: number): string {
  const place = target === null ? "" : ` of target ${target}`
  return (
    `this host's clock is ${spanText(Math.abs(offset))} ${offset > 0 ? "behind" : "ahead of"} KMS'${place}: ` +
    "everything was reckoned by KMS' time; synchronise the clock (NTP), since AWS refuses what is signed 15 minutes off"
  )
}

const SPANS = [
  ["days", 86_400_000],
  ["hours", 3_600_000],
  ["minutes", 60_000],
] as const

/** In the largest unit of which there are two. */
function spanText(milliseconds: number): string {
  const [unit, size] = SPANS.find(([, unitMs]) => milliseconds >= 2 * unitMs) ?? ["seconds", 1000]
  return `${Math.round(milliseconds / size)} ${unit}`
}

/** The host's clock itself, for notes to people and the log: nothing is decided by it. */
export const systemClock: Pick<Clock, "now"> = { now: () => new Date() }

/** Resolves after so many milliseconds. */
export const sleep = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds))
