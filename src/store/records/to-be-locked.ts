import { KeyferryError } from "../../core/base/error.js"
import type { ToBeLocked } from "../../core/ports/to-be-locked.js"
import { jsonFolder } from "./json-folder.js"
import { plainJson } from "./json-format.js"
import type { Texts } from "./texts.js"

const ENDING = ".json"

/** That a file is there says it: what stands in it is for people. */
const FORMAT = plainJson((content) => Promise.resolve({ content }))

/** Source keys that are to be locked, as texts `to-be-locked/<CKA_ID>.json`. */
export function storedToBeLocked(texts: Texts): ToBeLocked {
  const folder = jsonFolder(texts, ["to-be-locked"], FORMAT)
  return {
    async list() {
      const files = (await folder.names()).filter((file) => file.endsWith(ENDING))
      return new Set(files.map((file) => file.slice(0, -ENDING.length)))
    },
    add: ({ id, label }) => folder.put(fileOf(id), { id, label }),
    remove: (id) => folder.remove(fileOf(id)),
  }
}

function fileOf(id: string): string {
  if (!/^[0-9a-f]+$/.test(id)) throw new KeyferryError("ERR_BUG", `not the ID of a source key: ${JSON.stringify(id)}`)
  return `${id}${ENDING}`
}
