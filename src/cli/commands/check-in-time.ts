import type { CheckOptions } from "../../app/check/check.js"
import { EXIT_CODES } from "../../core/base/exit-code.js"
import { durationText } from "../../core/base/expiry.js"
import { printableJson, printableLines } from "../../core/base/printable.js"
import { LATE_HINT } from "../../core/plan/finding.js"
import { endBy, type LastLine, type RunDeadline } from "../../host/deadline.js"
import { SCHEMA_VERSION } from "../command.js"
import { type CheckOutput, outputOf } from "../text/check-line.js"

/** Of the time that there is, what is waited for tokens, and for KMS: the rest is for the end of the run. */
const PARTS = { tokens: 0.45, keys: 0.85, run: 0.95 } as const

/** Ends the process by the deadline with the line that says what has not answered by then, whatever hangs. */
export class TimedCheck {
  readonly patience: NonNullable<CheckOptions["patience"]>
  readonly #deadline: RunDeadline
  readonly #pending = new Map<string, number>()
  #looked = ""

  readonly #seconds: number
  readonly #json: boolean

  constructor(seconds: number, json: boolean) {
    this.#seconds = seconds
    this.#json = json
    const remainingMs = (part: number): number => Math.max(0, seconds * part * 1000 - performance.now())
    const end = (part: number): Promise<void> =>
      new Promise((resolve) => void setTimeout(resolve, remainingMs(part)).unref())
    this.#deadline = endBy(remainingMs(PARTS.run), this.#late())
    this.patience = {
      tokens: end(PARTS.tokens),
      keys: end(PARTS.keys),
      waits: (subject) => {
        this.#count(subject, 1)
        return () => {
          this.#count(subject, -1)
        }
      },
      onRow: (finished, total) => (this.#looked = `; ${finished} of ${total} keys were looked at`),
    }
  }

  /** The same, where somebody else is told as well how far it has come. */
  patienceWith(onRow: NonNullable<CheckOptions["patience"]>["onRow"]): NonNullable<CheckOptions["patience"]> {
    return {
      ...this.patience,
      onRow: (finished, total) => {
        this.patience.onRow?.(finished, total)
        onRow?.(finished, total)
      },
    }
  }

  /** Work that is named, should it not come to its end. */
  async during<T>(subject: string, work: () => Promise<T>): Promise<T> {
    const answered = this.patience.waits(subject)
    const answer = await work()
    answered()
    return answer
  }

  /** What was found is said at the deadline too, where something hangs as it is closed. */
  end(output: CheckOutput) {
    this.#say(output)
    return {
      ...output,
      beforePrint: () => {
        this.#deadline.claim()
      },
    }
  }

  #count(subject: string, more: 1 | -1): void {
    const count = (this.#pending.get(subject) ?? 0) + more
    if (count === 0) this.#pending.delete(subject)
    else this.#pending.set(subject, count)
    // what is waited for seldom changes, however many keys there are
    if (count === 0 || (more === 1 && count === 1)) this.#deadline.say(this.#late())
  }

  #late(): LastLine {
    const subject = this.#pending.size === 0 ? "this host" : [...this.#pending.keys()].join(", ")
    const message = `no answer of ${subject} within ${durationText(this.#seconds)}${this.#looked}`
    const finding = { id: "TIMEOUT", status: "unknown", message, name: null, target: null, hint: LATE_HINT } as const
    return this.#lineOf(
      outputOf({
        status: "unknown",
        checks: [{ ...finding, acceptedUntil: null }],
        perfdata: "",
        keys: { well: 0, unprovisioned: 0 },
      }),
    )
  }

  #lineOf({ result, text, exit = "OK" }: CheckOutput): LastLine {
    const { status } = EXIT_CODES[exit]
    const facts = JSON.stringify({ schemaVersion: SCHEMA_VERSION, ...result }, null, 2)
    return { text: this.#json ? printableJson(facts) : printableLines(text()), status }
  }

  #say(output: CheckOutput): void {
    this.#deadline.say(this.#lineOf(output))
  }
}
