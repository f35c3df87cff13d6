import type { Seeded } from "../../support/seeded.js"

/** What befalls the host, and on which days, the last among them. */
export interface Fault {
  readonly kind: "clock" | "restore" | "two hosts" | "profile" | "proxy" | "unreadable" | "kill"
  readonly from: number
  readonly to: number
}

export interface ClockFault extends Fault {
  readonly kind: "clock"
  /** How many days the host's clock is ahead of KMS' time, or behind it where negative. */
  readonly aheadDays: number
}

/** What is asked of a key on a day, beside what the schedule does. */
export interface Task {
  readonly command: "rotate" | "replace" | "delete-material"
  readonly name: string
  readonly day: number
}

export interface Calendar {
  readonly days: number
  readonly faults: readonly (Fault | ClockFault)[]
  readonly tasks: readonly Task[]
  /** The day on which the last keys come into the configuration file. */
  readonly enrolDay: number
}

export interface Asked {
  readonly rotate: readonly string[]
  readonly replace: readonly string[]
  readonly delete: readonly string[]
}

export const DAYS = 91
export const KILLS = 30
const CLOCK_SPELLS = 8
/** Furthest that a host's clock is from KMS' time, in days; the spells reach it on both sides. */
const FURTHEST = 40
/** Nothing befalls the host in the last days, so that what can be saved is. */
const QUIET_DAYS = 6

/** Draws a quarter: so many faults of each kind, of which at least one in five meets another. */
export function drawCalendar(chance: Seeded, asked: Asked): Calendar {
  for (;;) {
    const calendar = draw(chance, asked)
    if (overlapping(calendar.faults) * 5 >= calendar.faults.length) return calendar
  }
}

/** How many faults have a day in common with one of another kind. */
export function overlapping(faults: readonly Fault[]): number {
  return faults.filter((fault) =>
    faults.some((other) => other.kind !== fault.kind && other.from <= fault.to && fault.from <= other.to),
  ).length
}

function draw(chance: Seeded, asked: Asked): Calendar {
  const last = DAYS - QUIET_DAYS
  const enrolDay = chance.between(Math.round(DAYS / 5), Math.round(DAYS / 2))
  const onSomeDay =
    (command: Task["command"]) =>
    (name: string): Task => ({ command, name, day: chance.between(4, last - 4) })
  const rotations = asked.rotate.map(onSomeDay("rotate"))
  const deletions = asked.delete.map(onSomeDay("delete-material"))
  const tasks = [...rotations, ...asked.replace.map(onSomeDay("replace")), ...deletions]

  const spell = (kind: Fault["kind"], length: number): Fault => {
    const from = chance.between(3, last - length)
    return { kind, from, to: from + length - 1 }
  }
  // of what was done the day before, a copy of that morning knows nothing
  const dayAfter = ({ day }: Pick<Task, "day">): Fault => ({ kind: "restore", from: day + 1, to: day + 1 })
  const restores = [dayAfter(chance.pick(rotations)), dayAfter(chance.pick([...deletions, { day: enrolDay }]))]
  const shared = chance.pick(rotations)
  return {
    days: DAYS,
    enrolDay,
    tasks,
    faults: [
      ...clockSpells(chance, last),
      ...restores,
      // on one of these days one of the two rotates a key
      { kind: "two hosts", from: shared.day - 1, to: shared.day + 2 },
      spell("profile", 1),
      // keys are being made then
      { kind: "proxy", from: enrolDay, to: enrolDay },
      spell("unreadable", 3),
      ...Array.from({ length: KILLS }, () => spell("kill", 1)),
    ],
  }
}

/** One after the other, with days between them on which the clock is right. */
function clockSpells(chance: Seeded, last: number): readonly ClockFault[] {
  const room = Math.floor((last - 1) / CLOCK_SPELLS)
  const [ahead, behind] = chance.sample(
    Array.from({ length: CLOCK_SPELLS }, (_, index) => index),
    2,
  )
  return Array.from({ length: CLOCK_SPELLS }, (_, index) => {
    const length = chance.between(3, room - 2)
    const from = 2 + index * room + chance.between(0, room - length - 1)
    const drawn = chance.between(1, FURTHEST) * (chance.oneIn(2) ? 1 : -1)
    const aheadDays = index === ahead ? FURTHEST : index === behind ? -FURTHEST : drawn
    return { kind: "clock", from, to: from + length - 1, aheadDays }
  })
}
