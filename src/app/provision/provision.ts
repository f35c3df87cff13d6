import { randomUUID } from "node:crypto"
import { errorAfter, errorOf, KeyferryError } from "../../core/base/error.js"
import {
  beginEntry,
  type ImportRecord,
  type InventoryEntry,
  newestImport,
  withNested,
  type MadeEntry,
} from "../../core/records/inventory.js"
import { type KeyResult, keyResult } from "../../core/key/key-result.js"
import type { Choice } from "../../core/key/negotiation.js"
import { labelOf, localUsages, newSourceKeyId, type SourceKey } from "../../core/key/source-key.js"
import { refuseOtherToken } from "../../core/token/token-info.js"
import { pointAlias, refuseTakenAlias } from "../kms-key/alias.js"
import { accountOf, callersAccount, refuseOtherAccount } from "../kms-key/account.js"
import { createKeyOnce } from "../kms-key/create.js"
import type { Deps } from "../deps.js"
import { record } from "../record.js"
import { importKey, provable } from "../import/import.js"
import { assertTakesImport, resolveKey } from "../kms-key/find.js"
import { type ProvisionRequest, refuseConflict, refuseEarly, refuseSecondTarget } from "./request.js"
import { refuseCustody, refuseWrapWithTrusted } from "../custody/policy.js"
import { lockSource, wantsLock } from "../custody/lock.js"
import { provisionSource } from "./source.js"
import { ensureReplicas, refuseReplicas } from "../replicas/replicas.js"
import { chooseTested, takeSourceKey } from "../source-key/take.js"
import { identityTags } from "../kms-key/tags.js"

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
  const known = await deps.inventory.get(request.name, request.target)
  if (known !== undefined) {
    refuseConflict(known, request)
    refuseOtherToken(known, deps.token.info)
  }
  if (known !== undefined && request.keyId !== null) await refuseOtherKey(deps, known, request.keyId)
  const done = known === undefined ? undefined : finished(known, request, deps.clock.now())
  if (done !== undefined) {
    sayUnchanged(deps, done.record, request)
    const { entry, changed } = await finishUp(deps, done.entry, request)
    if (!changed) deps.progress.step(`${request.name} is provisioned already; nothing to do`)
    return keyResult(entry, done.record, changed ? "done" : "nothing", null)
  }
  if (known !== undefined) refuseGenerations(known)

  // from here to CreateKey everything that can be refused is refused, with nothing made (invariant I4)
  const candidates = refuseEarly(request, deps.clock.now(), deps.policy)
  const label = labelOf({ owner: request.owner, name: request.name, generation: 0 })
  const { keySpec, custody } = request
  refuseSecondTarget(request, await deps.inventory.list(request.name))
  const localUse = request.localUse === true ? localUsages(keySpec, request.keyUsage) : []
  const existing = await takeSourceKey(deps.token, { label, keySpec, custody, id: known?.source.id, localUse })
  const trusted = request.wrapWithTrusted === true ? await refuseWrapWithTrusted(deps, custody) : null
  const unenforced = [await refuseCustody(deps, request), trusted].filter((why) => why !== null).join("; ") || null
  const { capability, why } = await chooseTested(deps.token, candidates)
  deps.progress.step(`algorithm ${capability.wrappingAlgorithm} (${capability.wrapPath ?? ""}): ${why}`)
  const keyId = request.keyId ?? known?.keyArn ?? null
  const chosen = keyId === null ? null : await chooseKey(deps, request, keyId, known)
  if (request.alias !== null) await refuseTakenAlias(deps.kms, request.alias, chosen ?? known?.keyArn ?? null)
  await refuseReplicas(deps, request, known)
  await refuseOtherAccount(deps, request, async () =>
    chosen === null ? await callersAccount(deps) : accountOf(chosen),
  )

  let entry = { ...(known ?? newEntry(deps, request, existing)), unenforced }
  if (entry.keyArn === null) {
    entry =
      chosen === null
        ? await createKeyOnce(deps, entry, {
            ...{ description: request.description, tags: request.tags, policy: request.keyPolicy ?? null },
          })
        : await adoptKey(deps, entry, chosen)
  }
  const made = { ...entry, keyArn: entry.keyArn ?? "" }
  try {
    await tagTaken(deps, made, request)
    if (made.importing !== null) await logRecovered(deps, made)
    return await fill(deps, request, made, { existing, capability, why, resumed: known !== undefined })
  } catch (error) {
    throw errorAfter(error, `${request.name}, ${made.keyArn}`)
  }
}

/** Source key, import, proof, alias: what is left once there is a KMS key. */
async function fill(
  deps: Deps,
  request: ProvisionRequest,
  entry: MadeEntry,
  with_: Choice & { readonly existing: SourceKey | undefined; readonly resumed: boolean },
): Promise<KeyResult> {
  const { source, entry: sourced } = await provisionSource(deps, request, entry, with_)
  const { capability } = with_
  const imported = await importKey(deps, {
    entry: sourced,
    source,
    capability,
    expiresIn: request.expiresIn,
    prove: proofFor(request),
  })
  const { entry: finished } = await finishUp(deps, imported.entry, request)
  return keyResult(finished, imported.record, "done", with_.why)
}

/** A locked key can be imported no second time, so its proof is not left for later. */
function proofFor({ custody, prove }: ProvisionRequest): ProvisionRequest["prove"] {
  return custody === "locked" ? "full" : prove
}

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
async function logRecovered(deps: Deps, entry: MadeEntry): Promise<void> {
  const { keyState, currentKeyMaterialId } = await deps.kms.describeKey(entry.keyArn)
  await record(deps, "recovered", {
    key: entry,
    facts: { step: "ImportKeyMaterial", found: keyState, keyMaterialId: currentKeyMaterialId },
  })
}

