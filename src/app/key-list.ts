import type { InventoryEntry } from "../core/inventory.js"
import type { StrayObject } from "../core/ports.js"
import { identityOf, type SourceKey } from "../core/source-key.js"
import type { Deps } from "./deps.js"

/** A KMS key that was made or chosen for a source key, and how far its import came. */
export interface KmsSide {
  readonly target: string
  readonly keyArn: string | null
  readonly status: "imported" | "unproven" | "unfinished"
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
}

export interface KeyList {
  readonly keys: readonly ListedKey[]
  readonly leftovers: readonly Leftover[]
  readonly strays: readonly StrayObject[]
}

/** Source keys of the token with what the inventory knows of them, and everything that a stopped run left. */
export async function listKeys(deps: Pick<Deps, "token" | "inventory">): Promise<KeyList> {
  const entries = await deps.inventory.list()
  const sources = await deps.token.findSourceKeys()
  const known = new Set(sources.map(({ id }) => id))
  return {
    keys: sources.map((source) => ({
      ...source,
      ...(identityOf(source.label) ?? { owner: "", name: source.label, generation: 0 }),
      kms: entries.filter((entry) => entry.source.id === source.id).map(kmsSide),
    })),
    leftovers: leftovers(entries).filter(({ sourceKeyId }) => !known.has(sourceKeyId)),
    strays: await deps.token.strayObjects(),
  }
}

/** Entries that are not finished, or whose source key lives in no token any more. */
function leftovers(entries: readonly InventoryEntry[]): readonly Leftover[] {
  return entries.map((entry) => ({ name: entry.name, sourceKeyId: entry.source.id, ...kmsSide(entry) }))
}

/** How far an entry came, in words. */
export function kmsSide(entry: InventoryEntry): KmsSide {
  const record = entry.imports.at(-1)
  const { target, keyArn } = entry
  const again = "run the same provision again"
  if (entry.creating)
    return { target, keyArn, status: "unfinished", validTo: null, note: `a KMS key may have been created: ${again}` }
  if (entry.importing !== null) {
    return {
      target,
      keyArn,
      status: "unproven",
      validTo: entry.importing.validTo,
      note: `imported perhaps, and not proven: ${again}`,
    }
  }
  if (record === undefined)
    return { target, keyArn, status: "unfinished", validTo: null, note: `the KMS key has no material yet: ${again}` }
  if (record.proof.result === "failed") {
    return {
      target,
      keyArn,
      status: "unproven",
      validTo: record.validTo,
      note: "the proof failed: do not use this KMS key",
    }
  }
  return { target, keyArn, status: "imported", validTo: record.validTo, note: null }
}
