import type { Binding } from "../../core/manifest/binding.js"
import { CUSTODIES } from "../../core/key/custody.js"
import { KeyferryError } from "../../core/base/error.js"
import { generationsOf, type InventoryEntry, type SourceKeyRecord } from "../../core/records/inventory.js"
import type { SourceView } from "../../core/plan/snapshot.js"
import { identityOf, type SourceKey } from "../../core/key/source-key.js"
import { sameToken, type TokenInfo } from "../../core/token/token-info.js"
import type { Fleet } from "./fleet.js"

/** What a token held when it was asked: one search for all keys. */
export interface TokenContent {
  readonly info: TokenInfo
  /** By CKA_ID; sealed ones among them where they were asked for. */
  readonly keys: ReadonlyMap<string, SourceKey>
}

/**
 * What tokens and vault have of source keys. The vault is read one file a key, or all of it at once for many keys; a
 * token is opened when it is first asked for, and searched once.
 */
export interface SourceIndex {
  /** Of every generation; of keys that are objects only what `content` was asked for before, else `unknown`. */
  views(binding: Binding, entry: InventoryEntry | null): Promise<readonly SourceView[]>
  /** Opens and searches the binding's token; null where none is given. Throws what opening it throws, every time. */
  content(token: string | null): Promise<TokenContent | null>
}

export function sourceIndex(
  fleet: Pick<Fleet, "tokenOf" | "vault" | "custodyKeys">,
  { withSealed, ofMany = false }: { readonly withSealed: boolean; readonly ofMany?: boolean },
): SourceIndex {
  const searches = new Map<string | null, Promise<TokenContent | null>>()
  const contents = new Map<string | null, TokenContent | null>()
  let sealsHere: Promise<boolean> | undefined
  let notes: Promise<ReadonlyMap<string, string | null>> | undefined

  const search = async (name: string | null): Promise<TokenContent | null> => {
    const token = await fleet.tokenOf(name)
    if (token === null) return null
    const { keys } = await (withSealed ? token : token.hsm).search()
    return { info: token.info, keys: new Map(keys.map((key) => [key.id, key])) }
  }

  /** Whether anything was ever sealed in this state directory; on another host the vault knows of nothing. */
  const hasSealed = (): Promise<boolean> =>
    (sealsHere ??= fleet.custodyKeys.list().then((records) => records.length > 0))

  const viewOf = async (binding: Binding, entry: InventoryEntry, source: SourceKeyRecord) => {
    const { id, label, generation, attributes } = source
    const content = contents.get(binding.token)
    const object = content?.keys.get(id)
    const present = { generation, state: "present", note: null } as const
    const isObject = object !== undefined && object.custody !== "sealed"
    if (isObject && entry.custody !== "sealed") return present
    const elsewhere = content != null && entry.token !== null && !sameToken(entry.token, content.info)
    if (elsewhere) {
      const note = `it is in token "${entry.token.label}" (serial ${entry.token.serial})`
      return { generation, state: "unknown", note } as const
    }
    if (entry.custody === "sealed") {
      const sealedView = { generation, ...(await inVault(id, label)) }
      return isObject && sealedView.state !== "present" ? present : sealedView
    }
    if (content == null || attributes === null) return { generation, state: "unknown", note: null } as const
    const state = (await isThere(binding.token, id)) ? "present" : "missing"
    return { generation, state, note: null } as const
  }

  /** Asked of what the search did not find: it may have been made since. */
  const isThere = async (name: string | null, id: string): Promise<boolean> => {
    const objects = (await (await fleet.tokenOf(name))?.findSourceKeys({ id })) ?? []
    return objects.length > 0
  }

  /** What is whole in the vault, by its ID, read in one go. */
  const readNotes = async (): Promise<ReadonlyMap<string, string | null>> => {
    const read = new Map<string, string | null>()
    for await (const reading of fleet.vault.all()) {
      if ("sealed" in reading) read.set(reading.sealed.id, reading.sealed.unenforced)
    }
    return read
  }

  const inVault = async (id: string, label: string): Promise<Pick<SourceView, "state" | "note">> => {
    const note = ofMany ? (await (notes ??= readNotes())).get(id) : undefined
    if (note !== undefined) return { state: "present", note }
    try {
      const material = await fleet.vault.get(id, identityOf(label))
      if (material !== undefined) return { state: "present", note: material.unenforced }
      return { state: (await hasSealed()) ? "missing" : "unknown", note: null }
    } catch (error) {
      if (!(error instanceof KeyferryError && error.code === "ERR_VAULT_DAMAGED")) throw error
      return { state: "damaged", note: error.message }
    }
  }

  return {
    async views(binding, entry) {
      if (entry === null || !CUSTODIES[entry.custody].reimport) return []
      return await Promise.all(generationsOf(entry).map((source) => viewOf(binding, entry, source)))
    },
    async content(name) {
      const pending = searches.get(name) ?? search(name)
      searches.set(name, pending)
      const content = await pending
      contents.set(name, content)
      return content
    },
  }
}
