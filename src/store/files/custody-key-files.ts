import { readdir, readFile, rm } from "node:fs/promises"
import { join } from "node:path"
import { KeyferryError } from "../../core/base/error.js"
import type { CustodyKeyRecords } from "../../core/ports/custody-key-records.js"
import type { CustodyKeyRecord } from "../../core/records/sealed-material.js"
import { replaceFile, stateWriteError, syncFolder } from "./atomic-file.js"
import { digestedText, readDigested } from "./digested-file.js"
import { causesOf, isMissing } from "./file-error.js"
import { makeFolder } from "./state-dir.js"

const FILE = /^([0-9a-f]+)\.json$/

/** Records of custody keys as files `custody-keys/<id>.json` of the state directory, mode 0600, with their own digest. */
export function custodyKeyFiles(stateDir: string): CustodyKeyRecords {
  const root = join(stateDir, "custody-keys")
  const fileOf = (id: string): string => {
    const file = `${id}.json`
    if (!FILE.test(file)) throw new KeyferryError("ERR_BUG", `not the ID of a custody key: ${JSON.stringify(id)}`)
    return join(root, file)
  }
  return {
    get: (id) => readRecord(fileOf(id), id),

    async list() {
      const records: CustodyKeyRecord[] = []
      for (const file of await filesIn(root)) {
        const id = FILE.exec(file)?.[1]
        const record = id === undefined ? undefined : await readRecord(join(root, file), id)
        if (record !== undefined) records.push(record)
      }
      return records.sort((one, other) => one.number - other.number)
    },

    async put(record) {
      await makeFolder(root)
      try {
        await syncFolder(stateDir)
      } catch (error) {
        throw stateWriteError(root, error)
      }
      await replaceFile(fileOf(record.id), digestedText(record))
    },

    async remove(id) {
      try {
        await rm(fileOf(id))
        await syncFolder(root)
      } catch (error) {
        if (!isMissing(error)) throw stateWriteError(fileOf(id), error)
      }
    },
  }
}

async function filesIn(folder: string): Promise<readonly string[]> {
  try {
    return (await readdir(folder)).sort()
  } catch (error) {
    if (isMissing(error)) return []
    throw unreadable(folder, error)
  }
}

async function readRecord(path: string, id: string): Promise<CustodyKeyRecord | undefined> {
  let text: string
  try {
    text = await readFile(path, "utf8")
  } catch (error) {
    if (isMissing(error)) return undefined
    throw unreadable(path, error)
  }
  const read = readDigested(text)
  if ("fault" in read) throw new KeyferryError("ERR_STATE_INVALID", `${path}: ${read.fault}`)
  const { parseCustodyKeyRecord } = await import("./sealed-schema.js")
  const parsed = parseCustodyKeyRecord(read.value)
  if ("fault" in parsed) throw new KeyferryError("ERR_STATE_INVALID", `${path}: ${parsed.fault}`)
  if (parsed.value.id !== id) throw new KeyferryError("ERR_STATE_INVALID", `${path}: its ID is not the file's`)
  return parsed.value
}

function unreadable(path: string, error: unknown): KeyferryError {
  return new KeyferryError("ERR_INPUT_UNREADABLE", `could not read ${path}`, { cause: error, causes: causesOf(error) })
}
