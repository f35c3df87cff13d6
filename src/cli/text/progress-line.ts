/** How often the line is written anew at most. */
const EVERY_MS = 100

/** One line on a terminal that says how far long work has come; nothing elsewhere. */
export interface ProgressLine extends Disposable {
  readonly onRow: (finished: number, total: number) => void
}

export function progressLine(activity: string, stream: NodeJS.WriteStream = process.stderr): ProgressLine {
  let shownAt = 0
  let shown = false
  const clear = (): void => {
    if (shown) stream.write("\r\u001b[K")
    shown = false
  }
  return {
    onRow(finished, total) {
      const now = performance.now()
      if (!stream.isTTY || total < 2 || now - shownAt < EVERY_MS) return
      shownAt = now
      stream.write(`\r\u001b[Kkeyferry: ${activity} ${finished} of ${total}`)
      shown = true
    },
    [Symbol.dispose]: clear,
  }
}
