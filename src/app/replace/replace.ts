import { randomUUID } from "node:crypto"
import { CUSTODIES } from "../../core/key/custody.js"
import { errorAfter, KeyferryError } from "../../core/base/error.js"
import { validToFrom } from "../../core/base/expiry.js"
import {
  beginEntry,
  importOf,
  type ImportWishes,
  type InventoryEntry,
  keyArnIn,
  type MadeEntry,
} from "../../core/records/inventory.js"
import { type KeyResult, keyResult } from "../../core/key/key-result.js"
import type { Choice } from "../../core/key/negotiation.js"
import type { KeyDescription } from "../../core/key/key-description.js"
import { phaseOf } from "../../core/key/key-state.js"
import { labelOf, localUsages, newSourceKeyId } from "../../core/key/source-key.js"
import { sameToken } from "../../core/token/token-info.js"
import type { ChangesFor } from "../../core/manifest/key-settings.js"
import { moveAlias, refuseTakenAlias } from "../kms-key/alias.js"
import { createKeyOnce } from "../kms-key/create.js"
import { refuseCustodyByPolicy } from "../custody/policy.js"
import type { Deps } from "../deps.js"
import { ensureSource } from "../source-key/ensure.js"
import { record } from "../record.js"
import { importKey, provable } from "../import/import.js"
import { lockSource, wantsLock } from "../custody/lock.js"
import { aliasReplica } from "../replicas/alias.js"
import { fillReplica } from "../replicas/replicas.js"
import { plain, replacementInventory } from "./nested-inventory.js"
import { chooseWay, type ImportAgainWishes, wished } from "../import/terms.js"
import { findKmsKey } from "../kms-key/find.js"
import { dressOf } from "../kms-key/settings.js"
import { refuseLocalUse } from "../provision/request.js"
import { TAGS } from "../kms-key/tags.js"

/** What the new KMS key is to be; what null, or no word, leaves open is as the old one's. */
export interface ReplaceWishes
  extends ImportAgainWishes, Partial<Omit<ChangesFor<"replace">, keyof ImportAgainWishes>> {
  /** `session` and `locked` custody can import only once; the operator has said that this is understood. */
  readonly acceptNoReimport?: boolean
}

export interface ReplaceResult extends KeyResult {
  /** The KMS key whose place the new one took. */
  readonly replaced: string
}

/**
 * A new KMS key with new key material in the place of another, of any key spec: made and proven first, the alias moved
 * to it last. The replaced one stays as it is, tagged, and rewrapped, until it is retired. A replacement that an earlier
 * run left unfinished is finished, and is this one.
 *
 * @throws ERR_CUSTODY_REFUSED, ERR_NOT_ACKNOWLEDGED, ERR_KMS_ALIAS_TAKEN and others before anything is made; what
 * provisioning throws
 */
export async function replaceKey(deps: Deps, entry: InventoryEntry, wishes: ReplaceWishes): Promise<ReplaceResult> {
  const old = replaceable(entry)
  try {
    return await replaceMade(deps, old, wishes)
  } catch (error) {
    throw errorAfter(error, `${old.name}, ${old.replacement?.keyArn ?? old.keyArn}`)
  }
}

async function replaceMade(deps: Deps, old: MadeEntry, wishes: ReplaceWishes): Promise<ReplaceResult> {
  sayOtherToken(deps, old)
  const oldKey = await findKmsKey(deps.kms, old.keyArn)
  if (old.rotating && isAlive(oldKey)) {
    throw new KeyferryError("ERR_KMS_KEY_STATE", `a rotation of ${old.name} is not finished`, {
      key: old.name,
      hint: `finish it first: keyferry rotate ${old.name}`,
    })
  }
  await refuseForeignAlias(deps, old)
  const terms = wished(old, wishes)
  validToFrom(terms.expiresIn, deps.clock.now())
  refuseImportOnce(old, terms, wishes)
  refuseLocalUse({ custody: old.custody, localUse: wishes.localUse ?? false })
  const earlier = await begunBefore(deps, old)
  if (earlier === null) refuseCustodyByPolicy(old.custody, deps.policy)
  const choice = await chooseWay(deps, old, terms)

  const nested: Deps = { ...deps, inventory: replacementInventory(deps.inventory, old) }
  const { unenforced } = choice
  const begun = earlier ?? { ...beginReplacement(deps, old, terms), unenforced }
  if (earlier !== null) deps.progress.step(`a KMS key in the place of ${old.keyArn} was begun before; finishing it`)
  const made =
    begun.keyArn === null ? await createKeyOnce(nested, begun, await createTerms(deps, oldKey, wishes)) : begun
  const localUse = wishes.localUse === true || usedLocally(old)
  const filling = { choice, terms, prove: wishes.prove, localUse }
  const filled = await fill(nested, { ...made, keyArn: made.keyArn ?? "" }, filling)
  let whole = wantsLock(filled) ? await lockSource(nested, filled) : filled
  for (const { region } of old.replicas) whole = await fillReplica(nested, whole, region, wishes)
  await takePlace(deps, old, whole, oldKey)
  for (const { region } of old.replicas) whole = await takeReplicasPlace(nested, old, whole, region)
  const promoted = await promote(deps, old, whole)
  const record = importOf(promoted, 0, promoted.region)
  if (record === undefined) throw new KeyferryError("ERR_BUG", `no import into ${promoted.keyArn} is recorded`)
  return { ...keyResult(promoted, record, "done", choice.why), replaced: old.keyArn }
}

