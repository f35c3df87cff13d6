import { partitionOf, takenIn } from "../../core/key/partition.js"
import { randomUUID } from "node:crypto"
import { errorAfter, errorOf } from "../../core/base/error.js"
import { validToFrom } from "../../core/base/expiry.js"
import { type KeyResult, keyResult } from "../../core/records/key-result.js"
import type { Choice } from "../../core/key/negotiation.js"
import { labelOf, localUsages, newSourceKeyId } from "../../core/key/source-key.js"
import { beginEntry, type InventoryEntry, type MadeEntry, newestImport } from "../../core/records/inventory.js"
import { refuseOtherToken } from "../../core/token/token-info.js"
import { lockSource, wantsLock } from "../source-key/lock.js"
import { refuseCustody, refuseWrapWithTrusted } from "../custody/policy.js"
import type { Deps } from "../deps.js"
import { importKey } from "../import/import.js"
import { accountOf, refuseOtherAccount, refuseStrangersKey } from "../kms-key/account.js"
import { learnKmsTime } from "../kms-key/kms-time.js"
import { pointAlias, refuseTakenAlias } from "../kms-key/alias.js"
import { refuseUnknownKey } from "../kms-key/unknown-keys.js"
import { record } from "../record.js"
import { refuseLostCustodyKey } from "../custody/custody-key.js"
import { ensureReplicas, refuseReplicas } from "../replicas/replicas.js"
import { chooseTested } from "../source-key/choose.js"
import { ensureSource } from "../source-key/ensure.js"
import { findSourceKey, type FoundSource } from "../source-key/find.js"
import { finishedImport, holdsMaterial, materialGone, proofFor, sayUnchanged } from "./finished.js"
import { ensureKmsKey, findKmsKey, refuseOtherKey, tagTaken } from "./kms-key.js"
import {
  type ProvisionRequest,
  refuseConflict,
  refuseEarly,
  refuseDeleted,
  refuseGenerations,
  refuseSecondTarget,
} from "./request.js"

/**
 * The main job, for one key: KMS key, source key, import, proof, record. Run again after a stop at any point it goes on
 * where that one stopped; run again after success it does nothing.
 */
export async function provision(deps: Deps, request: ProvisionRequest): Promise<KeyResult> {
  try {
    return await provisionKey(deps, request)
  } catch (error) {
    throw errorOf(error, request.name)
  }
}

async function provisionKey(deps: Deps, request: ProvisionRequest): Promise<KeyResult> {
  const recorded = await deps.inventory.get(request.name, request.target)
  if (recorded !== undefined) {
    refuseConflict(recorded, request)
    refuseOtherToken(recorded, deps.token.info)
    if (request.keyId !== null) await refuseOtherKey(deps, recorded, request.keyId)
    const assumed = finishedImport(recorded, request, deps.clock.now())
    const isHeld = assumed === undefined ? null : await holdsMaterial(deps, assumed.entry)
    // whether it has expired is reckoned by KMS' time, which that answer told; a host's clock may be ahead too
    if (isHeld === null && newestImport(recorded)?.validTo != null) await learnKmsTime(deps, recorded.keyArn)
    const finished = finishedImport(recorded, request, deps.clock.now())
    if (finished !== undefined) {
      if (!(isHeld ?? (await holdsMaterial(deps, finished.entry)))) throw materialGone(finished.entry)
      sayUnchanged(deps, finished.record, request)
      const { entry, changed } = await finishUp(deps, finished.entry, request)
      if (!changed) deps.progress.step(`${request.name} is provisioned already; nothing to do`)
      return keyResult(entry, finished.record, changed ? "done" : "nothing", null)
    }
    refuseDeleted(recorded)
    refuseGenerations(recorded)
  }
  const prepared = await prepare(deps, request, recorded)
  const begunEntry = { ...(recorded ?? newEntry(deps, request, prepared)), unenforced: prepared.unenforced }
  const entry = await ensureKmsKey(deps, begunEntry, { request, keyArn: prepared.keyArn })
  try {
    return await fill(deps, entry, { request, prepared })
  } catch (error) {
    throw errorAfter(error, `${request.name}, ${entry.keyArn}`)
  }
}

interface Prepared {
  readonly found: FoundSource
  /** CKA_ID of the source key, which may not be made yet. */
  readonly sourceId: string
  readonly choice: Choice
  /** ARN of a KMS key that is there to be filled; null where one is to be made. */
  readonly keyArn: string | null
  /** What the token does not enforce of the custody, in words; null where it enforces all. */
  readonly unenforced: string | null
}

