import { readFileSync } from "node:fs"
import { join } from "node:path"
import type { CustodyEvent } from "#src/core/records/custody-event.js"
import { CUSTODY_LOG } from "#src/store/archive/log-parts.js"

/** Every event of a state directory's custody log, in order; none where nothing was ever recorded. */
export function custodyEvents(stateDir: string): readonly CustodyEvent[] {
  try {
    const lines = readFileSync(join(stateDir, CUSTODY_LOG), "utf8").split("\n").slice(0, -1)
    return lines.map((line) => JSON.parse(line) as CustodyEvent)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return []
    throw error
  }
}
