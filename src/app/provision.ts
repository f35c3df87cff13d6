import { randomUUID } from "node:crypto"
import { CUSTODIES, type Custody } from "../core/custody.js"
import { errorOf, KeyferryError } from "../core/error.js"
import { validToFrom } from "../core/expiry.js"
import { beginEntry, type InventoryEntry } from "../core/inventory.js"
import { parseKeyArn } from "../core/key-arn.js"
import { type KeyResult, keyResult } from "../core/key-result.js"
import type { KeySpec, KeyUsage, WrappingKeySpec } from "../core/key-spec.js"
import { wrapCandidates, type WantedAlgorithm, type WrapPolicy } from "../core/negotiation.js"
import type { WrapRequest } from "../core/ports.js"
import type { TokenInfo } from "../core/token-info.js"
import { labelOf, newSourceKeyId, type SourceKey } from "../core/source-key.js"
import { createKeyOnce } from "./create-key.js"
import type { Deps } from "./deps.js"
import { importKey } from "./import-key.js"
import { assertTakesImport, resolveKey } from "./kms-key.js"
import { chooseTested, refuseCustody, refuseUnavailable, takeSourceKey } from "./source-keys.js"
import { identityTags } from "./tags.js"

export interface ProvisionRequest {
  readonly owner: string
  readonly name: string
  readonly target: string
  readonly keySpec: KeySpec
  readonly keyUsage: KeyUsage
  readonly alias: string | null
  readonly custody: Custody
  readonly wrappingAlgorithm: WantedAlgorithm
  readonly wrappingKeySpec: WrappingKeySpec
  readonly expiresIn: string
  readonly description: string | null
  readonly tags: Readonly<Record<string, string>>
  readonly multiRegion: boolean
  readonly prove: "full" | "accept"
  /** An existing EXTERNAL key in PendingImport, by ID, ARN or alias; null to have one made. */
  readonly keyId: string | null
  /** `session` and `locked` custody can import only once; the operator has said that this is understood. */
  readonly acceptNoReimport: boolean
}

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
  const done = known === undefined ? undefined : finished(known)
  if (done !== undefined) {
    deps.progress.step(`${request.name} is provisioned already; nothing to do`)
    return keyResult(done.entry, done.record, "nothing", null)
  }

  // from here to CreateKey everything that can be refused is refused, with nothing made (invariant I4)
  const candidates = refuseEarly(request, deps.clock.now(), deps.policy)
  const label = labelOf({ owner: request.owner, name: request.name, generation: 0 })
  const { keySpec, custody } = request
  const existing = await takeSourceKey(deps.token, { label, keySpec, custody, id: known?.source.id })
  await refuseCustody(deps.token, custody)
  const { capability, why } = await chooseTested(deps.token, candidates)
  deps.progress.step(`algorithm ${capability.wrappingAlgorithm} (${capability.wrapPath ?? ""}): ${why}`)
  const keyId = request.keyId ?? known?.keyArn ?? null
  const chosen = keyId === null ? null : await chooseKey(deps, request, keyId, known)
  if (request.alias !== null) await refuseTakenAlias(deps, request.alias, chosen ?? known?.keyArn ?? null)
  await refuseOtherAccount(deps, request, chosen)

  let entry = known ?? newEntry(deps, request, existing)
  if (entry.keyArn === null) {
    entry =
      chosen === null
        ? await createKeyOnce(deps, entry, { description: request.description, tags: request.tags })
        : await adoptKey(deps, entry, chosen, request)
  }
  const made = { ...entry, keyArn: entry.keyArn ?? "" }
  try {
    return await fill(deps, request, made, { existing, capability, why })
  } catch (error) {
    throw errorOf(error, `${request.name} (${made.keyArn})`)
  }
}

/** Source key, import, proof, alias: what is left once there is a KMS key. */
async function fill(
  deps: Deps,
  request: ProvisionRequest,
  entry: InventoryEntry & { readonly keyArn: string },
  with_: { existing: SourceKey | undefined } & Pick<Parameters<typeof importKey>[1], "capability"> & { why: string },
): Promise<KeyResult> {
  const { source, entry: sourced } = await ensureSource(deps, request, entry, with_.existing)
  const { capability } = with_
  const imported = await importKey(deps, {
    entry: sourced,
    source,
    capability,
    expiresIn: request.expiresIn,
    prove: request.prove,
  })
  if (request.alias !== null) {
    await pointAlias(deps, request.alias, entry.keyArn)
    deps.progress.step(`alias ${request.alias}`)
  }
  return keyResult(imported.entry, imported.record, "done", with_.why)
}

