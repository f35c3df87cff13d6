import { accessSync, constants, lstatSync, statfsSync } from "node:fs"
import { join } from "node:path"
import { stateWriteError } from "./atomic-file.js"

/** Where a run writes what must not be lost. */
const FOLDERS = ["inventory", "vault", "custody-keys", "operations"]

/**
 * Refuses a state directory that is full, read-only, or has something else in the place of a folder: found here, it costs
 * no KMS key and no GetParametersForImport.
 *
 * @throws ERR_STATE_WRITE
 */
export function refuseUnwritable(stateDir: string): void {
  attempt(stateDir, () => {
    accessSync(stateDir, constants.W_OK | constants.X_OK)
    const { bavail, bfree } = statfsSync(stateDir)
    // some blocks are kept for root
    if ((process.getuid?.() === 0 ? bfree : bavail) === 0)
      throw Object.assign(new Error("no space left"), { code: "ENOSPC" })
  })
  for (const name of FOLDERS) {
    const path = join(stateDir, name)
    attempt(path, () => {
      const stats = lstatSync(path, { throwIfNoEntry: false })
      if (stats === undefined) return
      if (!stats.isDirectory()) throw Object.assign(new Error("not a folder"), { code: "ENOTDIR" })
      accessSync(path, constants.W_OK | constants.X_OK)
    })
  }
}

function attempt(path: string, look: () => void): void {
  try {
    look()
  } catch (error) {
    throw stateWriteError(path, error)
  }
}
