import type { Seeded } from "../../support/seeded.js"

/** For each so many days one of a kind. */
const EVERY = {
  /** The agent is killed in the middle of a round, and started again. */
  kill: 7,
  /** 5xx, throttles, dropped and cut answers of KMS. */
  kms: 4,
  /** HTML of a proxy in place of answers, a few or for hours. */
  html: 12,
  /** The second token is gone for hours. */
  token: 25,
  /** Whoever is told refuses to be. */
  receiver: 30,
  /** A person holds the state's lock, or runs a command beside the round. */
  person: 12,
  /** Somebody deletes the material of a key, and a person brings it back days later. */
  deletion: 30,
  /** The host's clock is set days off, and back hours later. */
  clock: 15,
} as const

export type Fault = keyof typeof EVERY
export const FAULTS = Object.keys(EVERY) as Fault[]

export type Calendar = ReadonlyMap<number, ReadonlySet<Fault>>

/** Which day has which faults, drawn beforehand; at least one in five meets another. Nothing befalls it in the last days. */
export function drawCalendar(chance: Seeded, days: number, quietDays: number): Calendar {
  for (;;) {
    const calendar = new Map<number, Set<Fault>>()
    const put = (day: number, kind: Fault): void =>
      void calendar.set(day, (calendar.get(day) ?? new Set<Fault>()).add(kind))
    for (const kind of FAULTS) {
      const remaining = new Set(Array.from({ length: days - quietDays - 2 }, (_, index) => index + 3))
      for (let count = Math.max(Math.floor(days / EVERY[kind]), 1); count > 0; count -= 1) {
        const day = chance.pick([...remaining])
        remaining.delete(day)
        put(day, kind)
        // who refuses to be told has to be told something
        if (kind === "receiver") put(day, "clock")
      }
    }
    const { drawn, overlapping } = overlaps(calendar)
    if (overlapping * 5 >= drawn) return calendar
  }
}

/** Faults that were drawn, and those that meet another on the same day. */
export function overlaps(calendar: Calendar): { readonly drawn: number; readonly overlapping: number } {
  const sizes = [...calendar.values()].map(({ size }) => size)
  const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0)
  return { drawn: sum(sizes), overlapping: sum(sizes.filter((size) => size > 1)) }
}
