import { stateRecords, type StateRecords } from "#src/host/state-records.js"
import type { Clock } from "#src/core/ports/clock.js"
import { custodyLogFile } from "#src/store/files/custody-log.js"
import { fileTexts } from "#src/store/files/file-texts.js"

/** What a state directory holds, as the use cases see it. */
export function stateFiles(stateDir: string, clock: Pick<Clock, "now">): StateRecords {
  return stateRecords(fileTexts(stateDir), custodyLogFile(stateDir, clock))
}
