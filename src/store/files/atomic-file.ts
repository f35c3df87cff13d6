import { randomBytes } from "node:crypto"
import { closeSync, fsync, openSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { readdir, rm } from "node:fs/promises"
import { basename, dirname, join } from "node:path"
import { promisify } from "node:util"
import { KeyferryError } from "../../core/base/error.js"
import { causesOf } from "./file-error.js"
import { isRunning } from "./process-identity.js"

/** The one call that waits for the disk; the others are made at once, being cheaper than the way to a thread and back. */
const sync = promisify(fsync)

const TEMPORARY = /^\..+\.(\d+)-[0-9a-f]{16}\.tmp$/

/**
 * Writes a new file, mode 0600 and fsynced, beside `path` under a temporary name that tells who writes it.
 *
 * @returns the temporary path
 */
export async function writeTemporary(path: string, content: string | Uint8Array): Promise<string> {
  const name = `.${basename(path)}.${process.pid}-${randomBytes(8).toString("hex")}.tmp`
  const temporary = join(dirname(path), name)
  const file = openSync(temporary, "wx", 0o600)
  try {
    writeFileSync(file, content)
    await sync(file)
  } catch (error) {
    rmSync(temporary, { force: true })
    throw error
  } finally {
    closeSync(file)
  }
  return temporary
}

/** Makes the names in a folder durable: what was renamed or linked into it stays so after a power cut. */
export async function syncFolder(path: string): Promise<void> {
  const folder = openSync(path, "r")
  try {
    await sync(folder)
  } finally {
    closeSync(folder)
  }
}

/**
 * Replaces a file of the state directory as a whole: temporary name, fsync, rename, fsync of the folder. Killed at any
 * moment, it leaves the old content or the new.
 *
 * @throws ERR_STATE_WRITE
 */
export async function replaceFile(path: string, content: string): Promise<void> {
  try {
    const temporary = await writeTemporary(path, content)
    try {
      renameSync(temporary, path)
    } catch (error) {
      rmSync(temporary, { force: true })
      throw error
    }
    await syncFolder(dirname(path))
  } catch (error) {
    throw stateWriteError(path, error)
  }
}

/** ERR_STATE_WRITE about a path, with the errno among its causes. */
export function stateWriteError(path: string, error: unknown): KeyferryError {
  return new KeyferryError("ERR_STATE_WRITE", `could not write ${path}`, { cause: error, causes: causesOf(error) })
}

/** Removes temporary files of writers that are gone, of every file in the folder or of the one named. */
export async function removeLeftovers(folder: string, name?: string): Promise<void> {
  const prefix = name === undefined ? "." : `.${name}.`
  for (const entry of await readdir(folder)) {
    const pid = entry.startsWith(prefix) ? TEMPORARY.exec(entry)?.[1] : undefined
    if (pid !== undefined && !isRunning(Number(pid))) await rm(join(folder, entry), { force: true })
  }
}
