import { closeSync, constants } from "node:fs"
import { join } from "node:path"
import { KeyferryError } from "../../core/base/error.js"
import { lockFile } from "../../libc/libc.js"
import { stateWriteError } from "./atomic-file.js"
import { makeFolder } from "./make-folder.js"
import { openStateFile } from "./state-file.js"

/**
 * Keeps a second agent from the state directory for as long as this one is there: each would tell everybody of
 * everything. Commands of people are not concerned. The kernel gives it back however the process ends.
 *
 * @throws ERR_STATE_LOCKED, ERR_STATE_WRITE
 */
export async function lockAgent(stateDir: string): Promise<Disposable> {
  const folder = join(stateDir, "agent")
  const path = join(folder, "running")
  await makeFolder(folder)
  let file: number
  try {
    file = openStateFile(path, constants.O_RDWR | constants.O_CREAT)
  } catch (error) {
    throw stateWriteError(path, error)
  }
  if (await lockFile(file, "exclusive")) return { [Symbol.dispose]: () => closeSync(file) }
  closeSync(file)
  throw new KeyferryError("ERR_STATE_LOCKED", `another agent works on the state directory ${stateDir}`, {
    hint: "one agent for a state directory: stop the other, or give this one another --state-dir",
  })
}
