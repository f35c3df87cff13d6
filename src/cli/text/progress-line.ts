/** How often the line is written anew at most. */
const EVERY_MS = 100

/** One line on a terminal that says how far long work has come; nothing elsewhere. */
export interface ProgressLine extends Disposable {
  readonly onRow: (over: number, of: number) => void
}

export function progressLine(what: string, stream: NodeJS.WriteStream = process.stderr): ProgressLine {
  let shownAt = 0
  let shown = false
  const clear = (): void => {
    if (shown) stream.write("\r\u001b[K")
    shown = false
  }
  return {
    onRow(over, of) {
      const now = performance.now()
      if (!stream.isTTY || of < 2 || now - shownAt < EVERY_MS) return
      shownAt = now
      stream.write(`\r\u001b[Kkeyferry: ${what} ${over} of ${of}`)
      shown = true
    },
    [Symbol.dispose]: clear,
  }
}
