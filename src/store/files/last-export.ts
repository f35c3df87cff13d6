import { closeSync, constants } from "node:fs"
import { join } from "node:path"
import type { ChainEnd } from "../../core/records/custody-chain.js"
import type { StateBackup } from "../../core/records/state-backup.js"
import { backupSince } from "../archive/last-export.js"
import { CUSTODY_LOG } from "../archive/log-parts.js"
import { logEnd } from "./custody-log.js"
import { isMissing } from "./file-error.js"
import { fileTexts } from "./file-texts.js"
import { openStateFile } from "./state-file.js"

/** When the state directory was last exported, and how many lines its custody log has since. */
export async function backupOf(stateDir: string): Promise<StateBackup> {
  return await backupSince(fileTexts(stateDir), endOfLog(stateDir))
}

function endOfLog(stateDir: string): ChainEnd | null {
  const path = join(stateDir, CUSTODY_LOG)
  try {
    const file = openStateFile(path, constants.O_RDONLY)
    try {
      return logEnd(path, file)
    } finally {
      closeSync(file)
    }
  } catch (error) {
    return isMissing(error) ? { seq: 0, hash: "" } : null
  }
}
