import { access, constants, copyFile, link, lstat, open, rm } from "node:fs/promises"
import { basename, dirname } from "node:path"
import { KeyferryError } from "../../core/base/error.js"
import { type Content, removeLeftovers, syncFolder, writeTemporary } from "./atomic-file.js"
import { causesOf, type FileError, isMissing } from "./file-error.js"

/** Answers of file systems without hard links: a USB stick with FAT, some network shares. */
const NO_LINKS: ReadonlySet<string> = new Set(["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK"])

/**
 * Refuses a path that is taken or cannot be made, before the work is done whose result it is to hold.
 *
 * @throws ERR_OUTPUT_EXISTS, ERR_OUTPUT_WRITE if its folder is not there or not writable
 */
export async function refuseExisting(path: string): Promise<void> {
  try {
    // lstat: a dangling link is there as well
    await lstat(path)
  } catch (error) {
    if (!isMissing(error)) throw writeError(path, error)
    await assertWritable(path)
    return
  }
  throw existsError(path)
}

async function assertWritable(path: string): Promise<void> {
  try {
    await access(dirname(path), constants.W_OK | constants.X_OK)
  } catch (error) {
    throw writeError(path, error)
  }
}

/**
 * Writes a result to a file that must not exist yet, mode 0600: first under a temporary name, then linked into place,
 * so that a killed run leaves nothing half-written. Where the file system has no links the file is made under its own
 * name.
 *
 * @throws ERR_OUTPUT_EXISTS, ERR_OUTPUT_WRITE, and what pieces of the content throw, with nothing left
 */
export async function writeOutput(path: string, content: Content): Promise<void> {
  try {
    await removeLeftovers(dirname(path), basename(path))
    using temporary = await writeTemporary(path, content)
    try {
      await link(temporary.path, path)
    } catch (error) {
      if (!NO_LINKS.has((error as FileError).code ?? "")) throw error
      await copyInPlace(temporary.path, path)
    } finally {
      await rm(temporary.path, { force: true })
    }
    await syncFolder(dirname(path))
  } catch (error) {
    // what the content failed with, not the file
    if (error instanceof KeyferryError) throw error
    throw (error as FileError).code === "EEXIST" ? existsError(path) : writeError(path, error)
  }
}

async function copyInPlace(temporary: string, path: string): Promise<void> {
  await copyFile(temporary, path, constants.COPYFILE_EXCL)
  try {
    const file = await open(path, "r+")
    await file.sync().finally(() => file.close())
  } catch (error) {
    await rm(path, { force: true })
    throw error
  }
}

function existsError(path: string): KeyferryError {
  return new KeyferryError("ERR_OUTPUT_EXISTS", `${path} exists`)
}

function writeError(path: string, error: unknown): KeyferryError {
  return new KeyferryError("ERR_OUTPUT_WRITE", `could not write ${path}`, { cause: error, causes: causesOf(error) })
}
