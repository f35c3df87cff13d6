import { KeyferryError } from "../../core/base/error.js"
import { type InventoryEntry, type MadeEntry, withNested } from "../../core/records/inventory.js"
import { isKeySpec } from "../../core/key/key-spec.js"
import { isSymmetric } from "../../core/plan/material.js"
import type { KeyDescription } from "../../core/key/key-description.js"
import type { Deps } from "../deps.js"
import { createKeyOnce } from "../kms-key/create.js"
import { assertTakesImport, resolveKey } from "../kms-key/find.js"
import { identityTags, TAGS } from "../kms-key/tags.js"
import { record } from "../record.js"
import type { ProvisionRequest } from "./request.js"

/**
 * The ARN of the KMS key that is there to be filled: the one that the request names, or that an earlier run made; null
 * where one is to be made.
 *
 * @throws ERR_KMS_KEY_NOT_FOUND, ERR_KMS_KEY_ORIGIN, ERR_KMS_KEY_STATE, ERR_KMS_KEY_MISMATCH, ERR_NAME_TAKEN
 */
export async function findKmsKey(
  deps: Pick<Deps, "kms" | "inventory">,
  request: ProvisionRequest,
  entry: InventoryEntry | undefined,
): Promise<string | null> {
  const recorded = entry?.keyArn ?? null
  const keyId = request.keyId ?? recorded
  if (keyId === null) return null
  const key = await resolveKey(deps.kms, keyId)
  assertTakesImport(key, { keySpec: request.keySpec, keyUsage: request.keyUsage, pendingOnly: recorded === null })
  if (recorded === null) {
    await refuseHeld(deps, key.keyArn)
    await refuseClaimed(deps, key.keyArn, request)
    await refuseEmptied(deps, key)
  }
  return key.keyArn
}

/**
 * What KMS has lost is not for a new source key: it takes the same material alone. Of a symmetric key it says that it
 * had some, and of a replica whose material it takes.
 */
async function refuseEmptied({ kms }: Pick<Deps, "kms">, key: KeyDescription): Promise<void> {
  const { keyArn, keySpec, multiRegionConfiguration: regions } = key
  if (regions?.type === "REPLICA") {
    const message = `${keyArn} is a replica, which takes the key material of ${regions.primary.arn} alone`
    throw new KeyferryError("ERR_KMS_KEY_MISMATCH", message, { key: keyArn, hint: "name its primary" })
  }
  if (!isKeySpec(keySpec) || !isSymmetric(keySpec) || (await kms.listKeyRotations(keyArn)).length === 0) return
  throw new KeyferryError(
    "ERR_STATE_INCOMPLETE",
    `${keyArn} had key material that KMS has lost, and this state directory does not know it`,
    { key: keyArn },
  )
}

/** A KMS key whose tags say that it is another name's is that one's, whatever this state directory knows of it. */
async function refuseClaimed(
  { kms }: Pick<Deps, "kms">,
  keyArn: string,
  { owner, name }: Pick<ProvisionRequest, "owner" | "name">,
): Promise<void> {
  const { [TAGS.owner]: holder, [TAGS.name]: holdersName } = await kms.listResourceTags(keyArn)
  if (holder === undefined || (holder === owner && holdersName === name)) return
  throw new KeyferryError("ERR_NAME_TAKEN", `${keyArn} says by its tags that it is ${holdersName ?? ""} of ${holder}`, {
    key: keyArn,
    hint: "two configurations name one KMS key: take it out of one of them, or name another KMS key",
  })
}

/** `--key-id` on a name that stands for a KMS key already must be that key. */
export async function refuseOtherKey(deps: Pick<Deps, "kms">, entry: InventoryEntry, keyId: string): Promise<void> {
  const { keyArn } = await resolveKey(deps.kms, keyId)
  if (entry.keyArn === null || entry.keyArn === keyArn) return
  throw new KeyferryError("ERR_NAME_TAKEN", `the name ${entry.name} stands for ${entry.keyArn}, not for ${keyArn}`)
}

/** A KMS key that waits for the material of one name is not there for another. */
async function refuseHeld(deps: Pick<Deps, "inventory">, keyArn: string): Promise<void> {
  const holder = (await deps.inventory.list()).flatMap(withNested).find((entry) => entry.keyArn === keyArn)
  if (holder === undefined) return
  throw new KeyferryError("ERR_NAME_TAKEN", `${keyArn} is the KMS key of ${holder.name}`, {
    key: keyArn,
    hint: `give --name ${holder.name} to take that up, or another --key-id`,
  })
}

/** The entry with its KMS key: the recorded one, the one that the operator made, or one that is made now. */
export async function ensureKmsKey(
  deps: Deps,
  entry: InventoryEntry,
  { request, keyArn }: { readonly request: ProvisionRequest; readonly keyArn: string | null },
): Promise<MadeEntry> {
  if (entry.keyArn !== null) return { ...entry, keyArn: entry.keyArn }
  const { description, tags, keyPolicy } = request
  if (keyArn === null) return await createKeyOnce(deps, entry, { description, tags, policy: keyPolicy })
  const withKey = { ...entry, keyArn, ...(request.tagKey ? {} : { untagged: true as const }) }
  await deps.inventory.put(withKey)
  await record(deps, "kms-key.taken", { key: withKey })
  return withKey
}

/** A key that was taken says by its tags whose it is; until something is imported an earlier run may not have come so far. */
export async function tagTaken(
  { kms }: Pick<Deps, "kms">,
  entry: MadeEntry,
  { keyId, tags }: Pick<ProvisionRequest, "keyId" | "tags">,
): Promise<void> {
  if (keyId === null || entry.importing !== null || entry.imports.length > 0) return
  const allTags = { ...tags, ...identityTags(entry) }
  if (Object.keys(allTags).length > 0) await kms.tagResource(entry.keyArn, allTags)
}
