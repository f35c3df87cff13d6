import { type CheckedLine, failed, ok, warn } from "../app/doctor/check.js"
import type { ChainEnd } from "../core/records/custody-chain.js"
import type { StateBackup } from "../core/records/state-backup.js"

/** What `doctor` says of a state wherever it is kept. */

/** Each line of the custody log is held against the one before. */
export async function logLine(verifiedEnd: () => Promise<ChainEnd>): Promise<CheckedLine> {
  try {
    const { seq } = await verifiedEnd()
    return ok("custody-log", seq === 0 ? "the custody log has no line yet" : `the chain of its ${seq} lines is whole`)
  } catch (error) {
    return failed("custody-log", error)
  }
}

/** How old the last archive is, and whether something came after it. */
export function backupLine({ exportedAt, linesSince }: StateBackup): CheckedLine {
  const hint = "keyferry state export FILE, and keep FILE on another machine"
  if (exportedAt === null) {
    return linesSince === 0
      ? ok("backup", "there is nothing to export yet")
      : warn("backup", "the state was never exported", hint)
  }
  if (linesSince === 0) return ok("backup", `the state is as it was exported on ${exportedAt}`)
  const since = linesSince === null ? "" : `, and lines of the custody log since then: ${linesSince}`
  return warn("backup", `the state was last exported on ${exportedAt}${since}`, hint)
}
