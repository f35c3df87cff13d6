import { accessSync, closeSync, constants, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { stateWriteError } from "./atomic-file.js"
import { assertFolder, openStateFile } from "./state-file.js"

/** Where a run writes what must not be lost. */
const FOLDERS = ["inventory", "vault", "custody-keys", "operations"]

/** More than a run writes of one key, in bytes. */
const ROOM = 65_536

/**
 * Refuses a state directory that is full, read-only, or has something else in the place of a folder: found here, it costs
 * no KMS key and no GetParametersForImport. The caller holds the lock.
 *
 * @throws ERR_STATE_WRITE, ERR_STATE_UNSAFE
 */
export function refuseUnwritable(stateDir: string): void {
  for (const name of FOLDERS) {
    const path = join(stateDir, name)
    try {
      assertFolder(path)
      accessSync(path, constants.W_OK | constants.X_OK)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw stateWriteError(path, error)
    }
  }
  const probe = join(stateDir, ".room")
  try {
    const file = openStateFile(probe, constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC)
    try {
      writeFileSync(file, Buffer.alloc(ROOM))
    } finally {
      closeSync(file)
    }
  } catch (error) {
    throw stateWriteError(stateDir, error)
  } finally {
    rmSync(probe, { force: true })
  }
}
