import { readdir, rm } from "node:fs/promises"
import { join } from "node:path"
import { KeyferryError } from "../../core/base/error.js"
import type { ToBeLocked } from "../../core/ports/to-be-locked.js"
import { replaceFile, stateWriteError, syncFolder } from "./atomic-file.js"
import { causesOf, isMissing } from "./file-error.js"
import { jsonText } from "./json-file.js"
import { makeFolder } from "./state-dir.js"

const ENDING = ".json"

/** Source keys that are to be locked, as files `to-be-locked/<CKA_ID>.json` of the state directory: that one is there says it. */
export function toBeLockedFiles(stateDir: string): ToBeLocked {
  const folder = join(stateDir, "to-be-locked")
  const fileOf = (id: string): string => {
    if (!/^[0-9a-f]+$/.test(id)) throw new KeyferryError("ERR_BUG", `not the ID of a source key: ${JSON.stringify(id)}`)
    return join(folder, `${id}${ENDING}`)
  }
  return {
    async list() {
      try {
        return new Set((await readdir(folder)).filter((file) => file.endsWith(ENDING)).map(idOf))
      } catch (error) {
        if (isMissing(error)) return new Set<string>()
        throw new KeyferryError("ERR_INPUT_UNREADABLE", `could not read ${folder}`, {
          cause: error,
          causes: causesOf(error),
        })
      }
    },

    async add({ id, label }) {
      await makeFolder(folder)
      await replaceFile(fileOf(id), jsonText({ id, label }))
    },

    async remove(id) {
      const path = fileOf(id)
      try {
        await rm(path)
        await syncFolder(folder)
      } catch (error) {
        if (!isMissing(error)) throw stateWriteError(path, error)
      }
    },
  }
}

const idOf = (file: string): string => file.slice(0, -ENDING.length)
