/** What a clock remembers: how far it is from the machine's, and where it stands if it was stopped. */
export interface ClockState {
  readonly offset: number
  readonly frozenAt?: number | undefined
}

/** The service's own time in milliseconds since 1970: it ticks unless frozen, and can be set while it runs. */
export interface Clock {
  readonly now: () => number
  readonly set: (instant: number) => void
  readonly advance: (milliseconds: number) => void
  readonly freeze: () => void
  readonly tick: () => void
  readonly state: () => ClockState
}

/** The machine's own clock, in milliseconds since 1970. */
export const machineTime = (): number => Date.now()

/** Makes a clock; `real` is the machine's. */
export function createClock(initial: ClockState = { offset: 0 }, real: () => number = machineTime): Clock {
  let state = initial
  const now = () => state.frozenAt ?? real() + state.offset
  const set = (instant: number): void => {
    state = { offset: instant - real(), ...(state.frozenAt === undefined ? {} : { frozenAt: instant }) }
  }
  return {
    now,
    set,
    advance: (milliseconds) => set(now() + milliseconds),
    freeze: () => {
      state = { ...state, frozenAt: now() }
    },
    tick: () => {
      state = { offset: now() - real() }
    },
    state: () => state,
  }
}

const UNITS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/**
 * Reads `--clock`: an ISO 8601 instant with a zone, or an offset from the machine's clock such as `+90d` or `-2h`.
 * Returns undefined for anything else.
 */
export function parseClock(text: string, real: number): ClockState | undefined {
  const [, sign, count, unit] = /^([+-])(\d{1,9})([smhd])$/.exec(text) ?? []
  if (sign !== undefined && unit !== undefined) {
    return { offset: (sign === "-" ? -1 : 1) * Number(count) * (UNITS[unit] ?? 0) }
  }
  const instant = parseInstant(text)
  return instant === undefined ? undefined : { offset: instant - real }
}

/** Milliseconds since 1970 of an ISO 8601 instant; undefined if it is not one, or names no zone. */
export function parseInstant(text: string): number | undefined {
  if (!/^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,3})?)?(Z|[+-]\d\d:\d\d))?$/.test(text)) return undefined
  const instant = Date.parse(text)
  return Number.isNaN(instant) ? undefined : instant
}
