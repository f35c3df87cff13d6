import { closeSync, openSync, rmSync } from "node:fs"
import { rm } from "node:fs/promises"
import { dirname, join } from "node:path"
import type { StoredText, TextPath, Texts } from "../records/texts.js"
import { removeLeftovers, replaceFile, stateWriteError, syncFolder } from "./atomic-file.js"
import { isMissing } from "./file-error.js"
import { makeFolder } from "./make-folder.js"
import { namesIn } from "./names-in.js"
import { assertFolder, readText } from "./state-file.js"

/**
 * Texts as files of the state directory, mode 0600, in folders of mode 0700, written to a temporary name, fsynced and
 * renamed. Writers hold the state directory's lock.
 */
export function fileTexts(stateDir: string): Texts {
  const checked = new Set<string>()
  const prepared = new Map<string, Promise<void>>()
  const fileOf = (path: TextPath): string => join(stateDir, ...path)

  /** Each folder once: links and what others can write are refused. */
  const check = (folder: readonly string[]): void => {
    for (const [index] of folder.entries()) {
      const path = join(stateDir, ...folder.slice(0, index + 1))
      if (checked.has(path)) continue
      assertFolder(path)
      checked.add(path)
    }
  }

  /** Each folder once, unless that failed: a disk that was full may have room the next time. */
  const prepare = async (folder: string): Promise<void> => {
    const preparation = prepared.get(folder) ?? prepareFolder(stateDir, folder)
    prepared.set(folder, preparation)
    try {
      await preparation
    } catch (error) {
      prepared.delete(folder)
      throw error
    }
  }

  const names = (folder: TextPath): Promise<readonly string[]> =>
    atOnce(() => {
      check(folder)
      return namesIn(fileOf(folder))
    })

  const read = (path: TextPath): Promise<string | undefined> =>
    atOnce(() => {
      check(path.slice(0, -1))
      return readText(fileOf(path))
    })

  async function* below(folder: TextPath, depth: number): AsyncIterable<StoredText> {
    for (const name of await names(folder)) {
      const path: TextPath = [...folder, name]
      if (depth > 1) yield* below(path, depth - 1)
      else yield { path, read: () => read(path) }
    }
  }

  return {
    placeOf: fileOf,
    names,
    read,
    below,

    async put(path, text) {
      check(path.slice(0, -1))
      await prepare(dirname(fileOf(path)))
      await replaceFile(fileOf(path), text)
    },

    async remove(path) {
      check(path.slice(0, -1))
      const file = fileOf(path)
      try {
        await rm(file)
        await syncFolder(dirname(file))
      } catch (error) {
        if (!isMissing(error)) throw stateWriteError(file, error)
      }
    },

    async mark(path) {
      const file = fileOf(path)
      await makeFolder(dirname(file))
      try {
        closeSync(openSync(file, "wx", 0o600))
      } catch (error) {
        throw stateWriteError(file, error)
      }
    },

    unmark: (path) =>
      atOnce(() => {
        try {
          rmSync(fileOf(path), { force: true })
        } catch (error) {
          throw stateWriteError(fileOf(path), error)
        }
      }),
  }
}

/** What needs no thread: a hop there and back costs several times what reading a small file does. */
const atOnce = async <T>(work: () => T): Promise<T> => await Promise.resolve().then(work)

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
