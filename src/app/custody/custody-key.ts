import { randomBytes } from "node:crypto"
import { KeyferryError } from "../../core/base/error.js"
import type { Custody } from "../../core/key/custody.js"
import type { Token } from "../../core/ports/token.js"
import {
  type CustodyKey,
  type CustodyKeyRecord,
  custodyLabelOf,
  type SealedMaterial,
} from "../../core/records/sealed-material.js"
import { newSourceKeyId } from "../../core/key/source-key.js"
import { sameToken } from "../../core/token/token-info.js"
import { refuseWrite } from "../../core/token/write-protection.js"
import type { Deps } from "../deps.js"
import { record, type RecordDeps } from "../record.js"

/** What making and watching custody keys needs, with the token itself. */
export interface CustodyDeps extends Pick<Deps, "vault" | "custodyKeys" | "clock" | "heldWork">, RecordDeps {
  readonly token: Token
}

/**
 * The custody key of an owner that is in force in this token, made where there is none, with its canary on record.
 *
 * @throws ERR_CUSTODY_KEY_MISSING where one is on record that the token no longer has; ERR_CUSTODY_REFUSED
 */
export async function ensureCustodyKey(deps: CustodyDeps, owner: string): Promise<CustodyKey> {
  const { key, keyRecord } =
    (await custodyKeyInForce(deps, owner)) ??
    (await whileHeld(deps, owner, async () => {
      // another worker may have made it meanwhile
      const inForce = await custodyKeyInForce(deps, owner)
      if (inForce !== null) return inForce
      const { present } = await custodyKeysOf(deps, owner)
      const key = present.at(-1) ?? (await generateCustodyKey(deps, owner, 1))
      return { key, keyRecord: await recordCustodyKey(deps, owner, key) }
    }))
  if (keyRecord.backupConfirmedAt === null) deps.progress.warn(backupReminder(keyRecord))
  return key
}

/** Null where there is none, or its record is still to be written. */
async function custodyKeyInForce(deps: CustodyDeps, owner: string) {
  const { recorded, present } = await custodyKeysOf(deps, owner)
  const key = present.at(-1)
  const keyRecord = recorded.find(({ id }) => id === key?.id)
  return key === undefined || keyRecord === undefined ? null : { key, keyRecord }
}

/** How long a worker waits for another one that makes a custody key in the same token, in ms. */
const PATIENCE = 120_000

/** Two workers would each make one of the same number. */
async function whileHeld<T>({ heldWork, token }: CustodyDeps, owner: string, work: () => Promise<T>): Promise<T> {
  if (heldWork === null) return await work()
  const held = { name: `custody key of ${owner}`, target: `token ${token.info.serial}` }
  return await heldWork.during([held], work, { patience: PATIENCE })
}

/**
 * Refuses to go on without a custody key that is on record: what seals a key asks this before a KMS key is made for it
 * (invariant I4).
 *
 * @throws ERR_CUSTODY_KEY_MISSING, ERR_TOKEN_WRITE_PROTECTED where one is still to be made and cannot be
 */
export async function refuseLostCustodyKey(
  { token, custodyKeys }: Pick<Deps, "token" | "custodyKeys">,
  { owner, custody }: { readonly owner: string; readonly custody: Custody },
): Promise<void> {
  if (custody !== "sealed") return
  const { present } = await custodyKeysOf({ token: token.hsm, custodyKeys }, owner)
  if (present.length === 0) refuseWrite(token, `the first custody key of ${owner}`)
}

/** An owner's custody keys: on record, and in the token, which must have all of those. */
async function custodyKeysOf(deps: Pick<CustodyDeps, "token" | "custodyKeys">, owner: string) {
  const recorded = await recordsOf(deps, owner)
  const present = await deps.token.findCustodyKeys(owner)
  for (const keyRecord of recorded) refuseMissing(keyRecord, present, owner)
  return { recorded, present }
}

/** @throws ERR_CUSTODY_KEY_MISSING where those present lack a custody key, or have another in its place */
export function refuseMissing(
  { id, label, kcv }: SealedMaterial["custodyKey"],
  present: readonly CustodyKey[],
  owner: string,
): void {
  const key = present.find((candidate) => candidate.id === id)
  const isOther = key !== undefined && kcv !== null && key.kcv !== null && key.kcv !== kcv
  if (key !== undefined && !isOther) return
  const fate = isOther
    ? `in the place of the custody key ${label} (ID ${id}) another`
    : `the custody key ${label} (ID ${id}) no longer`
  const message = `the token has ${fate}, under which keys of ${owner} are sealed`
  throw new KeyferryError("ERR_CUSTODY_KEY_MISSING", message, { key: label })
}

