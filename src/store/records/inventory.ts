import { KeyferryError } from "../../core/base/error.js"
import { identityOf, isName } from "../../core/key/source-key.js"
import type { DamagedEntry, Inventory } from "../../core/ports/inventory.js"
import type { InventoryEntry } from "../../core/records/inventory.js"
import { type JsonFolder, jsonFolder, type Parsed } from "./json-folder.js"
import { plainJson } from "./json-format.js"
import type { Texts } from "./texts.js"

const EXTENSION = ".json"

type Place = Pick<InventoryEntry, "name" | "target">

/** Loading the validator takes longer than everything else here, and a first run has no file to check. */
const FORMAT = plainJson<InventoryEntry>(async (value) => (await import("./inventory-schema.js")).parseInventory(value))

/** The inventory as texts `inventory/<target>/<name>.json`. */
export function storedInventory(texts: Texts): Inventory {
  const folders = new Map<string, JsonFolder<InventoryEntry>>()

  const folderOf = (target: string): JsonFolder<InventoryEntry> => {
    if (!isName(target)) throw new KeyferryError("ERR_BUG", `not the name of a target: ${JSON.stringify(target)}`)
    const folder = folders.get(target) ?? jsonFolder(texts, ["inventory", target], FORMAT)
    folders.set(target, folder)
    return folder
  }

  const judged = ({ name, target }: Place, parsed: Parsed<InventoryEntry> | undefined): InventoryEntry | undefined => {
    if (parsed === undefined) return undefined
    const fault = "fault" in parsed ? parsed.fault : foreign(parsed.content, { name, target })
    if (fault === null && "content" in parsed) return parsed.content
    const place = folderOf(target).placeOf(fileOf(name))
    throw new KeyferryError("ERR_STATE_INVALID", `${place}: ${fault ?? ""}`, { key: name })
  }

  const get = async (name: string, target: string): Promise<InventoryEntry | undefined> =>
    judged({ name, target }, await folderOf(target).read(fileOf(name)))

  const targets = async (): Promise<readonly string[]> => (await texts.names(["inventory"])).filter(isName)

  /** What the target has, one after the other; where one cannot be read, why. */
  async function* readAll(target: string): AsyncIterable<InventoryEntry | DamagedEntry> {
    for await (const stored of texts.below(["inventory", target], 1)) {
      const name = nameOf(stored.path.at(-1) ?? "")
      if (name === null) continue
      try {
        const text = await stored.read()
        const entry = judged({ name, target }, text === undefined ? undefined : await FORMAT.parse(text))
        if (entry !== undefined) yield entry
      } catch (error) {
        if (!(error instanceof KeyferryError)) throw error
        yield { name, target, error }
      }
    }
  }

  const all = async (): ReturnType<Inventory["all"]> => {
    const entries: InventoryEntry[] = []
    const damaged: DamagedEntry[] = []
    for (const target of await targets()) {
      for await (const entry of readAll(target)) {
        if ("error" in entry) damaged.push(entry)
        else entries.push(entry)
      }
    }
    return { entries, damaged }
  }

  return {
    get,

    async list(name) {
      if (name === undefined) return (await all()).entries
      const entries: InventoryEntry[] = []
      for (const target of await targets()) {
        const entry = await get(name, target)
        if (entry !== undefined) entries.push(entry)
      }
      return entries
    },

    all,

    async firstMade(target) {
      folderOf(target)
      for await (const entry of readAll(target)) {
        // one that cannot be read is its own row's matter
        if ("error" in entry) {
          if (entry.error.code !== "ERR_STATE_INVALID") throw entry.error
        } else if (entry.keyArn !== null) return entry
      }
      return undefined
    },

    async put(entry) {
      await folderOf(entry.target).put(fileOf(entry.name), entry)
    },

    async remove(name, target) {
      await folderOf(target).remove(fileOf(name))
    },
  }
}

/** Names become parts of a path, so one that is not a name would reach elsewhere. */
function fileOf(name: string): string {
  if (!isName(name)) throw new KeyferryError("ERR_BUG", `not the name of a key: ${JSON.stringify(name)}`)
  return `${name}${EXTENSION}`
}

/** Of the key whose text has that name; null where it is none of the inventory's. */
function nameOf(file: string): string | null {
  return isName(file) && file.endsWith(EXTENSION) ? file.slice(0, -EXTENSION.length) : null
}

/** What is wrong with an entry that is another's; null where it is the file's own. */
function foreign(entry: InventoryEntry, { name, target }: Place): string | null {
  if (entry.name !== name || entry.target !== target) return "name or target is not the file's"
  // two names over one KMS key would each work on it
  const holder = identityOf(entry.source.label)?.name ?? name
  return holder === name ? null : `it is a copy of the file of ${holder}, whose source key it names`
}
