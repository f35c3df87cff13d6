import { KeyferryError } from "../../core/base/error.js"
import type { CustodyKeyRecords } from "../../core/ports/custody-key-records.js"
import type { CustodyKeyRecord } from "../../core/records/sealed-material.js"
import { jsonFolder } from "./json-folder.js"
import { digestedJson } from "./json-format.js"
import type { Texts } from "./texts.js"

const FILE = /^([0-9a-f]+)\.json$/

const FORMAT = digestedJson<CustodyKeyRecord>(async (value) =>
  (await import("./sealed-schema.js")).parseCustodyKeyRecord(value),
)

/** Records of custody keys as texts `custody-keys/<id>.json`, with their own digest. */
export function storedCustodyKeys(texts: Texts): CustodyKeyRecords {
  const folder = jsonFolder(texts, ["custody-keys"], FORMAT)

  const get = async (id: string): Promise<CustodyKeyRecord | undefined> => {
    const file = fileOf(id)
    const record = await folder.get(file)
    if (record === undefined || record.id === id) return record
    throw new KeyferryError("ERR_STATE_INVALID", `${folder.placeOf(file)}: its ID is not the file's`)
  }

  const all = async () => {
    const records: CustodyKeyRecord[] = []
    const damaged: { path: string; reason: string }[] = []
    for (const file of await folder.names()) {
      const [, id] = FILE.exec(file) ?? []
      try {
        const record = id === undefined ? undefined : await get(id)
        if (record !== undefined) records.push(record)
      } catch (error) {
        if (!(error instanceof KeyferryError)) throw error
        damaged.push({ path: folder.placeOf(file), reason: error.message })
      }
    }
    return { records: records.sort((a, b) => a.number - b.number), damaged }
  }

  return {
    get,

    list: async () => (await all()).records,
    damaged: async () => (await all()).damaged,

    put: (record) => folder.put(fileOf(record.id), record),
    remove: (id) => folder.remove(fileOf(id)),
  }
}

function fileOf(id: string): string {
  const file = `${id}.json`
  if (!FILE.test(file)) throw new KeyferryError("ERR_BUG", `not the ID of a custody key: ${JSON.stringify(id)}`)
  return file
}
