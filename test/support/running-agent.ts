import { type ChildProcess, spawn } from "node:child_process"
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

  constructor(args: readonly string[], env: Readonly<Record<string, string | undefined>>) {
    this.#child = spawn(process.execPath, [MAIN, "agent", "--log-format", "json", ...args], {
      env: { PATH: process.env["PATH"], HOME: process.env["HOME"], ...env },
      stdio: ["ignore", "ignore", "pipe"],
    })
    let rest = ""
    this.#child.stderr?.setEncoding("utf8").on("data", (piece: string) => {
      const texts = `${rest}${piece}`.split("\n")
      rest = texts.pop() ?? ""
      for (const text of texts) if (text.startsWith("{")) this.lines.push(JSON.parse(text) as Line)
    })
    this.ended = new Promise((resolve) => this.#child.once("exit", (status) => resolve(status)))
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
    return this.lines.filter(({ event }) => event === "round.ended" || event === "round.failed").length
  }

  /** Resolves once so many rounds have ended, or the process has. */
  async roundsEnded(count: number): Promise<void> {
    const ended = this.ended.then(() => true)
    for (let times = 0; this.rounds < count; times += 1) {
      if (times > 6_000) throw new Error(`round ${count} has not ended: ${JSON.stringify(this.lines.slice(-5))}`)
      if (await Promise.race([ended, sleep(20, false)])) return
    }
  }
}
