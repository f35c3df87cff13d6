/** How often the line is written anew at most. */
const EVERY_MS = 100

/** One line on a terminal that says how far long work has come; nothing elsewhere. */
export interface ProgressLine extends Disposable {
  readonly onRow: (finished: number, total: number) => void
}

/**
 * Standard error as the commands write to it: the line of long work is taken away before anything else is written, by
 * whomever.
 */
export class Terminal {
  readonly #stream: NodeJS.WriteStream
  readonly #isQuiet: boolean
  #shown = ""

  constructor(stream: NodeJS.WriteStream, { quiet }: { readonly quiet: boolean }) {
    this.#stream = stream
    this.#isQuiet = quiet
    if (!stream.isTTY) return
    const write = stream.write.bind(stream) as (...args: unknown[]) => boolean
    stream.write = (...args: unknown[]) => {
      if (this.#shown !== "") write("\r\u001b[K")
      this.#shown = ""
      return write(...args)
    }
  }

  /** Shows how far `activity` has come, until it is disposed of. */
  progressLine(activity: string): ProgressLine {
    let shownAt = 0
    return {
      onRow: (finished, total) => {
        const now = performance.now()
        if (!this.#stream.isTTY || this.#isQuiet || total < 2 || now - shownAt < EVERY_MS) return
        shownAt = now
        const line = `keyferry: ${activity} ${finished} of ${total}`
        this.#stream.write(line)
        this.#shown = line
      },
      [Symbol.dispose]: () => {
        this.#stream.write("")
      },
    }
  }
}