/** Refuses everything that can be refused, with nothing made (invariant I4). */
async function prepare(deps: Deps, request: ProvisionRequest, recorded: InventoryEntry | undefined): Promise<Prepared> {
  const { owner, name, keySpec, keyUsage, custody, alias } = request
  const candidates = takenIn(partitionOf(deps.kms.region), refuseEarly(request, deps.policy))
  const siblings = await deps.inventory.list(name)
  refuseSecondTarget(request, siblings)
  const sourceKey = await findSourceKey(deps.token, {
    label: labelOf({ owner, name, generation: 0 }),
    id: recorded?.source.id,
    keySpec,
    custody,
    localUse: request.localUse ? localUsages(keySpec, keyUsage) : [],
    sharesLabel: false,
  })
  await refuseLostCustodyKey(deps, request)
  const untrusted = request.wrapWithTrusted ? await refuseWrapWithTrusted(deps, custody) : null
  const shortcomings = [
    await refuseCustody(deps, { ...request, isMade: sourceKey.key !== undefined }),
    untrusted,
  ].filter((words) => words !== null)
  const choice = await chooseTested(deps.token, candidates)
  const { wrappingAlgorithm, wrapPath } = choice.capability
  deps.progress.step(`algorithm ${wrappingAlgorithm} (${wrapPath ?? ""}): ${choice.why}`)
  const keyArn = await findKmsKey(deps, request, recorded)
  if (recorded === undefined) await refuseUnknownKey(deps, request, [keyArn])
  if (recorded === undefined && keyArn !== null) await refuseStrangersKey(deps.kms, keyArn)
  if (alias !== null) await refuseTakenAlias(deps.kms, { ...request, alias }, keyArn)
  await refuseReplicas(deps, request, recorded)
  await learnKmsTime(deps)
  validToFrom(request.expiresIn, deps.clock.now())
  await refuseOtherAccount(deps, request, async () =>
    keyArn === null ? await deps.kms.callersAccount() : accountOf(keyArn),
  )
  const sourceId = sourceKey.key?.id ?? intendedSource(request, siblings) ?? newSourceKeyId()
  return { found: sourceKey, sourceId, choice, keyArn, unenforced: shortcomings.join("; ") || null }
}

/** The CKA_ID under which another target of the name, which came to a stop before, is to have the source key made. */
function intendedSource({ owner, keySpec }: ProvisionRequest, siblings: readonly InventoryEntry[]): string | undefined {
  const stopped = siblings.filter(({ source }) => source.generation === 0 && source.attributes === null)
  return stopped.find((entry) => entry.owner === owner && entry.keySpec === keySpec)?.source.id
}

function newEntry(
  deps: Pick<Deps, "kms" | "clock">,
  request: ProvisionRequest,
  { sourceId }: Pick<Prepared, "sourceId">,
): InventoryEntry {
  const { owner, name, target, keySpec, keyUsage, custody, alias, multiRegion } = request
  const identity = { owner, name, target, region: deps.kms.region, keySpec, keyUsage, custody, alias, multiRegion }
  const source = { id: sourceId, label: labelOf({ owner, name, generation: 0 }) }
  return beginEntry(identity, source, randomUUID(), deps.clock.now())
}

/** Source key, import, proof, alias: what is left once there is a KMS key. */
async function fill(
  deps: Deps,
  madeEntry: MadeEntry,
  { request, prepared }: { readonly request: ProvisionRequest; readonly prepared: Prepared },
): Promise<KeyResult> {
  await tagTaken(deps, madeEntry, request)
  if (madeEntry.importing !== null) await recordRecovered(deps, madeEntry)
  const { expiresIn, wrappingAlgorithm, wrappingKeySpec, wrapWithTrusted, localUse } = request
  const terms = { expiresIn, wrappingAlgorithm, wrappingKeySpec }
  const { source, entry } = await ensureSource(
    deps,
    { ...madeEntry, terms },
    { found: prepared.found, sharesLabel: false, lostHint: LOST_HINT, wrapWithTrusted, localUse },
  )
  const { capability, why } = prepared.choice
  const imported = await importKey(deps, { entry, source, capability, expiresIn, prove: proofFor(request) })
  const { entry: finished } = await finishUp(deps, imported.entry, request)
  return keyResult(finished, imported.record, "done", why)
}

const LOST_HINT =
  "schedule that KMS key's deletion and provision under another --name; with session custody a stopped run cannot be resumed"

/** What comes after a proven import: a run that died before it left only that to do. */
async function finishUp(
  deps: Deps,
  entry: MadeEntry,
  request: ProvisionRequest,
): Promise<{ readonly entry: MadeEntry; readonly changed: boolean }> {
  const locking = wantsLock(entry)
  const locked = locking ? await lockSource(deps, entry) : entry
  const { entry: replicated, changed } = await ensureReplicas(deps, locked, request)
  const aliased = await giveAlias(deps, replicated)
  return { entry: replicated, changed: locking || changed || aliased }
}

/** An earlier run did not learn what became of its import; what KMS has now is on record before it is sent again. */
async function recordRecovered(deps: Deps, entry: MadeEntry): Promise<void> {
  const { keyState, currentKeyMaterialId } = await deps.kms.describeKey(entry.keyArn)
  await record(deps, "recovered", {
    key: entry,
    facts: { step: "ImportKeyMaterial", found: keyState, keyMaterialId: currentKeyMaterialId },
  })
}

/** Gives the KMS key the alias of its entry, and writes down that it has it; true if that was still to be done. */
async function giveAlias(deps: Deps, entry: MadeEntry): Promise<boolean> {
  const { alias, aliasGiven, keyArn } = entry
  if (alias === null || aliasGiven) return false
  const isNew = await pointAlias(deps.kms, { ...entry, alias }, keyArn)
  await record(deps, "alias.moved", { key: entry, facts: { alias, found: !isNew } })
  await deps.inventory.put({ ...entry, aliasGiven: true })
  return isNew
}
