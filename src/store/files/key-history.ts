import { setImmediate as breath } from "node:timers/promises"
import { historyLine, type KeyHistoryLine } from "../records/history-line.js"
import { custodyLines } from "./custody-log-reader.js"

/** Lines that are read before others have their turn. */
const AT_ONCE = 2_000

/**
 * The newest lines of the custody log, of its closed parts too, that are about each name; newest first. The log is read
 * once. Lines that are none are passed over: `check` and `doctor` say what is wrong with the log.
 */
export async function keyHistories(
  stateDir: string,
  names: ReadonlySet<string>,
  limit: number,
): Promise<ReadonlyMap<string, readonly KeyHistoryLine[]>> {
  const histories = new Map<string, KeyHistoryLine[]>()
  // of one name most lines need not be parsed
  const word = names.size === 1 ? JSON.stringify([...names][0]) : ""
  let read = 0
  for (const text of custodyLines(stateDir)) {
    read += 1
    if (read % AT_ONCE === 0) await breath()
    if (!text.includes(word)) continue
    const line = historyLine(text)
    const name = line?.["name"]
    if (line === null || typeof name !== "string" || !names.has(name)) continue
    const lines = histories.get(name) ?? []
    lines.push(line)
    if (lines.length > limit) lines.shift()
    histories.set(name, lines)
  }
  return new Map([...histories].map(([name, lines]) => [name, lines.toReversed()]))
}
