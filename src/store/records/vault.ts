import { KeyferryError } from "../../core/base/error.js"
import { isName, type SourceKeyIdentity } from "../../core/key/source-key.js"
import type { Reading, Vault } from "../../core/ports/vault.js"
import { type DamagedMaterial, type SealedMaterial, vaultDamage } from "../../core/records/sealed-material.js"
import { type JsonFolder, jsonFolder, type Parsed } from "./json-folder.js"
import { digestedJson } from "./json-format.js"
import type { StoredText, TextPath, Texts } from "./texts.js"

const FILE = /^(0|[1-9]\d*)-([0-9a-f]+)\.json$/

const FORMAT = digestedJson<SealedMaterial>(async (value) => (await import("./sealed-schema.js")).parseSealed(value))

/** Whose folder of the vault it is. */
type Holder = Pick<SourceKeyIdentity, "owner" | "name">

/** One file of the vault, whatever its name. */
interface VaultFile {
  readonly holder: Holder
  readonly file: string
}

export interface StoredVault extends Vault {
  /** For when another process may have written meanwhile. */
  reread(): void
}

/**
 * The vault as texts `vault/<owner>/<name>/<generation>-<id>.json`. Their names are read once, when something is first looked up by its ID alone.
 */
export function storedVault(texts: Texts): StoredVault {
  const folders = new Map<string, JsonFolder<SealedMaterial>>()
  let index: Promise<Map<string, VaultFile>> | undefined

  const folderOf = ({ owner, name }: Holder): JsonFolder<SealedMaterial> => {
    const key = JSON.stringify([owner, name])
    const folder = folders.get(key) ?? jsonFolder(texts, ["vault", owner, name], FORMAT)
    folders.set(key, folder)
    return folder
  }

  const stored = (holder: Holder | undefined): AsyncIterable<StoredText> =>
    holder === undefined ? texts.below(["vault"], 3) : texts.below(["vault", holder.owner, holder.name], 1)

  const readIndex = async (): Promise<Map<string, VaultFile>> => {
    const files = new Map<string, VaultFile>()
    for await (const { path } of stored(undefined)) {
      const vaultFile = vaultFileOf(path)
      // a file of a strange name is damage, not nothing
      files.set(partsOf(vaultFile.file).id ?? vaultFile.file, vaultFile)
    }
    return files
  }

  const byId = (): Promise<Map<string, VaultFile>> => (index ??= readIndex())

  /** Undefined where the file is not there. */
  const read = async (vaultFile: VaultFile): Promise<Reading | undefined> => {
    const folder = folderOf(vaultFile.holder)
    return judged(vaultFile, folder.placeOf(vaultFile.file), await parsedOf(() => folder.read(vaultFile.file)))
  }

  async function* all(holder?: Holder): AsyncIterable<Reading> {
    for await (const text of stored(holder && checkedHolder(holder))) {
      const parsed = await parsedOf(async () => {
        const content = await text.read()
        return content === undefined ? undefined : await FORMAT.parse(content)
      })
      const reading = judged(vaultFileOf(text.path), texts.placeOf(text.path), parsed)
      if (reading !== undefined) yield reading
    }
  }

  return {
    reread() {
      index = undefined
    },

    async get(id, identity) {
      const named = identity === undefined ? undefined : await read(checkedFile({ ...identity, id }))
      const indexed = named === undefined ? (await byId()).get(id) : undefined
      const reading = indexed === undefined ? named : await read(indexed)
      if (reading === undefined || "sealed" in reading) return reading?.sealed
      throw vaultDamage(reading.damaged)
    },

    all,

    async list(holder) {
      const sealed: SealedMaterial[] = []
      const damaged: DamagedMaterial[] = []
      for await (const reading of all(holder)) {
        if ("sealed" in reading) sealed.push(reading.sealed)
        else damaged.push(reading.damaged)
      }
      return { sealed, damaged }
    },

    async put(material) {
      const vaultFile = checkedFile(material)
      await folderOf(vaultFile.holder).put(vaultFile.file, material)
      ;(await index)?.set(material.id, vaultFile)
    },

    async remove(id) {
      // another worker may have written it since the names were read
      if (!(await byId()).has(id)) index = undefined
      const files = await byId()
      const vaultFile = files.get(id)
      if (vaultFile === undefined) return
      await folderOf(vaultFile.holder).remove(vaultFile.file)
      files.delete(id)
    },
  }
}

/** Names become parts of a path, so one that is not a name would reach elsewhere. */
function checkedHolder({ owner, name }: Holder): Holder {
  for (const text of [owner, name]) {
    if (!isName(text)) throw new KeyferryError("ERR_BUG", `not the name of a key or an owner: ${JSON.stringify(text)}`)
  }
  return { owner, name }
}

function checkedFile(material: SourceKeyIdentity & Pick<SealedMaterial, "id">): VaultFile {
  const file = `${material.generation}-${material.id}.json`
  if (!FILE.test(file)) throw new KeyferryError("ERR_BUG", `not the ID of a source key: ${JSON.stringify(material.id)}`)
  return { holder: checkedHolder(material), file }
}

/** Of the path `vault/<owner>/<name>/<file>`. */
function vaultFileOf([, owner = "", name = "", file = ""]: TextPath): VaultFile {
  return { holder: { owner, name }, file }
}

/** What a file's name tells of the material in it. */
function partsOf(file: string): { readonly generation: number | null; readonly id: string | null } {
  const [, generation, id] = FILE.exec(file) ?? []
  return { generation: generation === undefined ? null : Number(generation), id: id ?? null }
}

/** A file that cannot be read is damage like one that holds something else. */
async function parsedOf(
  read: () => Promise<Parsed<SealedMaterial> | undefined>,
): Promise<Parsed<SealedMaterial> | undefined> {
  try {
    return await read()
  } catch (error) {
    if (!(error instanceof KeyferryError)) throw error
    return { fault: `it cannot be read: ${error.causes[0]?.message ?? error.message}` }
  }
}

function judged(
  { holder, file }: VaultFile,
  path: string,
  parsed: Parsed<SealedMaterial> | undefined,
): Reading | undefined {
  if (parsed === undefined) return undefined
  const { generation, id } = partsOf(file)
  const damaged = (reason: string): Reading => ({ damaged: { path, name: holder.name, generation, id, reason } })
  if ("fault" in parsed) return damaged(parsed.fault)
  const sealed = parsed.content
  const fits =
    sealed.owner === holder.owner && sealed.name === holder.name && sealed.generation === generation && sealed.id === id
  return fits ? { sealed } : damaged(`it is the file of ${sealed.label} (${sealed.id}), not of its path`)
}
