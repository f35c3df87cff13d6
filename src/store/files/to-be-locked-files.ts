import { KeyferryError } from "../../core/base/error.js"
import type { ToBeLocked } from "../../core/ports/to-be-locked.js"
import { jsonFolder } from "./json-folder.js"
import { plainJson } from "./json-format.js"

const ENDING = ".json"

/** That a file is there says it: what stands in it is for people. */
const FORMAT = plainJson((content) => Promise.resolve({ content }))

/** Source keys that are to be locked, as files `to-be-locked/<CKA_ID>.json` of the state directory. */
export function toBeLockedFiles(stateDir: string): ToBeLocked {
  const folder = jsonFolder(stateDir, ["to-be-locked"], FORMAT)
  return {
    list() {
      const files = folder.names().filter((file) => file.endsWith(ENDING))
      return Promise.resolve(new Set(files.map((file) => file.slice(0, -ENDING.length))))
    },
    add: ({ id, label }) => folder.put(fileOf(id), { id, label }),
    remove: (id) => folder.remove(fileOf(id)),
  }
}

function fileOf(id: string): string {
  if (!/^[0-9a-f]+$/.test(id)) throw new KeyferryError("ERR_BUG", `not the ID of a source key: ${JSON.stringify(id)}`)
  return `${id}${ENDING}`
}
