import { cut } from "./width.js"

/** How often the line is written anew at most. */
const EVERY_MS = 100

/** Called as each key is finished with, with how many are; with 0 before the first. */
export type OnRow = (finished: number, total: number) => void

/** One line on a terminal that says how far long work has come; nothing elsewhere. */
export interface ProgressLine extends Disposable {
  readonly onRow: OnRow
}

/** Where long work says how far it has come. */
export interface ProgressLines {
  /** Shows how far `activity` has come, until it is disposed of. */
  progressLine(activity: string): ProgressLine
}

/** Where nobody looks on. */
export const NO_PROGRESS_LINES: ProgressLines = {
  progressLine: () => ({ onRow: () => undefined, [Symbol.dispose]: () => undefined }),
}

/** Of a terminal that does not tell. */
const USUAL_WIDTH = 80

/**
 * Standard error as the commands write to it: the line of long work is taken away before anything else is written, by
 * whomever, and is not written behind what has no line end yet, such as a question.
 */
export class Terminal implements ProgressLines {
  readonly #stream: NodeJS.WriteStream
  readonly #isQuiet: boolean
  readonly #write: NodeJS.WriteStream["write"]
  #shown = ""
  #isLineOpen = false

  constructor(stream: NodeJS.WriteStream, { quiet }: { readonly quiet: boolean }) {
    this.#stream = stream
    this.#isQuiet = quiet
    this.#write = stream.write.bind(stream)
    if (!stream.isTTY) return
    stream.write = ((...args: Parameters<NodeJS.WriteStream["write"]>) => {
      this.#erase()
      const text = typeof args[0] === "string" ? args[0] : Buffer.from(args[0]).toString()
      if (text !== "") this.#isLineOpen = !text.endsWith("\n")
      return this.#write(...args)
    }) as NodeJS.WriteStream["write"]
  }

  progressLine(activity: string): ProgressLine {
    let shownAt = -Infinity
    return {
      onRow: (finished, total) => {
        const now = performance.now()
        if (!this.#stream.isTTY || this.#isQuiet || this.#isLineOpen || total < 2 || now - shownAt < EVERY_MS) return
        shownAt = now
        this.#show(`keyferry: ${activity} ${finished} of ${total}`)
      },
      [Symbol.dispose]: () => {
        this.#erase()
      },
    }
  }

  /** A line that is as wide as the terminal would go on in the next, which is not erased. */
  #show(line: string): void {
    this.#erase()
    this.#shown = cut(line, (this.#stream.columns || USUAL_WIDTH) - 1)
    this.#write(this.#shown)
  }

  #erase(): void {
    if (this.#shown !== "") this.#write("\r\u001b[K")
    this.#shown = ""
  }
}
