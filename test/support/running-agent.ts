import { type ChildProcess, spawn } from "node:child_process"
import { readFileSync } from "node:fs"
import { setTimeout as sleep } from "node:timers/promises"
import { MAIN } from "./cli.js"

/** A line of the agent's log. */
export interface Line {
  readonly event: string
  readonly [field: string]: unknown
}

/** An agent in a process of its own, and what it has logged so far. */
export class RunningAgent {
  readonly #child: ChildProcess
  readonly lines: Line[] = []
  readonly ended: Promise<number | null>

  /** @param prefix what it starts with, such as a namespace of the network */
  constructor(
    args: readonly string[],
    env: Readonly<Record<string, string | undefined>>,
    prefix: readonly string[] = [],
  ) {
    const [command = "", ...rest] = [...prefix, process.execPath, MAIN, "agent", "--log-format", "json", ...args]
    this.#child = spawn(command, rest, {
      env: { PATH: process.env["PATH"], HOME: process.env["HOME"], ...env },
      stdio: ["ignore", "ignore", "pipe"],
    })
    let cutLine = ""
    this.#child.stderr?.setEncoding("utf8").on("data", (piece: string) => {
      const texts = `${cutLine}${piece}`.split("\n")
      cutLine = texts.pop() ?? ""
      for (const text of texts) if (text.startsWith("{")) this.lines.push(JSON.parse(text) as Line)
    })
    this.ended = new Promise((resolve) => this.#child.once("exit", (status) => resolve(status)))
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** The n-th line of an event, once it is there. */
  async line(event: string, nth = 1): Promise<Line> {
    for (let times = 0; times < 1_200; times += 1) {
      const line = this.lines.filter((candidate) => candidate.event === event)[nth - 1]
      if (line !== undefined) return line
      await sleep(50)
    }
    throw new Error(`no line ${nth} of ${event}: ${JSON.stringify(this.lines.map((line) => line.event))}`)
  }

  /** Rounds that have come to an end, in whatever way. */
  get rounds(): number {
    return this.#ends().length
  }

  /** Rounds that began for this reason and have come to an end. */
  roundsOf(trigger: string): number {
    return this.#ends().filter((line) => line["trigger"] === trigger).length
  }

  /** Resolves once so many rounds of this trigger have ended, everybody was told, and it waits; or once the process has ended. */
  async waitsAfter(count: number, trigger: string): Promise<void> {
    const isThere = (): boolean => {
      const nth = this.#ends().filter((line) => line["trigger"] === trigger)[count - 1]
      return nth !== undefined && this.lines.lastIndexOf(nth) < this.lines.findLastIndex(isWaiting)
    }
    await this.#until(isThere, `round ${count} of ${trigger} has not ended`)
  }

  /** Whether no round runs, and everybody was told of the last. */
  isWaiting(): boolean {
    const last = this.lines.findLastIndex(({ event }) => event.startsWith("round."))
    return this.lines.findLastIndex(isWaiting) > last
  }

  /** User and system time of the process since its start, in seconds. */
  cpuS(): number {
    const stat = readFileSync(`/proc/${this.#child.pid}/stat`, "utf8")
    const [user, system] = stat
      .slice(stat.lastIndexOf(")") + 2)
      .split(" ")
      .slice(11, 13)
    // in ticks of 10 ms
    return (Number(user) + Number(system)) / 100
  }

  /** Resident memory of the process, in MB. */
  memoryMb(): number {
    const status = readFileSync(`/proc/${this.#child.pid}/status`, "utf8")
    return Number(/^VmRSS:\s*(\d+)/m.exec(status)?.[1]) / 1024
  }

  /** Resolves once so many rounds have ended, or the process has. */
  async roundsEnded(count: number): Promise<void> {
    await this.#until(() => this.rounds >= count, `round ${count} has not ended`)
  }

  #ends(): readonly Line[] {
    return this.lines.filter(({ event }) => event === "round.ended" || event === "round.failed")
  }

  async #until(isThere: () => boolean, otherwise: string): Promise<void> {
    const ended = this.ended.then(() => true)
    for (let times = 0; !isThere(); times += 1) {
      if (times > 15_000) throw new Error(`${otherwise}: ${JSON.stringify(this.lines.slice(-5))}`)
      if (await Promise.race([ended, sleep(20, false)])) return
    }
  }
}

const isWaiting = ({ event }: Line): boolean => event === "agent.waits"
