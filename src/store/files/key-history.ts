import { setImmediate as breath } from "node:timers/promises"
import { custodyLines } from "./custody-log-reader.js"

/** One line of the custody log that is about a key, as an object; see docs/operations.md. */
export type KeyHistoryLine = Readonly<Record<string, unknown>> & { readonly time: string; readonly event: string }

/** Lines that are read before others have their turn. */
const AT_ONCE = 2_000

/**
 * The newest lines of the custody log, of its closed parts too, that are about a name; newest first. Lines that are none
 * are passed over: `check` and `doctor` say what is wrong with the log.
 */
export async function keyHistory(stateDir: string, name: string, most: number): Promise<readonly KeyHistoryLine[]> {
  const word = JSON.stringify(name)
  const lines: KeyHistoryLine[] = []
  let read = 0
  for (const text of custodyLines(stateDir)) {
    read += 1
    if (read % AT_ONCE === 0) await breath()
    if (!text.includes(word)) continue
    const line = lineOf(text)
    if (line?.["name"] !== name) continue
    lines.push(line)
    if (lines.length > most) lines.shift()
  }
  return lines.reverse()
}

function lineOf(text: string): KeyHistoryLine | null {
  try {
    const line = JSON.parse(text) as KeyHistoryLine | null
    return typeof line?.time === "string" && typeof line.event === "string" ? line : null
  } catch {
    return null
  }
}
