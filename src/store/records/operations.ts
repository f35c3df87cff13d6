import { KeyferryError } from "../../core/base/error.js"
import type { Operations } from "../../core/ports/operations.js"
import type { DamagedOperation, Operation } from "../../core/records/operation.js"
import { jsonFolder, type Parsed } from "./json-folder.js"
import { digestedJson } from "./json-format.js"
import type { Texts } from "./texts.js"

const FILE = /^(rotate|replace|reseal)-([0-9a-f-]+)\.json$/

const FORMAT = digestedJson<Operation>(async (value) => (await import("./operation-schema.js")).parseOperation(value))

/** Operations as texts `operations/<command>-<id>.json`, with their own digest. */
export function storedOperations(texts: Texts): Operations {
  const folder = jsonFolder(texts, ["operations"], FORMAT)

  /** Undefined where another run has removed it meanwhile. */
  const read = async (file: string): Promise<Operation | DamagedOperation | undefined> => {
    const [, word, id] = FILE.exec(file) ?? []
    const command = (word ?? null) as DamagedOperation["command"]
    const damaged = (reason: string): DamagedOperation => ({ path: folder.placeOf(file), command, reason })
    if (id === undefined) return damaged("it is not the name of such a file")
    let parsed: Parsed<Operation> | undefined
    try {
      parsed = await folder.read(file)
    } catch (error) {
      if (!(error instanceof KeyferryError)) throw error
      return damaged(`it cannot be read: ${error.causes[0]?.message ?? error.message}`)
    }
    if (parsed === undefined) return undefined
    if ("fault" in parsed) return damaged(parsed.fault)
    const { content } = parsed
    return content.command === command && content.id === id ? content : damaged("it is not the file of its name")
  }

  return {
    async list() {
      const operations: Operation[] = []
      const damaged: DamagedOperation[] = []
      for (const file of await folder.names()) {
        const operation = await read(file)
        if (operation === undefined) continue
        if ("reason" in operation) damaged.push(operation)
        else operations.push(operation)
      }
      operations.sort((a, b) => a.askedAt.localeCompare(b.askedAt))
      return { operations, damaged }
    },
    put: (operation) => folder.put(fileOf(operation), operation),
    remove: (operation) => folder.remove(fileOf(operation)),
  }
}

function fileOf({ command, id }: Operation): string {
  const file = `${command}-${id}.json`
  if (!FILE.test(file)) throw new KeyferryError("ERR_BUG", `not the ID of an operation: ${JSON.stringify(id)}`)
  return file
}
