import { KeyferryError } from "../../core/base/error.js"
import { keysOf, type InventoryEntry, withNested } from "../../core/records/inventory.js"
import { NOTHING_ASKED, type Operation, unfinishedOf } from "../../core/records/operation.js"
import { jitterOf } from "../../core/plan/due.js"
import { isSymmetric } from "../../core/plan/material.js"
import type { KeyView, Snapshot } from "../../core/plan/snapshot.js"
import type { KeyDescription } from "../../core/key/key-description.js"
import { keyStateRow, phaseOf } from "../../core/key/key-state.js"
import type { Kms } from "../../core/ports/kms.js"
import type { Fleet, FleetKey } from "./fleet.js"
import type { SourceIndex } from "./source-index.js"
import { refuseStrangersKey } from "../kms-key/account.js"
import { findKmsKey } from "../kms-key/find.js"
import { unknownKey } from "../kms-key/unknown-keys.js"
import { bearsTags, identityTags, TAGS } from "../kms-key/tags.js"

/** How much KMS is asked of a key: each of these costs requests, one a key. */
export interface ObserveDepth {
  /** Tags, description and policy: whose the key is, and its drift. */
  readonly tags: boolean
  /** Every key material; otherwise only where DescribeKey does not say all. */
  readonly materials: "needed" | "all"
  /** Asks for the alias again: what was listed before is from before this key was worked on. */
  readonly fresh?: boolean
}

/** Reads snapshots. What is the same for many keys is asked once: Regions, aliases, the content of tokens. */
export interface Observer {
  readonly observe: (key: FleetKey, depth: ObserveDepth) => Promise<Snapshot>
  /** The same, with what the tags say of whose the key is. */
  readonly withClaim: (snapshot: Snapshot) => Promise<Snapshot>
}

export function observer(fleet: Fleet, sources: SourceIndex): Observer {
  const aliasesByTarget = new Map<string, Promise<ReadonlyMap<string, string | null>>>()

  let operations: Promise<readonly Operation[]> | undefined
  const listOperations = async (): Promise<readonly Operation[]> => (await fleet.operations.list()).operations

  const aliasesOf = (target: string, kms: Kms): Promise<ReadonlyMap<string, string | null>> => {
    const listing = aliasesByTarget.get(target) ?? listAliases(kms)
    aliasesByTarget.set(target, listing)
    return listing
  }

  /** Undefined where nothing wants to know, or KMS does not let it be known. */
  const aliasHolder = async (
    { binding, role }: FleetKey,
    kms: Kms,
    depth: ObserveDepth,
  ): Promise<string | null | undefined> => {
    if (!depth.tags || binding.alias === null || role !== "current") return undefined
    try {
      if (depth.fresh === true) return await holderOf(kms, binding.alias)
      return (await aliasesOf(binding.target, kms)).get(binding.alias) ?? null
    } catch (error) {
      if (error instanceof KeyferryError) return undefined
      throw error
    }
  }

  return {
    async withClaim(snapshot) {
      const { key, entry, binding } = snapshot
      if (key.seen !== "key") return snapshot
      try {
        const kms = await fleet.kmsOf(binding.target)
        const tagged = { ...key, tags: await kms.listResourceTags(key.keyArn) }
        return { ...snapshot, key: tagged, claimedBy: claimedBy(tagged, entry, binding) }
      } catch (error) {
        return { ...snapshot, key: failedView(key.region, key.keyArn, error) }
      }
    },

    async observe(fleetKey, depth) {
      const { binding, role, entry, damage } = fleetKey
      const local = {
        binding,
        role,
        entry,
        damage: damage?.message ?? null,
        unknownKey: null,
        unfinished:
          entry === null || role === "former"
            ? NOTHING_ASKED
            : unfinishedOf(await (operations ??= listOperations()), entry),
        jitter: jitterOf(binding),
        wantedTags: entry === null ? {} : wantedTags(entry, binding),
        sources: await sources.views(binding, entry),
      }
      /** Of a key that KMS was not asked about. */
      const blind = (key: KeyView): Snapshot => {
        const nothing = { replicas: [], claimedBy: null, aliasHolder: undefined }
        return { ...local, ...nothing, now: fleet.clock.now(), region: key.region, key }
      }
      if (damage !== null) {
        return blind({ seen: "nothing", region: "" })
      }
      let kms: Kms
      try {
        kms = await fleet.kmsOf(binding.target)
      } catch (error) {
        const key = failedView(entry?.region ?? "", entry?.keyArn ?? "", error)
        return blind(key)
      }
      let unknown: string | null = null
      const unknownFor = async (view: KeyView, holder: string | null | undefined): Promise<string | null> =>
        entry === null || role === "former" || !depth.tags
          ? null
          : await successorOf(fleet, kms, { entry, view, holder })
      if (entry === null) {
        try {
          unknown = (await unknownKey({ ...fleet, kms }, binding))?.keyArn ?? null
        } catch (error) {
          const key = failedView(kms.region, "", error)
          return blind(key)
        }
      }
      const [primary, ...replicaKeys] = entry === null ? [] : keysOf(entry)
      // a KMS key that somebody else made is there before there is an entry
      const recorded = primary?.keyArn === entry?.keyArn ? (primary?.keyArn ?? null) : null
      const keyArn = entry === null ? binding.keyArn : recorded
      const [key, holder, ...replicas] = await Promise.all([
        keyArn === null ? { seen: "nothing" as const, region: kms.region } : keyView(kms, fleetKey, keyArn, depth),
        aliasHolder(fleetKey, kms, depth),
        ...replicaKeys.map(async (replica) => replicaView(fleet, fleetKey, replica, depth)),
      ])
      return {
        ...local,
        unknownKey: unknown ?? (await unknownFor(key, holder)),
        // by now KMS has answered, and told the time
        now: fleet.clockOf(binding.target).now(),
        region: kms.region,
        key,
        replicas,
        claimedBy: claimedBy(key, entry, binding),
        aliasHolder: holder,
      }
    },
  }
}

