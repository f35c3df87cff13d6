import { closeSync, constants } from "node:fs"
import { join } from "node:path"
import type { ChainEnd } from "../../core/records/custody-chain.js"
import type { StateBackup } from "../../core/records/state-backup.js"
import { replaceFile } from "./atomic-file.js"
import { CUSTODY_LOG } from "./custody-log-reader.js"
import { logEnd } from "./custody-log.js"
import { isMissing } from "./file-error.js"
import { jsonText } from "../records/json-format.js"
import { openStateFile, readText } from "./state-file.js"

const FILE = "last-export.json"

/** The newest archive that was made of a state directory, or that it was made from. */
export interface LastExport {
  /** RFC 3339 UTC. */
  readonly exportedAt: string
  /** `sha256:…`, as the archive's last line has it. */
  readonly digest: string
  /** Where the custody log ended. */
  readonly log: ChainEnd
}

/** @throws ERR_STATE_WRITE */
export async function noteExport(stateDir: string, { exportedAt, digest, log }: LastExport): Promise<void> {
  await replaceFile(join(stateDir, FILE), jsonText({ exportedAt, digest, log }))
}

/** A note that cannot be read is none: then there may be no archive. */
export function backupOf(stateDir: string): StateBackup {
  const end = endOfLog(stateDir)
  try {
    const { exportedAt, log } = JSON.parse(readText(join(stateDir, FILE)) ?? "null") as LastExport
    if (Number.isNaN(Date.parse(exportedAt)) || !Number.isSafeInteger(log.seq)) throw new Error("no note of an export")
    return { exportedAt, linesSince: end === null ? null : end.seq - log.seq }
  } catch {
    return { exportedAt: null, linesSince: end?.seq ?? null }
  }
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