async function ensureSource(
  deps: Deps,
  request: ProvisionRequest,
  entry: InventoryEntry & { readonly keyArn: string },
  existing: SourceKey | undefined,
): Promise<{ source: SourceKey; entry: InventoryEntry & { readonly keyArn: string } }> {
  if (existing === undefined) await refuseLostSource(deps, entry)
  const source =
    existing ??
    (await deps.token.generateSourceKey({
      keySpec: request.keySpec,
      id: entry.source.id,
      label: entry.source.label,
      custody: request.custody,
      wrapWithTrusted: false,
    }))
  deps.progress.step(
    `source key ${source.label} (${source.id}) ${existing === undefined ? "generated in" : "found in"} the token, custody ${source.custody}`,
  )
  const { id, label, attributes, kcv, publicKeyFingerprint } = source
  const sourced = {
    ...entry,
    token: deps.token.info,
    source: { id, label, generation: entry.source.generation, attributes, kcv, publicKeyFingerprint },
  }
  if (existing === undefined || entry.source.attributes === null) await deps.inventory.put(sourced)
  return { source, entry: sourced }
}

/** KMS holds, or may hold, material whose source key is no longer there: new material would not be the same. */
async function refuseLostSource(deps: Deps, entry: InventoryEntry & { readonly keyArn: string }): Promise<void> {
  if (entry.importing === null && entry.imports.length === 0) return
  const { keyState } = await deps.kms.describeKey(entry.keyArn)
  if (keyState === "PendingImport" && entry.imports.length === 0) return
  throw new KeyferryError(
    "ERR_KEY_NOT_FOUND",
    `an earlier run gave ${entry.keyArn} (${keyState}) material whose source key is gone, so it cannot be proven or imported again`,
    {
      key: entry.keyArn,
      hint: "schedule that KMS key's deletion and provision under another --name; with session custody a stopped run cannot be resumed",
    },
  )
}

function finished(
  entry: InventoryEntry,
): { entry: InventoryEntry & { keyArn: string }; record: InventoryEntry["imports"][number] } | undefined {
  const record = entry.imports.at(-1)
  if (entry.keyArn === null || record === undefined || entry.importing !== null || record.proof.result === "failed")
    return undefined
  return { entry: { ...entry, keyArn: entry.keyArn }, record }
}

/** A name stands for one key: what was begun under it cannot be changed by other flags. */
function refuseConflict(known: InventoryEntry, request: ProvisionRequest): void {
  const differing = (["owner", "keySpec", "keyUsage", "custody", "alias", "multiRegion"] as const).filter(
    (field) => known[field] !== request[field],
  )
  if (differing.length === 0) return
  const said = differing.map((field) => `${field} ${String(known[field])}`).join(", ")
  throw new KeyferryError("ERR_NAME_TAKEN", `the name ${request.name} is taken by a key with ${said}`, {
    hint: "give the same flags to take it up, or choose another --name",
  })
}

/** A source key lives in one token: a name that stands for a key of another token is not that name's key here. */
function refuseOtherToken({ name, token }: InventoryEntry, here: TokenInfo): void {
  if (
    token === null ||
    (token.serial === here.serial && token.label === here.label && token.manufacturer === here.manufacturer)
  )
    return
  throw new KeyferryError(
    "ERR_NAME_TAKEN",
    `the source key of ${name} is in token "${token.label}" (serial ${token.serial}), not in "${here.label}"`,
    {
      hint: "name that token with --token, or choose another --name",
    },
  )
}

/**
 * Refuses what flags alone show to be wrong, without token or KMS; gives what is left to ask the token's self-test.
 *
 * @throws ERR_EXPIRY_INVALID, ERR_CUSTODY_REFUSED, ERR_NOT_ACKNOWLEDGED, ERR_ALGORITHM_NOT_ALLOWED, ERR_POLICY_REFUSED
 */
