import { sha256 } from "../../core/key/wrapping-key.js"
import type { KeptLog } from "../../core/ports/state-copy.js"
import { readLine } from "../../core/records/custody-chain.js"

/** Folder of the state in which the custody logs of copies are kept, each by the hash of its last line. */
export const MERGED_LOGS = "merged-logs"

/** Its file name, and where it ends; null for a log without a line. */
export function keptLogOf(text: string): KeptLog | null {
  const lines = text.split("\n").filter((line) => line !== "")
  const last = lines.at(-1)
  if (last === undefined) return null
  const read = readLine(last)
  const head = "end" in read ? read.end.hash : sha256(Buffer.from(text, "utf8"))
  return { path: `${head.slice("sha256:".length)}.jsonl`, lines: lines.length, head }
}
