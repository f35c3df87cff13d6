import { spawn } from "node:child_process"
import { once } from "node:events"
import { shellWord } from "#src/core/base/shell-word.js"
import { MAIN } from "./cli.js"

export interface Screened {
  /** Everything that was written, in order. */
  readonly record: string
  /** What is to be seen at the end, blank lines at its end left out. */
  readonly screen: readonly string[]
}

/** Runs the built keyferry on a pseudo-terminal of script(1) with so many columns. */
export async function onTerminal(
  args: readonly string[],
  { env, columns }: { readonly env: Readonly<Record<string, string>>; readonly columns: number },
): Promise<Screened> {
  const command = `stty cols ${columns} rows 24; exec ${[process.execPath, MAIN, ...args].map(shellWord).join(" ")}`
  const child = spawn("script", ["--quiet", "--return", "--command", command, "/dev/null"], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { PATH: process.env["PATH"], HOME: process.env["HOME"], TERM: "xterm", NO_COLOR: "1", ...env },
  })
  let record = ""
  child.stdout.setEncoding("utf8").on("data", (piece: string) => (record += piece))
  await once(child, "close")
  return { record, screen: screenOf(record, columns) }
}

/** What a terminal makes of carriage returns, line ends, and the erasing of a line from the cursor on. */
function screenOf(record: string, columns: number): readonly string[] {
  const lines = [""]
  let [row, column] = [0, 0]
  const newLine = (): void => {
    row += 1
    column = 0
    lines[row] ??= ""
  }
  // eslint-disable-next-line no-control-regex
  for (const [piece] of record.matchAll(/\u001b\[[\d;]*[A-Za-z]|[^]/gu)) {
    if (piece === "\r") column = 0
    else if (piece === "\n") newLine()
    else if (piece === "\u001b[K") lines[row] = (lines[row] ?? "").slice(0, column)
    else if (!piece.startsWith("\u001b")) {
      if (column === columns) newLine()
      const line = (lines[row] ?? "").padEnd(column)
      lines[row] = line.slice(0, column) + piece + line.slice(column + 1)
      column += 1
    }
  }
  while (lines.at(-1)?.trim() === "") lines.pop()
  return lines
}