/** A key that was rotated holds several materials: what it lacks is imported again, not provisioned. */
function refuseGenerations({ name, source }: InventoryEntry): void {
  if (source.generation === 0) return
  throw new KeyferryError("ERR_NAME_TAKEN", `${name} was rotated, and KMS lacks key material of it`, {
    key: name,
    hint: `import it again, every generation: keyferry rewrap ${name}; or finish its rotation: keyferry rotate ${name}`,
  })
}

/** Gives the KMS key the alias of its entry, and writes down that it has it; true if that was still to be done. */
async function giveAlias(deps: Deps, entry: MadeEntry): Promise<boolean> {
  const { alias, aliasGiven, keyArn } = entry
  if (alias === null || aliasGiven) return false
  const given = await pointAlias(deps.kms, alias, keyArn)
  await record(deps, "alias.moved", { key: entry, facts: { alias, found: !given } })
  await deps.inventory.put({ ...entry, aliasGiven: true })
  return given
}

/** A finished import stays as it is: flags that ask for another one are named, since they change nothing here. */
function sayUnchanged(deps: Deps, record: ImportRecord, request: ProvisionRequest): void {
  const never = request.expiresIn === "never"
  const asked = [
    never !== (record.validTo === null) &&
      `--expires-in ${request.expiresIn} (it expires ${record.validTo ?? "never"})`,
    request.wrappingAlgorithm !== "auto" &&
      request.wrappingAlgorithm !== record.wrappingAlgorithm &&
      `--wrapping-algorithm ${request.wrappingAlgorithm} (it was ${record.wrappingAlgorithm})`,
    request.wrappingKeySpec !== record.wrappingKeySpec &&
      `--wrapping-key-spec ${request.wrappingKeySpec} (it was ${record.wrappingKeySpec})`,
  ].filter((text) => text !== false)
  if (asked.length > 0)
    deps.progress.warn(`${request.name} is imported already, and stays as it is: not ${asked.join(", not ")}`)
}

/** `--key-id` on a name that stands for a KMS key already must be that key. */
async function refuseOtherKey(deps: Deps, known: InventoryEntry, keyId: string): Promise<void> {
  const { keyArn } = await resolveKey(deps.kms, keyId)
  if (known.keyArn === null || known.keyArn === keyArn) return
  throw new KeyferryError("ERR_NAME_TAKEN", `the name ${known.name} stands for ${known.keyArn}, not for ${keyArn}`)
}

function finished(
  entry: InventoryEntry,
  request: ProvisionRequest,
  now: Date,
): { entry: MadeEntry; record: InventoryEntry["imports"][number] } | undefined {
  const record = newestImport(entry)
  // one that is open in a replica's Region is that replica's matter
  const open = entry.importing !== null && entry.importing.region === entry.region
  if (entry.keyArn === null || record === undefined || open || record.proof.result === "failed") return undefined
  if (proofFor(request) === "full" && provable(record)) return undefined
  // KMS forgot the material by then: the same is imported again
  if (record.validTo !== null && new Date(record.validTo) <= now) return undefined
  return { entry: { ...entry, keyArn: entry.keyArn }, record }
}

async function chooseKey(
  deps: Deps,
  request: ProvisionRequest,
  keyId: string,
  known: InventoryEntry | undefined,
): Promise<string> {
  const key = await resolveKey(deps.kms, keyId)
  const recorded = known?.keyArn ?? null
  assertTakesImport(key, { keySpec: request.keySpec, keyUsage: request.keyUsage, pendingOnly: recorded === null })
  if (recorded === null) await refuseHeld(deps, key.keyArn)
  return key.keyArn
}

/** A KMS key that waits for the material of one name is not there for another. */
async function refuseHeld(deps: Deps, keyArn: string): Promise<void> {
  const holder = (await deps.inventory.list()).flatMap(withNested).find((entry) => entry.keyArn === keyArn)
  if (holder === undefined) return
  throw new KeyferryError("ERR_NAME_TAKEN", `${keyArn} is the KMS key of ${holder.name}`, {
    key: keyArn,
    hint: `give --name ${holder.name} to take that up, or another --key-id`,
  })
}

function newEntry(deps: Deps, request: ProvisionRequest, existing: SourceKey | undefined): InventoryEntry {
  const { owner, name, target, keySpec, keyUsage, custody, alias, multiRegion } = request
  const source = { id: existing?.id ?? newSourceKeyId(), label: labelOf({ owner, name, generation: 0 }) }
  const identity = { owner, name, target, region: deps.kms.region, keySpec, keyUsage, custody, alias, multiRegion }
  return beginEntry(identity, source, randomUUID(), deps.clock.now())
}

/** Takes a KMS key that the operator made. */
async function adoptKey(deps: Deps, entry: InventoryEntry, keyArn: string): Promise<InventoryEntry> {
  const adopted: InventoryEntry = { ...entry, keyArn }
  await deps.inventory.put(adopted)
  await record(deps, "kms-key.taken", { key: adopted })
  return adopted
}

/** A key that was taken says by its tags whose it is; until something is imported an earlier run may not have come so far. */
async function tagTaken(deps: Deps, entry: MadeEntry, request: ProvisionRequest) {
  if (request.keyId === null || entry.importing !== null || entry.imports.length > 0) return
  await deps.kms.tagResource(entry.keyArn, { ...request.tags, ...identityTags(entry) })
}
