import { CUSTODIES } from "../../core/key/custody.js"
import { generationsOf, type ImportRecord, type InventoryEntry, withNested } from "../../core/records/inventory.js"
import { type StrayObject, identityOf, type SourceKey } from "../../core/key/source-key.js"
import { sameToken, type TokenInfo } from "../../core/token/token-info.js"
import type { Deps } from "../deps.js"

/** A KMS key that was made or chosen for a source key, and how far its import came. */
export interface KmsSide {
  readonly target: string
  readonly keyArn: string | null
  readonly status: "imported" | "expired" | "unproven" | "unfinished"
  readonly validTo: string | null
  /** In words: what is left to do. */
  readonly note: string | null
}

export interface ListedKey extends SourceKey {
  readonly owner: string
  readonly name: string
  readonly generation: number
  readonly kms: readonly KmsSide[]
}

/** An inventory entry without its source key in this token. */
export interface Leftover extends KmsSide {
  readonly name: string
  readonly sourceKeyId: string
  /** The token that the source key was generated in; null where that is not known. */
  readonly token: Pick<TokenInfo, "label" | "serial"> | null
}

export interface KeyList {
  readonly keys: readonly ListedKey[]
  /** Whose source key is missing in this token, although it is this token's or may be. */
  readonly leftovers: readonly Leftover[]
  /** Whose source key is in another token. */
  readonly elsewhere: readonly Leftover[]
  readonly strays: readonly StrayObject[]
  /** Entries of the inventory that cannot be read: of their keys the rest of the list may be wrong. */
  readonly unreadable: readonly { readonly name: string; readonly target: string; readonly reason: string }[]
}

/** Source keys of the token with what the inventory knows of them, and everything that a stopped run left. */
export async function listKeys(deps: Pick<Deps, "token" | "inventory" | "clock">): Promise<KeyList> {
  const now = deps.clock.now()
  const { entries, damaged } = await deps.inventory.all()
  const { keys: sources, strays } = await deps.token.search()
  const listedIds = new Set(sources.map(({ id }) => id))
  const missing = entries.filter(({ source }) => !listedIds.has(source.id))
  const isHere = ({ token }: InventoryEntry): boolean => token === null || sameToken(token, deps.token.info)
  return {
    keys: sources
      .map((source) => ({
        ...source,
        unenforced: source.unenforced ?? unenforcedOf(entries, source.id),
        ...(identityOf(source.label) ?? { owner: "", name: source.label, generation: 0 }),
        kms: entries.flatMap(withNested).flatMap((entry) => sideOf(entry, source.id, now)),
      }))
      .sort((a, b) => compare(a.name, b.name) || a.generation - b.generation),
    leftovers: missing.filter((entry) => isHere(entry) && !endedByDesign(entry)).map((entry) => leftover(entry, now)),
    elsewhere: missing.filter((entry) => !isHere(entry)).map((entry) => leftover(entry, now)),
    strays,
    unreadable: damaged.map(({ name, target, error }) => ({ name, target, reason: error.message })),
  }
}

/** Of keys that are objects only the inventory knows what the token did not enforce. */
function unenforcedOf(entries: readonly InventoryEntry[], id: string): string | null {
  const held = entries
    .flatMap(withNested)
    .filter((entry) => generationsOf(entry).some((sourceKey) => sourceKey.id === id))
  return held.find(({ unenforced }) => unenforced !== null)?.unenforced ?? null
}

/** What a KMS key has of this source key: its newest generation, or an older one. */
function sideOf(entry: InventoryEntry, id: string, now: Date): readonly KmsSide[] {
  const generation = generationsOf(entry).find((sourceKey) => sourceKey.id === id)?.generation
  if (generation === undefined) return []
  if (generation === entry.source.generation) return [kmsSide(entry, now)]
  const imports = entry.imports.filter((record) => record.generation === generation && record.region === entry.region)
  const importing = entry.importing?.generation === generation ? entry.importing : null
  return [kmsSide({ ...entry, imports, importing }, now)]
}

/** By code units, the same under every locale. */
const compare = (a: string, b: string): number => (a < b ? -1 : Number(a > b))

/** A session key is gone with its session: once its import is done, nothing is amiss. */
function endedByDesign(entry: InventoryEntry): boolean {
  return entry.custody === "session" && entry.importing === null && isProven(entry.imports.at(-1))
}

function isProven(record: ImportRecord | undefined): boolean {
  return record !== undefined && record.proof.result !== "failed"
}

function leftover(entry: InventoryEntry, now: Date): Leftover {
  const token = entry.token === null ? null : { label: entry.token.label, serial: entry.token.serial }
  return { name: entry.name, sourceKeyId: entry.source.id, token, ...kmsSide(entry, now) }
}

/** How far an entry came, in words. */
export function kmsSide(entry: InventoryEntry, now: Date): KmsSide {
  const record = entry.imports.at(-1)
  const { target, keyArn } = entry
  // `params` makes an entry without having seen a source key, perhaps on a host that has no token
  const reimport =
    entry.source.attributes === null ? "run `wrap` and `import`, or provision" : "run the same provision again"
  const expired = CUSTODIES[entry.custody].reimport ? `run \`keyferry rewrap ${entry.name}\`` : reimport
  if (entry.creating)
    return { target, keyArn, status: "unfinished", validTo: null, note: `a KMS key may have been created: ${reimport}` }
  if (entry.importing !== null) {
    return {
      target,
      keyArn,
      status: "unproven",
      validTo: entry.importing.validTo,
      note: `imported perhaps, and not proven: ${reimport}`,
    }
  }
  if (record === undefined)
    return { target, keyArn, status: "unfinished", validTo: null, note: `the KMS key has no material yet: ${reimport}` }
  if (record.proof.result === "failed") {
    return {
      target,
      keyArn,
      status: "unproven",
      validTo: record.validTo,
      note: "the proof failed: do not use this KMS key",
    }
  }
  if (record.validTo !== null && new Date(record.validTo) <= now) {
    return {
      target,
      keyArn,
      status: "expired",
      validTo: record.validTo,
      note: `by this host's clock its material has expired: ${expired}`,
    }
  }
  const aliasLeft = entry.alias !== null && !entry.aliasGiven
  const note = aliasLeft ? `the alias ${entry.alias} is still to be given: ${reimport}` : null
  return { target, keyArn, status: "imported", validTo: record.validTo, note }
}
