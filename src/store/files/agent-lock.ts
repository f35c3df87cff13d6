import { closeSync } from "node:fs"
import { join } from "node:path"
import { KeyferryError } from "../../core/base/error.js"
import { openLock, tryLock } from "./lock.js"
import { makeFolder } from "./make-folder.js"

/**
 * Keeps a second agent from the state directory for as long as this one is there: each would tell everybody of
 * everything. Commands of people are not concerned. The kernel gives it back however the process ends.
 *
 * @throws ERR_STATE_LOCKED, ERR_STATE_LOCK_UNUSABLE, ERR_STATE_WRITE
 */
export async function lockAgent(stateDir: string): Promise<Disposable> {
  const folder = join(stateDir, "agent")
  const path = join(folder, "running")
  await makeFolder(folder)
  const file = openLock(path)
  try {
    if (await tryLock(file, "exclusive", path)) return { [Symbol.dispose]: () => closeSync(file) }
  } catch (error) {
    closeSync(file)
    throw error
  }
  closeSync(file)
  throw new KeyferryError("ERR_STATE_LOCKED", `another agent works on the state directory ${stateDir}`, {
    hint: "one agent for a state directory: stop the other, or give this one another --state-dir",
  })
}
