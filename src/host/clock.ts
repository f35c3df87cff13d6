import type { Clock } from "../core/ports/clock.js"

/** The clock that every decision takes its time from: this machine's. */
export const systemClock: Clock = { now: () => new Date() }

/** Resolves after so many milliseconds. */
export const sleep = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds))
