import { KeyferryError } from "../../core/base/error.js"
import { keysOf, type InventoryEntry } from "../../core/records/inventory.js"
import { jitterOf } from "../../core/plan/due.js"
import { isSymmetric } from "../../core/plan/material.js"
import type { KeyView, Snapshot } from "../../core/plan/snapshot.js"
import type { KeyDescription } from "../../core/key/key-description.js"
import { keyStateRow, phaseOf } from "../../core/key/key-state.js"
import type { Kms } from "../../core/ports/kms.js"
import type { Fleet } from "./fleet.js"
import type { Row } from "./rows.js"
import type { SourceIndex } from "./source-index.js"
import { findKmsKey } from "../kms-key/find.js"
import { identityTags, TAGS } from "../kms-key/tags.js"

/** How closely to look: each word costs requests to KMS, one a key. */
export interface Look {
  /** Tags, description and policy: whose the key is, and its drift. */
  readonly tags: boolean
  /** Every key material; otherwise only where DescribeKey does not say all. */
  readonly materials: "needed" | "all"
  /** Asks for the alias again: what was listed before is from before this key was worked on. */
  readonly fresh?: boolean
}

/** Reads snapshots. What is the same for many keys is asked once: Regions, aliases, the content of tokens. */
export interface Observer {
  observe(row: Row, look: Look): Promise<Snapshot>
  /** The same, with what the tags say of whose the key is. */
  withClaim(snapshot: Snapshot): Promise<Snapshot>
}

export function observer(fleet: Fleet, sources: SourceIndex): Observer {
  const aliases = new Map<string, Promise<ReadonlyMap<string, string | null>>>()

  const aliasesOf = (target: string, kms: Kms): Promise<ReadonlyMap<string, string | null>> => {
    const asked = aliases.get(target) ?? listAliases(kms)
    aliases.set(target, asked)
    return asked
  }

  /** Undefined where nothing wants to know, or KMS does not let it be known. */
  const aliasHolder = async ({ binding, role }: Row, kms: Kms, look: Look): Promise<string | null | undefined> => {
    if (!look.tags || binding.alias === null || role !== "current") return undefined
    try {
      if (look.fresh === true) return await holderOf(kms, binding.alias)
      return (await aliasesOf(binding.target, kms)).get(binding.alias) ?? null
    } catch (error) {
      if (error instanceof KeyferryError) return undefined
      throw error
    }
  }

  return {
    async withClaim(snapshot) {
      const { key, entry, binding } = snapshot
      if (key.seen !== "key" || entry === null) return snapshot
      try {
        const kms = await fleet.kmsOf(binding.target)
        const tagged = { ...key, tags: await kms.listResourceTags(key.keyArn) }
        return { ...snapshot, key: tagged, claimedBy: claimedBy(tagged, entry, binding) }
      } catch (error) {
        return { ...snapshot, key: failedView(key.region, key.keyArn, error) }
      }
    },

    async observe(row, look) {
      const { binding, role, entry } = row
      const base = {
        ...{ binding, role, entry, now: fleet.clock.now(), jitter: jitterOf(binding) },
        wantedTags: entry === null ? {} : { ...binding.tags, ...identityTags(entry) },
        sources: await sources.views(binding, entry),
      }
      let kms: Kms
      try {
        kms = await fleet.kmsOf(binding.target)
      } catch (error) {
        const key = failedView(entry?.region ?? "", entry?.keyArn ?? "", error)
        return { ...base, region: key.region, key, replicas: [], claimedBy: null, aliasHolder: undefined }
      }
      const [own, ...others] = entry === null ? [] : keysOf(entry)
      const atHome = own !== undefined && own.keyArn === entry?.keyArn
      const [key, holder, ...replicas] = await Promise.all([
        atHome ? view(kms, row, own.keyArn, look) : { seen: "nothing" as const, region: kms.region },
        aliasHolder(row, kms, look),
        ...others.map(async ({ region, keyArn }) => replicaView(fleet, row, { region, keyArn }, look)),
      ])
      return {
        ...base,
        region: kms.region,
        key,
        replicas,
        claimedBy: claimedBy(key, entry, binding),
        aliasHolder: holder,
      }
    },
  }
}

async function holderOf(kms: Pick<Kms, "describeKey">, alias: string): Promise<string | null> {
  return (await findKmsKey(kms, alias))?.keyId ?? null
}

async function listAliases(kms: Pick<Kms, "listAliases">): Promise<ReadonlyMap<string, string | null>> {
  const holders = new Map<string, string | null>()
  for await (const { alias, keyId } of kms.listAliases()) holders.set(alias, keyId)
  return holders
}

async function replicaView(
  fleet: Fleet,
  row: Row,
  { region, keyArn }: { readonly region: string; readonly keyArn: string },
  look: Look,
): Promise<KeyView> {
  try {
    return await view(await fleet.kmsOf(row.binding.target, region), row, keyArn, look)
  } catch (error) {
    return failedView(region, keyArn, error)
  }
}

async function view(kms: Kms, { binding, entry }: Row, keyArn: string, look: Look): Promise<KeyView> {
  const { region } = kms
  try {
    const [description, tags, policy] = await Promise.all([
      kms.describeKey(keyArn),
      look.tags ? kms.listResourceTags(keyArn) : null,
      look.tags && binding.keyPolicy !== null ? kms.getKeyPolicy(keyArn) : null,
    ])
    const lists = isSymmetric(binding.keySpec) && (look.materials === "all" || saysTooLittle(description, entry))
    const rotations =
      lists && keyStateRow(description.keyState).listsRotations ? await kms.listKeyRotations(keyArn) : null
    return { seen: "key", region, keyArn, description, rotations, tags, policy }
  } catch (error) {
    return failedView(region, keyArn, error)
  }
}

/** With one generation DescribeKey tells all, unless it names other material than the one that is known. */
function saysTooLittle({ currentKeyMaterialId, keyState }: KeyDescription, entry: InventoryEntry | null): boolean {
  if (entry === null || entry.earlier.length > 0) return true
  if (phaseOf({ keyState }) === "empty") return false
  const known = entry.imports.map(({ keyMaterialId }) => keyMaterialId)
  return currentKeyMaterialId !== null && !known.includes(currentKeyMaterialId)
}

function failedView(region: string, keyArn: string, error: unknown): KeyView & { readonly seen: "failed" } {
  if (!(error instanceof KeyferryError)) throw error
  const [cause] = error.causes
  const words = cause === undefined ? error.message : `${error.message} (${cause.code})`
  return { seen: "failed", region, keyArn, code: error.code, error: words }
}

/** Who the record or the tags say the key belongs to, where it is not the binding's owner. */
function claimedBy(key: KeyView, entry: InventoryEntry | null, { owner: wanted }: Row["binding"]): string | null {
  if (entry !== null && entry.owner !== wanted) return entry.owner
  if (key.seen !== "key" || key.tags === null || entry === null) return null
  const owner = key.tags[TAGS.owner]
  return owner === undefined || owner === entry.owner ? null : owner
}
