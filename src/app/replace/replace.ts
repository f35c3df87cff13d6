import { randomUUID } from "node:crypto"
import { errorAfter, KeyferryError } from "../../core/base/error.js"
import { validToFrom } from "../../core/base/expiry.js"
import type { KeyDescription } from "../../core/key/key-description.js"
import { type KeyResult, keyResult } from "../../core/records/key-result.js"
import type { Choice } from "../../core/key/negotiation.js"
import { labelOf, localUsages, newSourceKeyId } from "../../core/key/source-key.js"
import {
  beginEntry,
  importedEntry,
  importOf,
  type ImportWishes,
  type InventoryEntry,
  type MadeEntry,
} from "../../core/records/inventory.js"
import type { ReplaceWishes } from "../../core/records/operation.js"
import { lockSource, wantsLock } from "../source-key/lock.js"
import { refuseCustodyByPolicy, refuseImportOnce, refuseLocalUse } from "../custody/policy.js"
import type { Deps } from "../deps.js"
import { importKey, provable } from "../import/import.js"
import { chooseWay, wished } from "../import/terms.js"
import { refuseOtherAccount } from "../kms-key/account.js"
import { createKeyOnce } from "../kms-key/create.js"
import { findKmsKey } from "../kms-key/find.js"
import { refuseUnknownKey } from "../kms-key/unknown-keys.js"
import { dressOf } from "../kms-key/settings.js"
import { proofFor } from "../provision/finished.js"
import { fillReplica } from "../replicas/replicas.js"
import { refuseRotatedElsewhere } from "../rotate/view.js"
import { ensureSource } from "../source-key/ensure.js"
import { replacementInventory } from "./nested-inventory.js"
import { refuseForeignAlias, refuseRotating, sayOtherToken } from "./refusals.js"
import { isAlive, promote, takePlace, takeReplicasPlace } from "./take-place.js"

export interface ReplaceResult extends KeyResult {
  /** The KMS key whose place the new one took. */
  readonly replaced: string
}

/**
 * A new KMS key with new key material in the place of another, of any key spec: made and proven first, the alias moved
 * to it last. The replaced one stays as it is, tagged, and rewrapped, until it is retired. A replacement that an earlier
 * run left unfinished is finished, and is this one.
 *
 * @throws ERR_CUSTODY_REFUSED, ERR_NOT_ACKNOWLEDGED, ERR_KMS_ALIAS_TAKEN, ERR_STATE_INCOMPLETE and others before
 * anything is made; what provisioning throws
 */
export async function replaceKey(deps: Deps, entry: InventoryEntry, wishes: ReplaceWishes): Promise<ReplaceResult> {
  const old = importedEntry(entry)
  try {
    return await replaceMade(deps, old, wishes)
  } catch (error) {
    throw errorAfter(error, `${old.name}, ${old.replacement?.keyArn ?? old.keyArn}`)
  }
}

async function replaceMade(deps: Deps, old: MadeEntry, wishes: ReplaceWishes): Promise<ReplaceResult> {
  sayOtherToken(deps, old)
  const oldKey = await findKmsKey(deps.kms, old.keyArn)
  if (isAlive(oldKey)) {
    refuseRotating(old)
    await refuseRotatedElsewhere(deps, old)
  }
  const earlier = await begunBefore(deps, old)
  // before the alias: it may be with the key that another copy of the state has put in this one's place
  if (earlier === null) await refuseUnknownKey(deps, old)
  await refuseForeignAlias(deps, old)
  const terms = wished(old, wishes)
  validToFrom(terms.expiresIn, deps.clock.now())
  refuseImportOnce({ ...old, ...terms, isAccepted: wishes.acceptNoReimport ?? false })
  refuseLocalUse({ custody: old.custody, localUse: wishes.localUse ?? false })
  await refuseOtherAccount(deps, { ...old, target: null }, () => deps.kms.callersAccount())
  if (earlier === null) refuseCustodyByPolicy(old.custody, deps.policy)
  const choice = await chooseWay(deps, old, terms)

  const nested: Deps = { ...deps, inventory: replacementInventory(deps.inventory, old) }
  const { unenforced } = choice
  const begunEntry = earlier ?? { ...beginReplacement(deps, old, terms), unenforced }
  if (earlier !== null) deps.progress.step(`a KMS key in the place of ${old.keyArn} was begun before; finishing it`)
  const madeEntry =
    begunEntry.keyArn === null
      ? await createKeyOnce(nested, begunEntry, await createTerms(deps, oldKey, wishes))
      : { ...begunEntry, keyArn: begunEntry.keyArn }
  const localUse = wishes.localUse === true || usedLocally(old)
  const filled = await fill(nested, madeEntry, { choice, terms, prove: wishes.prove, localUse })
  let entry = wantsLock(filled) ? await lockSource(nested, filled) : filled
  for (const { region } of old.replicas) entry = await fillReplica(nested, entry, region, wishes)
  await takePlace(deps, old, entry, oldKey)
  for (const { region } of old.replicas) entry = await takeReplicasPlace(nested, old, entry, region)
  const promoted = await promote(deps, old, entry)
  const record = importOf(promoted, 0, promoted.region)
  if (record === undefined) throw new KeyferryError("ERR_BUG", `no import into ${promoted.keyArn} is recorded`)
  return { ...keyResult(promoted, record, "done", choice.why), replaced: old.keyArn }
}

