import { readdirSync } from "node:fs"
import { rm } from "node:fs/promises"
import { dirname, join } from "node:path"
import { isDeepStrictEqual } from "node:util"
import { KeyferryError } from "../../core/base/error.js"
import { removeLeftovers, replaceFile, stateWriteError, syncFolder } from "./atomic-file.js"
import { isMissing } from "./file-error.js"
import { makeFolder } from "./make-folder.js"
import { assertFolder, readText, unreadable } from "./state-file.js"

/** What a file holds, or in words what is wrong with it. */
export type Parsed<T> = { readonly content: T } | { readonly fault: string }

/** How the content of a file is written, and read again. */
export interface FileFormat<T> {
  text(content: T): string
  /** May load a validator, which costs more than reading so small a file. */
  parse(text: string): Promise<Parsed<T>>
}

/** A folder of the state directory in which each file is replaced as a whole, mode 0600. */
export interface JsonFolder<T> {
  readonly path: string
  /** Names of its files, sorted, without temporary ones; none where there is no folder. */
  names(): readonly string[]
  /** Undefined where the file is not there. @throws ERR_INPUT_UNREADABLE, ERR_STATE_UNSAFE, ERR_STATE_INVALID */
  read(file: string): Promise<Parsed<T> | undefined>
  /** As `read`, for who cannot do without. @throws ERR_STATE_INVALID too, naming file and fault */
  get(file: string): Promise<T | undefined>
  /** Durable when it returns, with every folder that it made. @throws ERR_STATE_WRITE */
  put(file: string, content: T): Promise<void>
  /** A file that is not there is no error. @throws ERR_STATE_WRITE */
  remove(file: string): Promise<void>
}

/**
 * The folder at `parts` below the state directory. Writers hold the state directory's lock; readers need none, since a
 * file is always whole.
 */
export function jsonFolder<T>(stateDir: string, parts: readonly string[], format: FileFormat<T>): JsonFolder<T> {
  const path = join(stateDir, ...parts)
  /** The folder, and those between it and the state directory. */
  const folders = parts.map((_, index) => join(stateDir, ...parts.slice(0, index + 1)))
  let isChecked = false
  let prepared: Promise<void> | undefined

  const check = (): void => {
    if (isChecked) return
    for (const folder of folders) assertFolder(folder)
    isChecked = true
  }

  const read = async (file: string): Promise<Parsed<T> | undefined> => {
    check()
    const text = readText(join(path, file))
    return text === undefined ? undefined : await format.parse(text)
  }

  return {
    path,
    read,
    names() {
      check()
      return namesIn(path)
    },

    async get(file) {
      const parsed = await read(file)
      if (parsed === undefined) return undefined
      if ("fault" in parsed) throw new KeyferryError("ERR_STATE_INVALID", `${join(path, file)}: ${parsed.fault}`)
      return parsed.content
    },

    async put(file, content) {
      check()
      prepared ??= prepareFolder(stateDir, path)
      await prepared
      await replaceFile(join(path, file), await checkedText(format, content, join(path, file)))
    },

    async remove(file) {
      check()
      try {
        await rm(join(path, file))
        await syncFolder(path)
      } catch (error) {
        if (!isMissing(error)) throw stateWriteError(join(path, file), error)
      }
    },
  }
}

/**
 * The text of a file, once it was seen that a later run reads the same out of it: what comes from elsewhere must not make
 * a state that keyferry itself refuses.
 *
 * @throws ERR_STATE_INVALID with nothing written
 */
async function checkedText<T>(format: FileFormat<T>, content: T, path: string): Promise<string> {
  const text = format.text(content)
  const parsed = await format.parse(text)
  const fault = "fault" in parsed ? parsed.fault : difference(text, format.text(parsed.content))
  if (fault === null) return text
  throw new KeyferryError("ERR_STATE_INVALID", `what was to be written could not be read again: ${path}: ${fault}`, {
    hint: "nothing was written: please report this with the line above",
  })
}

/** Null where both texts say the same, in whatever order: a digest of a file's own depends on that. */
function difference(written: string, read: string): string | null {
  const fields = (text: string): object => ({ ...(JSON.parse(text) as object), digest: undefined })
  return isDeepStrictEqual(fields(written), fields(read)) ? null : "it would be read as something else"
}

/**
 * Names in a folder of the state directory, sorted, without hidden and temporary ones; none where it is not there.
 *
 * @throws ERR_STATE_UNSAFE, ERR_INPUT_UNREADABLE
 */
export function namesIn(folder: string): readonly string[] {
  try {
    assertFolder(folder)
    return readdirSync(folder)
      .filter((name) => !name.startsWith("."))
      .sort()
  } catch (error) {
    if (isMissing(error)) return []
    throw unreadable(folder, error)
  }
}

/** Makes the folder with its parents, each name durable in the folder above, and clears it of what killed writers left. */
async function prepareFolder(stateDir: string, folder: string): Promise<void> {
  await makeFolder(folder)
  try {
    await removeLeftovers(folder)
    for (let parent = dirname(folder); parent.length >= stateDir.length; parent = dirname(parent)) {
      await syncFolder(parent)
    }
  } catch (error) {
    throw stateWriteError(folder, error)
  }
}