/**
 * ARN of the KMS key that another copy of the state has put in the place of an entry's: the one behind its alias, or the
 * one that its tags name, if that is alive, tagged as the entry, and in no entry here. KMS is asked only where one of them is another key.
 */
async function successorOf(
  fleet: Pick<Fleet, "entries">,
  kms: Kms,
  { entry, view, holder }: { entry: InventoryEntry; view: KeyView; holder: string | null | undefined },
): Promise<string | null> {
  if (view.seen !== "key") return null
  const { keyArn } = view
  const behindAlias = holder == null ? undefined : keyArn.replace(/[^/]+$/, holder)
  const candidates = [behindAlias, view.tags?.[TAGS.replacedBy]].filter(
    (candidate): candidate is string => candidate !== undefined && candidate !== keyArn,
  )
  if (candidates.length === 0) return null
  const ownArns = new Set(
    fleet.entries.flatMap(withNested).flatMap((nested) => keysOf(nested).map((key) => key.keyArn)),
  )
  for (const candidate of new Set(candidates)) {
    if (ownArns.has(candidate) || !(await bearsTags(kms, candidate, entry))) continue
    const successor = await findKmsKey(kms, candidate)
    if (successor !== null && phaseOf(successor) !== "dying") return successor.keyArn
  }
  return null
}

function wantedTags(entry: InventoryEntry, { tags }: FleetKey["binding"]): Snapshot["wantedTags"] {
  return { ...tags, ...identityTags(entry) }
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
  fleetKey: FleetKey,
  { region, keyArn }: { readonly region: string; readonly keyArn: string },
  depth: ObserveDepth,
): Promise<KeyView> {
  try {
    return await keyView(await fleet.kmsOf(fleetKey.binding.target, region), fleetKey, keyArn, depth)
  } catch (error) {
    return failedView(region, keyArn, error)
  }
}

async function keyView(kms: Kms, { binding, entry }: FleetKey, keyArn: string, depth: ObserveDepth): Promise<KeyView> {
  const { region } = kms
  try {
    const [description, tags, policy] = await Promise.all([
      kms.describeKey(keyArn),
      depth.tags ? kms.listResourceTags(keyArn) : null,
      depth.tags && binding.keyPolicy !== null ? kms.getKeyPolicy(keyArn) : null,
    ])
    const lists = isSymmetric(binding.keySpec) && (depth.materials === "all" || saysTooLittle(description, entry))
    if (entry === null) await refuseStrangersKey(kms, keyArn)
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
  const recordedIds = entry.imports.map(({ keyMaterialId }) => keyMaterialId)
  return currentKeyMaterialId !== null && !recordedIds.includes(currentKeyMaterialId)
}

function failedView(region: string, keyArn: string, error: unknown): KeyView & { readonly seen: "failed" } {
  if (!(error instanceof KeyferryError)) throw error
  const [cause] = error.causes
  const message = cause === undefined ? error.message : `${error.message} (${cause.code})`
  return { seen: "failed", region, keyArn, code: error.code, exit: error.exit, error: message, hint: error.hint }
}

/** Who the record or the tags say the key belongs to, where it is not the binding's owner. */
function claimedBy(key: KeyView, entry: InventoryEntry | null, binding: FleetKey["binding"]): string | null {
  if (entry !== null && entry.owner !== binding.owner) return entry.owner
  if (key.seen !== "key" || key.tags === null) return null
  const { [TAGS.owner]: owner, [TAGS.name]: name } = key.tags
  if (entry === null) {
    return owner === undefined || (owner === binding.owner && name === binding.name)
      ? null
      : `${name ?? ""} of ${owner}`
  }
  return owner === undefined || owner === entry.owner ? null : owner
}
