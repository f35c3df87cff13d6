import { randomBytes } from "node:crypto"
import { closeSync, constants, fstatSync, fsync, openSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { readdir, rm } from "node:fs/promises"
import { basename, dirname, join } from "node:path"
import { promisify } from "node:util"
import { KeyferryError } from "../../core/base/error.js"
import { lockFile } from "../../libc/libc.js"
import { causesOf } from "./file-error.js"
import { assertReplaceable } from "./state-file.js"

/** The one call that waits for the disk; the others are made at once, being cheaper than the way to a thread and back. */
const sync = promisify(fsync)

const TEMPORARY = /^\..+\.\d+-[0-9a-f]{16}\.tmp$/

/** What a file is to hold; piece after piece where it is too much for memory. */
export type Content = string | Uint8Array | Iterable<string> | AsyncIterable<string>

/** A whole file under a temporary name. Until it is disposed of, nobody takes it for a leftover. */
export interface TemporaryFile extends Disposable {
  readonly path: string
}

/**
 * Writes a new file, mode 0600 and fsynced, beside `path` under a temporary name. Its lock says that its writer lives: a
 * process ID would say it on one host and in one PID namespace only.
 */
export async function writeTemporary(path: string, content: Content): Promise<TemporaryFile> {
  for (;;) {
    const name = `.${basename(path)}.${process.pid}-${randomBytes(8).toString("hex")}.tmp`
    const temporary = join(dirname(path), name)
    const file = openSync(temporary, "wx", 0o600)
    try {
      // whoever clears up may have come between: then there is no such file any more
      if (!(await isLocked(file)) || fstatSync(file).nlink === 0) {
        closeSync(file)
        continue
      }
      if (typeof content === "string" || content instanceof Uint8Array) writeFileSync(file, content)
      else for await (const piece of content) writeFileSync(file, piece)
      await sync(file)
    } catch (error) {
      rmSync(temporary, { force: true })
      closeSync(file)
      throw error
    }
    return { path: temporary, [Symbol.dispose]: () => closeSync(file) }
  }
}

/** True too where no locks can be had: then no leftovers are removed either. */
async function isLocked(file: number): Promise<boolean> {
  try {
    return await lockFile(file, "exclusive")
  } catch {
    return true
  }
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
 * @throws ERR_STATE_WRITE, ERR_STATE_UNSAFE where something else than a file is in its place
 */
export async function replaceFile(path: string, content: Content): Promise<void> {
  try {
    assertReplaceable(path)
    using temporary = await writeTemporary(path, content)
    try {
      renameSync(temporary.path, path)
    } catch (error) {
      rmSync(temporary.path, { force: true })
      throw error
    }
    await syncFolder(dirname(path))
  } catch (error) {
    throw stateWriteError(path, error)
  }
}

/** ERR_STATE_WRITE about a path, with the errno among its causes; an error that keyferry has named stays as it is. */
export function stateWriteError(path: string, error: unknown): KeyferryError {
  if (error instanceof KeyferryError) return error
  return new KeyferryError("ERR_STATE_WRITE", `could not write ${path}`, { cause: error, causes: causesOf(error) })
}

/** Removes temporary files of writers that are gone, of every file in the folder or of the one named. */
export async function removeLeftovers(folder: string, name?: string): Promise<void> {
  const prefix = name === undefined ? "." : `.${name}.`
  for (const entry of await readdir(folder)) {
    if (entry.startsWith(prefix) && TEMPORARY.test(entry)) await removeIfLeft(join(folder, entry))
  }
}

async function removeIfLeft(path: string): Promise<void> {
  let file: number
  try {
    file = openSync(path, constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  } catch {
    // gone meanwhile, or nothing that keyferry made
    return
  }
  try {
    if (fstatSync(file).isFile() && (await lockFile(file, "exclusive"))) await rm(path, { force: true })
  } catch {
    // where there are no locks it stays
  } finally {
    closeSync(file)
  }
}
