import { readdirSync, readFileSync } from "node:fs"
import { rm } from "node:fs/promises"
import { basename, dirname, join } from "node:path"
import { KeyferryError } from "../../core/base/error.js"
import type { Vault } from "../../core/ports/vault.js"
import { type DamagedMaterial, type SealedMaterial, vaultDamage } from "../../core/records/sealed-material.js"
import { isName, type SourceKeyIdentity } from "../../core/key/source-key.js"
import { removeLeftovers, replaceFile, stateWriteError, syncFolder } from "./atomic-file.js"
import { digestedText, readDigested } from "./digested-file.js"
import { causesOf, isMissing } from "./file-error.js"
import { makeFolder } from "./state-dir.js"

const FILE = /^(0|[1-9]\d*)-([0-9a-f]+)\.json$/

/**
 * The vault as files `vault/<owner>/<name>/<generation>-<id>.json` of the state directory, mode 0600 in folders of mode
 * 0700. Writers hold the state directory's lock; readers need none, since a file is always whole. File names are read
 * once, when something is first looked up by its ID alone.
 */
export function vaultFiles(stateDir: string): Vault {
  const root = join(stateDir, "vault")
  const prepared = new Map<string, Promise<void>>()
  let index: Map<string, string> | undefined

  const paths = (): Map<string, string> =>
    (index ??= new Map(allFiles(root).map((path) => [facts(path).id ?? path, path])))

  const prepare = (folder: string): Promise<void> => {
    const made = prepared.get(folder) ?? prepareFolder(stateDir, folder)
    prepared.set(folder, made)
    return made
  }

  return {
    async get(id, of) {
      const own = of === undefined ? undefined : await readSealed(fileOf(root, { ...of, id }))
      const path = own === undefined ? paths().get(id) : undefined
      const found = path === undefined ? own : await readSealed(path)
      if (found === undefined || "sealed" in found) return found?.sealed
      throw vaultDamage(found.damaged)
    },

    async list(of) {
      const files = of === undefined ? allFiles(root) : filesIn(folderOf(root, of))
      const sealed: SealedMaterial[] = []
      const damaged: DamagedMaterial[] = []
      for (const path of files) {
        const found = await readSealed(path)
        if (found === undefined) continue
        if ("sealed" in found) sealed.push(found.sealed)
        else damaged.push(found.damaged)
      }
      return { sealed, damaged }
    },

    async put(material) {
      const path = fileOf(root, material)
      await prepare(dirname(path))
      await replaceFile(path, digestedText(material))
      index?.set(material.id, path)
    },

    async remove(id) {
      const path = paths().get(id)
      if (path === undefined) return
      try {
        await rm(path)
        await syncFolder(dirname(path))
      } catch (error) {
        if (!isMissing(error)) throw stateWriteError(path, error)
      }
      paths().delete(id)
    },
  }
}

/** Names become parts of a path, so one that is not a name would reach elsewhere. */
function folderOf(root: string, { owner, name }: { readonly owner: string; readonly name: string }): string {
  for (const text of [owner, name]) {
    if (!isName(text)) throw new KeyferryError("ERR_BUG", `not the name of a key or an owner: ${JSON.stringify(text)}`)
  }
  return join(root, owner, name)
}

function fileOf(root: string, material: SourceKeyIdentity & Pick<SealedMaterial, "id">): string {
  const file = `${material.generation}-${material.id}.json`
  if (!FILE.test(file)) throw new KeyferryError("ERR_BUG", `not the ID of a source key: ${JSON.stringify(material.id)}`)
  return join(folderOf(root, material), file)
}

/** What a path tells of the material in it. */
function facts(path: string): { owner: string; name: string; generation: number | null; id: string | null } {
  const [, generation, id] = FILE.exec(basename(path)) ?? []
  return {
    owner: basename(dirname(dirname(path))),
    name: basename(dirname(path)),
    generation: generation === undefined ? null : Number(generation),
    id: id ?? null,
  }
}

/** Makes a folder below the state directory durable with all its parents, and clears it of what killed writers left. */
async function prepareFolder(stateDir: string, folder: string): Promise<void> {
  await makeFolder(folder)
  try {
    await removeLeftovers(folder)
    for (let path = dirname(folder); path.length >= stateDir.length; path = dirname(path)) await syncFolder(path)
  } catch (error) {
    throw stateWriteError(folder, error)
  }
}

function allFiles(root: string): readonly string[] {
  const files: string[] = []
  for (const owner of namesIn(root))
    for (const name of namesIn(join(root, owner))) files.push(...filesIn(join(root, owner, name)))
  return files
}

/** Every file of a folder but temporary ones, sorted: one of a strange name is damage, not nothing. */
function filesIn(folder: string): readonly string[] {
  return namesIn(folder).map((file) => join(folder, file))
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder)
      .filter((entry) => !entry.startsWith("."))
      .sort()
  } catch (error) {
    if (isMissing(error)) return []
    throw new KeyferryError("ERR_INPUT_UNREADABLE", `could not read ${folder}`, {
      cause: error,
      causes: causesOf(error),
    })
  }
}

type Found = { readonly sealed: SealedMaterial } | { readonly damaged: DamagedMaterial }

/** Undefined where the file is not there. */
async function readSealed(path: string): Promise<Found | undefined> {
  const { owner, name, generation, id } = facts(path)
  const damaged = (reason: string): Found => ({ damaged: { path, name, generation, id, reason } })
  let text: string
  try {
    // a hop to a thread and back for each step costs several times what reading so small a file does
    text = readFileSync(path, "utf8")
  } catch (error) {
    return isMissing(error) ? undefined : damaged(`it cannot be read: ${causesOf(error)[0]?.message ?? ""}`)
  }
  const read = readDigested(text)
  if ("fault" in read) return damaged(read.fault)
  // loading zod takes longer than everything else here, and a first run has no file to check
  const { parseSealed } = await import("./sealed-schema.js")
  const parsed = parseSealed(read.value)
  if ("fault" in parsed) return damaged(parsed.fault)
  const { value } = parsed
  const fits = value.owner === owner && value.name === name && value.generation === generation && value.id === id
  return fits ? { sealed: value } : damaged(`it is the file of ${value.label} (${value.id}), not of its path`)
}
