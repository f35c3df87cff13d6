import { readdir, rm } from "node:fs/promises"
import { join } from "node:path"
import { KeyferryError } from "../../core/base/error.js"
import type { InventoryEntry } from "../../core/records/inventory.js"
import type { Inventory } from "../../core/ports/inventory.js"
import { isName } from "../../core/key/source-key.js"
import { removeLeftovers, replaceFile, stateWriteError, syncFolder } from "./atomic-file.js"
import { isMissing } from "./file-error.js"
import { jsonText, readJson } from "./json-file.js"
import { makeFolder } from "./state-dir.js"

const EXTENSION = ".json"
/** Files that are read at the same time where all are. */
const READ_AT_ONCE = 64

/**
 * The inventory as files `inventory/<target>/<name>.json` of the state directory, mode 0600. Writers hold the state
 * directory's lock; readers need none, since a file is always whole.
 */
export function inventoryFiles(stateDir: string): Inventory {
  const root = join(stateDir, "inventory")
  const prepared = new Map<string, Promise<void>>()

  /** Makes the target's folder and clears it of what killed writers left, once. */
  const prepare = (target: string): Promise<void> => {
    const folder = folderOf(root, target)
    const made = prepared.get(folder) ?? prepareFolder(folder)
    prepared.set(folder, made)
    return made
  }

  return {
    get: (name, target) => readEntry(root, { name, target }),

    async list(name) {
      const entries: InventoryEntry[] = []
      for (const target of await namesIn(root)) {
        const names = name === undefined ? await keysIn(folderOf(root, target)) : [name]
        for (let at = 0; at < names.length; at += READ_AT_ONCE) {
          const batch = names.slice(at, at + READ_AT_ONCE)
          const read = await Promise.all(batch.map((found) => readEntry(root, { name: found, target })))
          entries.push(...read.filter((entry) => entry !== undefined))
        }
      }
      return entries
    },

    async put(entry) {
      await prepare(entry.target)
      await replaceFile(fileOf(root, entry), jsonText(entry))
    },

    async remove(name, target) {
      const path = fileOf(root, { name, target })
      try {
        await rm(path)
        await syncFolder(folderOf(root, target))
      } catch (error) {
        if (!isMissing(error)) throw stateWriteError(path, error)
      }
    },
  }
}

async function prepareFolder(folder: string): Promise<void> {
  await makeFolder(folder)
  try {
    await removeLeftovers(folder)
  } catch (error) {
    throw stateWriteError(folder, error)
  }
}

/** Names become parts of a path, so one that is not a name would reach elsewhere. */
function folderOf(root: string, target: string): string {
  if (!isName(target)) throw new KeyferryError("ERR_BUG", `not the name of a target: ${JSON.stringify(target)}`)
  return join(root, target)
}

function fileOf(root: string, { name, target }: Pick<InventoryEntry, "name" | "target">): string {
  if (!isName(name)) throw new KeyferryError("ERR_BUG", `not the name of a key: ${JSON.stringify(name)}`)
  return join(folderOf(root, target), `${name}${EXTENSION}`)
}

async function keysIn(folder: string): Promise<readonly string[]> {
  return (await namesIn(folder))
    .filter((file) => file.endsWith(EXTENSION))
    .map((file) => file.slice(0, -EXTENSION.length))
}

/** Names in a folder, sorted, without those of temporary files; none where there is no folder. */
async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return (await readdir(folder)).filter((entry) => isName(entry)).sort()
  } catch (error) {
    if (isMissing(error)) return []
    throw new KeyferryError("ERR_INPUT_UNREADABLE", `could not read ${folder}`, { cause: error })
  }
}

async function readEntry(
  root: string,
  { name, target }: Pick<InventoryEntry, "name" | "target">,
): Promise<InventoryEntry | undefined> {
  const path = fileOf(root, { name, target })
  const value = await readJson(path)
  if (value === undefined) return undefined
  // loading zod takes longer than everything else here, and a first run has no file to check
  const { parseInventory } = await import("./inventory-schema.js")
  const parsed = parseInventory(value)
  if ("fault" in parsed) throw new KeyferryError("ERR_STATE_INVALID", `${path}: ${parsed.fault}`, { key: name })
  const { entry } = parsed
  if (entry.name !== name || entry.target !== target) {
    throw new KeyferryError("ERR_STATE_INVALID", `${path}: name or target is not the file's`, { key: name })
  }
  return entry
}