function replaceable(entry: InventoryEntry): MadeEntry {
  const { name, keyArn } = entry
  if (keyArn === null || entry.imports.length === 0) {
    throw new KeyferryError("ERR_KEY_NOT_FOUND", `${name} has no KMS key with key material yet`, {
      key: name,
      hint: "provision it first, with the same flags as before if that was begun",
    })
  }
  return { ...entry, keyArn }
}

/** Whether a locked key was given the usages that `--local-use` gives. */
function usedLocally({ custody, keySpec, keyUsage, source: { attributes } }: MadeEntry): boolean {
  const usages = localUsages(keySpec, keyUsage)
  return custody === "locked" && usages.length > 0 && usages.every((usage) => attributes?.[usage] === true)
}

/** The new material is as little to be imported again as the old one's was. */
function refuseImportOnce({ name, custody }: MadeEntry, { expiresIn }: ImportWishes, wishes: ReplaceWishes): void {
  if (CUSTODIES[custody].reimport || (wishes.acceptNoReimport === true && expiresIn === "never")) return
  throw new KeyferryError(
    "ERR_NOT_ACKNOWLEDGED",
    `with custody ${custody} the new material of ${name} can never be imported again`,
    { key: name },
  )
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

/** The new material may be born in another token: the old one's may be what was lost. */
function sayOtherToken(
  { token: { info }, progress }: Pick<Deps, "token" | "progress">,
  { name, token }: MadeEntry,
): void {
  if (token === null || sameToken(token, info)) return
  const there = `"${token.label}" (serial ${token.serial})`
  progress.warn(
    `the source key of ${name} is in token ${there}; that of the new KMS key is made in "${info.label}" (serial ${info.serial})`,
  )
}

/** The alias is the old key's, or the new one's where an earlier run came so far; one that was never given is free. */
async function refuseForeignAlias(deps: Pick<Deps, "kms" | "kmsIn">, old: MadeEntry): Promise<void> {
  const { alias, replacement } = old
  if (alias === null) return
  await refuseTakenAlias(deps.kms, alias, old.keyArn, replacement?.keyArn)
  for (const { region, keyArn } of old.replicas) {
    const ours = replacement === null ? undefined : keyArnIn(replacement, region)
    await refuseTakenAlias(await deps.kmsIn(region), alias, keyArn, ours)
  }
}

const isAlive = (key: KeyDescription | null): boolean => key !== null && phaseOf(key) !== "dying"

interface Filling {
  readonly choice: Choice
  readonly terms: ImportWishes
  readonly prove: ReplaceWishes["prove"]
  readonly localUse: boolean
}

/** Source key, import and proof of the new KMS key, as far as they are still to be done. */
async function fill(deps: Deps, made: MadeEntry, filling: Filling): Promise<MadeEntry> {
  // a locked key can be imported no second time, so its proof is not left for later
  const prove = made.custody === "locked" ? "full" : filling.prove
  const record = importOf(made, 0, made.region)
  const open = made.importing !== null || record === undefined || record.proof.result === "failed"
  const gone = record?.validTo != null && new Date(record.validTo) <= deps.clock.now()
  if (!open && !gone && !(prove === "full" && provable(record))) return made
  // an import whose outcome is not known may have filled the key: then no other source key would do
  const needed = phaseOf(await deps.kms.describeKey(made.keyArn)) !== "empty" || record !== undefined
  try {
    const { source, entry } = await ensureSource(deps, made, { needed, localUse: filling.localUse })
    const step = { entry, source, capability: filling.choice.capability, expiresIn: filling.terms.expiresIn, prove }
    return (await importKey(deps, step)).entry
  } catch (error) {
    if (!(error instanceof KeyferryError && error.code === "ERR_KEY_NOT_FOUND")) throw error
    const hint = `schedule the deletion of ${made.keyArn}, which nobody uses yet, and run again: another is made`
    throw new KeyferryError(error.code, error.message, { key: made.name, hint, cause: error })
  }
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

/** What users of the alias see: from here on the new key. The old one says which took its place. */
async function takePlace(deps: Deps, old: MadeEntry, made: MadeEntry, oldKey: KeyDescription | null): Promise<void> {
  const { alias } = old
  if (alias !== null && (await moveAlias(deps.kms, alias, { from: old.keyArn, to: made.keyArn }))) {
    const facts = { alias, from: old.keyArn }
    await record(deps, "alias.moved", { key: made, facts })
  }
  if (!isAlive(oldKey)) return
  await deps.kms.tagResource(old.keyArn, { [TAGS.replacedBy]: made.keyArn })
}

async function takeReplicasPlace(deps: Deps, old: MadeEntry, made: MadeEntry, region: string): Promise<MadeEntry> {
  const from = keyArnIn(old, region)
  const moved = await aliasReplica(deps, made, region, from)
  const to = keyArnIn(made, region)
  const kms = await deps.kmsIn(region)
  if (from !== undefined && to !== undefined && isAlive(await findKmsKey(kms, from))) {
    await kms.tagResource(from, { [TAGS.replacedBy]: to })
  }
  return moved
}

/** The new entry takes the old one's file, the old one its place among the former: in one write. */
async function promote(deps: Deps, old: MadeEntry, made: MadeEntry): Promise<MadeEntry> {
  await record(deps, "key.replaced", { key: made, facts: { replaced: old.keyArn } })
  const replacedAt = deps.clock.now().toISOString()
  const outer = (await deps.inventory.get(old.name, old.target)) ?? old
  const former = { ...plain(outer), alias: null, aliasGiven: false, replacedAt, retiredAt: null }
  const promoted = { ...made, aliasGiven: old.alias !== null, former: [...outer.former, former] }
  await deps.inventory.put(promoted)
  return promoted
}