/** Whether a locked key was given the usages that `--local-use` gives. */
function usedLocally({ custody, keySpec, keyUsage, source: { attributes } }: MadeEntry): boolean {
  const usages = localUsages(keySpec, keyUsage)
  return custody === "locked" && usages.length > 0 && usages.every((usage) => attributes?.[usage] === true)
}

/** What an earlier run began; null where it did not, or where the operator has given up the KMS key that it made. */
async function begunBefore(
  deps: Pick<Deps, "kms" | "progress">,
  { replacement }: MadeEntry,
): Promise<InventoryEntry | null> {
  if (replacement?.keyArn == null) return replacement
  if (isAlive(await findKmsKey(deps.kms, replacement.keyArn))) return replacement
  deps.progress.warn(`${replacement.keyArn}, which was begun before, is gone or about to be deleted; making another`)
  return null
}

function beginReplacement(deps: Pick<Deps, "clock">, old: MadeEntry, terms: ImportWishes): InventoryEntry {
  const { owner, name, target, region, keySpec, keyUsage, custody, alias, multiRegion } = old
  const identity = { owner, name, target, region, keySpec, keyUsage, custody, alias, multiRegion }
  const source = { id: newSourceKeyId(), label: labelOf({ owner, name, generation: 0 }) }
  return { ...beginEntry(identity, source, randomUUID(), deps.clock.now()), terms }
}

interface FillStep {
  readonly choice: Choice
  readonly terms: ImportWishes
  readonly prove: "full" | "accept"
  readonly localUse: boolean
}

/** Source key, import and proof of the new KMS key, as far as they are still to be done. */
async function fill(deps: Deps, made: MadeEntry, step: FillStep): Promise<MadeEntry> {
  const { choice, terms, localUse } = step
  const prove = proofFor({ custody: made.custody, prove: step.prove })
  const record = importOf(made, 0, made.region)
  const open = made.importing !== null || record === undefined || record.proof.result === "failed"
  const expired = record?.validTo != null && new Date(record.validTo) <= deps.clock.now()
  if (!open && !expired && !(prove === "full" && provable(record))) return made
  const lostHint = `schedule the deletion of ${made.keyArn}, which nobody uses yet, and run again: another is made`
  const { source, entry } = await ensureSource(deps, made, { sharesLabel: true, localUse, lostHint })
  const { capability } = choice
  return (await importKey(deps, { entry, source, capability, expiresIn: terms.expiresIn, prove })).entry
}

/** The new KMS key is to be used as the old one was. */
async function createTerms(deps: Deps, oldKey: KeyDescription | null, wishes: ReplaceWishes) {
  const { description = null, tags, keyPolicy = null } = wishes
  if (oldKey === null) return { description, tags: tags ?? {}, policy: keyPolicy }
  const before = await dressOf(deps, deps.kms, oldKey)
  return {
    description: description ?? before.description,
    tags: { ...before.tags, ...tags },
    policy: keyPolicy ?? before.policy,
  }
}