/**
 * Makes a custody key with its canary: the next of an owner, which is in force from then on. One of that number that
 * another worker has made meanwhile is taken for it.
 */
export async function makeCustodyKey(deps: CustodyDeps, owner: string, number: number): Promise<CustodyKey> {
  refuseWrite(deps.token, `a custody key of ${owner}`)
  return await whileHeld(deps, owner, async () => {
    const inForce = await custodyKeyInForce(deps, owner)
    if (inForce?.key.number === number) return inForce.key
    const key = await generateCustodyKey(deps, owner, number)
    await recordCustodyKey(deps, owner, key)
    return key
  })
}

async function generateCustodyKey(deps: CustodyDeps, owner: string, number: number): Promise<CustodyKey> {
  refuseWrite(deps.token, `a custody key of ${owner}`)
  const key = await deps.token.generateCustodyKey({ id: newSourceKeyId(), label: custodyLabelOf({ owner, number }) })
  const { id, label, kcv, allowedMechanisms } = key
  await record(deps, "custody-key.generated", {
    key: { owner },
    token: deps.token.info,
    facts: { id, label, kcv, allowedMechanisms },
  })
  return key
}

/** Records of an owner's custody keys in this token, by number. */
export async function recordsOf(
  deps: Pick<CustodyDeps, "token" | "custodyKeys">,
  owner: string,
): Promise<readonly CustodyKeyRecord[]> {
  const records = await deps.custodyKeys.list()
  return records.filter((keyRecord) => keyRecord.owner === owner && sameToken(keyRecord.token, deps.token.info))
}

/** In words, for who must act: what a loss of the custody key costs, and what ends this reminder. */
export function backupReminder({ id, label, token }: Pick<CustodyKeyRecord, "id" | "label" | "token">): string {
  return (
    `no backup of the custody key ${label} of token "${token.label}" is confirmed: whoever loses it loses every sealed key at its next expiry; ` +
    `back the token up by its vendor's means, then run \`keyferry key backup-confirmed --custody-key ${id}\``
  )
}

/** Seals a canary and writes the record; a run that died before it left a key without, which gets one here. */
async function recordCustodyKey(deps: CustodyDeps, owner: string, key: CustodyKey): Promise<CustodyKeyRecord> {
  const { id, label, number, kcv } = key
  const now = deps.clock.now().toISOString()
  const keyRecord: CustodyKeyRecord = {
    id,
    label,
    owner,
    number,
    kcv,
    token: deps.token.info,
    createdAt: now,
    canary: await sealCanary(deps, owner, key, now),
    backupConfirmedAt: null,
  }
  await deps.custodyKeys.put(keyRecord)
  return keyRecord
}

async function sealCanary(deps: CustodyDeps, owner: string, key: CustodyKey, now: string): Promise<SealedMaterial> {
  const { token } = deps
  const canary = await token.generateSourceKey({
    keySpec: "SYMMETRIC_DEFAULT",
    id: newSourceKeyId(),
    // no source key's label: nothing takes it for one while it exists
    label: `keyferry-canary/${randomBytes(8).toString("hex")}`,
    custody: "session",
    wrapWithTrusted: false,
  })
  try {
    const { ciphertext, mechanism } = await token.seal(canary, key)
    return {
      owner,
      name: "canary",
      generation: key.number,
      id: canary.id,
      label: canary.label,
      keySpec: canary.keySpec,
      ciphertext,
      mechanism,
      token: token.info,
      sealedAt: now,
      unenforced: null,
      custodyKey: { id: key.id, label: key.label, kcv: key.kcv },
      provenance: { origin: "generated", at: now, attributes: canary.attributes, kcv: canary.kcv, publicKey: null },
    }
  } finally {
    await token.destroySourceKey(canary)
  }
}

/**
 * Opens a custody key's canary: throws where the custody key no longer unseals what it sealed.
 *
 * @throws ERR_CUSTODY_KEY_MISSING, ERR_SEALED_UNREADABLE; ERR_KEY_ATTRIBUTES where another key came out
 */
export async function openCanary(token: Token, { canary }: Pick<CustodyKeyRecord, "canary">): Promise<void> {
  const opened = await token.unseal(canary)
  await token.destroySourceKey(opened)
  const { kcv } = canary.provenance
  if (kcv === null || opened.kcv === null || kcv === opened.kcv) return
  throw new KeyferryError("ERR_SEALED_UNREADABLE", `what ${canary.custodyKey.label} unsealed is not its canary`, {
    key: canary.custodyKey.label,
  })
}
