import { mkdir } from "node:fs/promises"
import { resolve } from "node:path"
import { stateWriteError } from "./atomic-file.js"

/**
 * Makes the state directory, mode 0700, where it is missing; one that is there keeps its mode.
 *
 * @returns its absolute path
 * @throws ERR_STATE_WRITE
 */
export async function openStateDir(path: string): Promise<string> {
  const absolute = resolve(path)
  await makeFolder(absolute)
  return absolute
}

/** Makes a folder of the state directory with its parents, mode 0700. Throws ERR_STATE_WRITE. */
export async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 })
  } catch (error) {
    throw stateWriteError(path, error)
  }
}
