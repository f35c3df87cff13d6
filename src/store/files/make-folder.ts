import { mkdir, stat } from "node:fs/promises"
import { dirname } from "node:path"
import { stateWriteError, syncFolder } from "./atomic-file.js"

/**
 * Makes a folder of the state directory with its parents, mode 0700, each name of a new one durable in the folder above.
 *
 * @throws ERR_STATE_WRITE
 */
export async function makeFolder(path: string): Promise<void> {
  try {
    await makeWithParents(path)
  } catch (error) {
    throw stateWriteError(path, error)
  }
}

/** Node's own recursive mkdir never ends where no folder can be made and the system says ENOENT, as under /proc. */
async function makeWithParents(path: string): Promise<void> {
  if (await makeOne(path)) return
  await makeWithParents(dirname(path))
  if (!(await makeOne(path))) throw Object.assign(new Error(`no folder can be made at ${path}`), { code: "ENOENT" })
}

/** False where the parent is missing. Throws what mkdir throws, unless the folder is there already. */
async function makeOne(path: string): Promise<boolean> {
  try {
    await mkdir(path, { mode: 0o700 })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === "ENOENT" && dirname(path) !== path) return false
    if (code === "EEXIST" && (await stat(path)).isDirectory()) return true
    throw error
  }
  await syncFolder(dirname(path))
  return true
}
