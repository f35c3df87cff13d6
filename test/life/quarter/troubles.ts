import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { Seeded } from "../../support/seeded.js"
import { filesUnder } from "../../support/stage.js"
import type { Calendar, ClockFault, Fault } from "./calendar.js"
import { type Command, insist } from "./operator.js"
import type { Host, Run, Site } from "./site.js"

/** Who runs keyferry now: the second host is there for some days only, with a copy of the state of the first. */
export interface Hosts {
  readonly first: Host
  second: Host | undefined
}

/** Brings the faults of the calendar about, and sees which of them keyferry met. */
export interface Troubles {
  /** Before the day's work. */
  morning(): void
  /** Whether today is the last day of a fault that neither these runs of the day nor earlier ones have met. */
  endsUnmet(runs: readonly Run[]): boolean
  /** After it, with what was run since the morning. */
  evening(runs: readonly Run[]): Promise<void>
  /** Kills the run where a kill is due. */
  readonly command: Command
  isToday(kind: Fault["kind"]): boolean
  /** How many pages of the proxy keyferry was answered. */
  sawPages(count: number): void
  /** Planned faults that no run has met. */
  missed(): readonly Fault[]
}

/** Calls of a run over all keys, about; one that ends earlier is not killed, and the next is, earlier. */
const CALLS = 110
const FEW_CALLS = 20
/** Faults that a run over all keys meets, unless it is killed before. */
const SEEN_BY_RUNS: ReadonlySet<Fault["kind"]> = new Set(["clock", "profile", "unreadable"])

export function troublesOf(
  site: Site,
  calendar: Calendar,
  { hosts, chance }: { hosts: Hosts; chance: Seeded },
): Troubles {
  const { faults } = calendar
  const met = new Set<Fault>()
  const { first } = hosts
  const copy = join(site.folder, "copy-of-the-morning")
  const killsDue = new Set<Fault>()
  let unreadable = ""
  let pages = 0

  const today = (): readonly Fault[] => faults.filter(({ from, to }) => from <= site.day() && site.day() <= to)
  const isToday = (kind: Fault["kind"]): boolean => today().some((fault) => fault.kind === kind)
  const inventory = (state: string): readonly string[] => filesUnder(join(state, "inventory"))

  /** The state of the first host is what it was yesterday in the morning. */
  const restore = (fault: Fault): void => {
    const before = readFileSync(join(first.state, "custody.log.jsonl"), "utf8")
    rmSync(first.state, { recursive: true })
    cpSync(copy, first.state, { recursive: true })
    if (readFileSync(join(first.state, "custody.log.jsonl"), "utf8") !== before) met.add(fault)
  }
  const begin: Readonly<Record<Fault["kind"], (fault: Fault) => void>> = {
    restore,
    clock: (fault) => (first.aheadDays = (fault as ClockFault).aheadDays),
    "two hosts": () => {
      const state = join(site.folder, "state-of-second")
      cpSync(first.state, state, { recursive: true })
      hosts.second = { name: "second", state, aheadDays: 0 }
    },
    profile: () => site.profile(false),
    unreadable: () => {
      const file = chance.pick(inventory(first.state))
      unreadable = file.replace(/^.*\/|\.json$/g, "")
      writeFileSync(join(first.state, "inventory", file), "garbage\n")
    },
    // the hour comes with the day's work
    proxy: () => undefined,
    kill: (fault) => killsDue.add(fault),
  }

  const command: Command = async (host, args) => {
    const [kill] = killsDue
    if (kill === undefined) return await site.run(host, args)
    killsDue.delete(kill)
    const run = await site.run(host, args, chance.below(kill.from === site.day() ? CALLS : FEW_CALLS))
    if (run.killed) met.add(kill)
    else killsDue.add(kill)
    return run
  }

  const isMet: Readonly<Record<Fault["kind"], (runs: readonly Run[]) => boolean>> = {
    // these are seen when they come about
    restore: () => false,
    kill: () => false,
    "two hosts": () => false,
    clock: (runs) => runs.some(({ ended }) => (ended.stdout + ended.stderr).includes("CLOCK_SKEW")),
    profile: (runs) => runs.some(({ rows }) => rows.some(({ target, exit }) => target === "west" && exit === "NOPERM")),
    unreadable: (runs) =>
      runs.some(({ rows }) => rows.some(({ name, outcome }) => name === unreadable && outcome === "blocked")),
    proxy: () => pages > 0,
  }
  const end: Readonly<Partial<Record<Fault["kind"], (fault: Fault) => void | Promise<void>>>> = {
    clock: () => {
      first.aheadDays = 0
    },
    profile: () => site.profile(true),
    "two hosts": async (fault) => {
      const { second } = hosts
      if (second === undefined) return
      hosts.second = undefined
      const { ended } = await insist(command, first, ["state", "merge", second.state])
      if (ended.status === 0) met.add(fault)
    },
  }

  return {
    isToday,
    sawPages(count) {
      pages += count
    },
    missed: () => faults.filter((fault) => !met.has(fault)),
    morning() {
      for (const fault of today()) if (fault.from === site.day()) begin[fault.kind](fault)
      if (hosts.second !== undefined) hosts.second.aheadDays = chance.between(-40, 40)
      rmSync(copy, { recursive: true, force: true })
      if (existsSync(first.state)) cpSync(first.state, copy, { recursive: true })
    },
    async evening(runs) {
      for (const fault of today()) {
        if (isMet[fault.kind](runs)) met.add(fault)
        if (fault.to === site.day()) await end[fault.kind]?.(fault)
      }
    },
    endsUnmet: (runs) =>
      today().some(
        (fault) =>
          fault.to === site.day() && SEEN_BY_RUNS.has(fault.kind) && !met.has(fault) && !isMet[fault.kind](runs),
      ),
    command,
  }
}