export function refuseEarly(
  request: Omit<ProvisionRequest, "owner" | "target">,
  now: Date,
  policy: WrapPolicy,
): readonly WrapRequest[] {
  const { custody, expiresIn, keySpec, wrappingKeySpec, wrappingAlgorithm } = request
  validToFrom(expiresIn, now)
  refuseUnavailable(custody)
  if (!CUSTODIES[custody].reimport && !(request.acceptNoReimport && expiresIn === "never")) {
    throw new KeyferryError(
      "ERR_NOT_ACKNOWLEDGED",
      `with custody ${custody} the material of ${request.name} can never be imported again`,
    )
  }
  return wrapCandidates(keySpec, wrappingKeySpec, wrappingAlgorithm, policy)
}

async function chooseKey(
  deps: Deps,
  request: ProvisionRequest,
  keyId: string,
  known: InventoryEntry | undefined,
): Promise<string> {
  const key = await resolveKey(deps.kms, keyId)
  const recorded = known?.keyArn ?? null
  if (recorded !== null && recorded !== key.keyArn) {
    throw new KeyferryError("ERR_NAME_TAKEN", `the name ${request.name} stands for ${recorded}, not for ${key.keyArn}`)
  }
  assertTakesImport(key, { keySpec: request.keySpec, keyUsage: request.keyUsage, pendingOnly: recorded === null })
  return key.keyArn
}

function newEntry(deps: Deps, request: ProvisionRequest, existing: SourceKey | undefined): InventoryEntry {
  const { owner, name, target, keySpec, keyUsage, custody, alias, multiRegion } = request
  const source = { id: existing?.id ?? newSourceKeyId(), label: labelOf({ owner, name, generation: 0 }) }
  const identity = { owner, name, target, region: deps.kms.region, keySpec, keyUsage, custody, alias, multiRegion }
  return beginEntry(identity, source, randomUUID(), deps.clock.now())
}

/** Takes a KMS key that the operator made: its tags say from now on whose it is. */
async function adoptKey(
  deps: Deps,
  entry: InventoryEntry,
  keyArn: string,
  request: ProvisionRequest,
): Promise<InventoryEntry> {
  const adopted: InventoryEntry = { ...entry, keyArn }
  await deps.inventory.put(adopted)
  await deps.kms.tagResource(keyArn, { ...request.tags, ...identityTags(entry) })
  deps.progress.step(`KMS key ${keyArn} taken`)
  return adopted
}

async function refuseTakenAlias(deps: Deps, alias: string, ours: string | null): Promise<void> {
  const holder = await aliasHolder(deps, alias)
  if (holder === null || holder === ours) return
  throw new KeyferryError("ERR_KMS_ALIAS_TAKEN", `${alias} names another KMS key`, { key: holder })
}

async function aliasHolder(deps: Deps, alias: string): Promise<string | null> {
  try {
    return (await deps.kms.describeKey(alias)).keyArn
  } catch (error) {
    if (error instanceof KeyferryError && error.code === "ERR_KMS_KEY_NOT_FOUND") return null
    throw error
  }
}

async function pointAlias(deps: Deps, alias: string, keyArn: string): Promise<void> {
  if ((await aliasHolder(deps, alias)) === keyArn) return
  await deps.kms.createAlias(alias, keyArn)
}

/** Account and partition of a source key are fixed at its first import (invariant I3). */
async function refuseOtherAccount(deps: Deps, request: ProvisionRequest, chosen: string | null): Promise<void> {
  const first = (await deps.inventory.list(request.name)).find(
    ({ keyArn, owner, target }) => keyArn !== null && owner === request.owner && target !== request.target,
  )
  const fixed = parseKeyArn(first?.keyArn ?? "")
  if (fixed === undefined) return
  const { account, arn } =
    chosen === null ? await deps.kms.callerIdentity() : { account: parseKeyArn(chosen)?.account, arn: chosen }
  const partition = arn.split(":")[1]
  if (account === fixed.account && partition === fixed.partition) return
  throw new KeyferryError(
    "ERR_POLICY_REFUSED",
    `the source key of ${request.name} belongs to account ${fixed.account} in ${fixed.partition}; this is ${account ?? "?"} in ${partition ?? "?"}`,
    {
      hint: "account and partition of a source key are fixed at its first import: use another --name, or the right credentials",
    },
  )
}
