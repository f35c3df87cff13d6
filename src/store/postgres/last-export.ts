import { KeyferryError } from "../../core/base/error.js"
import type { ChainEnd } from "../../core/records/custody-chain.js"
import type { StateBackup } from "../../core/records/state-backup.js"
import { backupSince } from "../archive/last-export.js"
import { logEnd } from "./custody-log-table.js"
import type { Database } from "./database.js"
import { rowTexts } from "./row-texts.js"

/** When the state in the database was last exported, and how many lines its custody log has since. @throws ERR_DATABASE_* */
export async function backupOf(database: Database): Promise<StateBackup> {
  return await backupSince(rowTexts(database), await endOfLog(database))
}

/** Null where its last line is damaged. */
async function endOfLog(database: Database): Promise<ChainEnd | null> {
  try {
    return await logEnd(database)
  } catch (error) {
    if (error instanceof KeyferryError && error.code === "ERR_STATE_INVALID") return null
    throw error
  }
}
