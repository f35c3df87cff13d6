import { type ImportRecord, type InventoryEntry, type MadeEntry, newestImport } from "../../core/records/inventory.js"
import { KeyferryError } from "../../core/base/error.js"
import { keyStateRow } from "../../core/key/key-state.js"
import { filled, REASONS } from "../../core/plan/reason.js"
import { findKmsKey } from "../kms-key/find.js"
import type { Deps } from "../deps.js"
import { provable } from "../import/import.js"
import type { ProvisionRequest } from "./request.js"

/** A locked key can be imported no second time, so its proof is not left for later. */
export function proofFor({ custody, prove }: Pick<ProvisionRequest, "custody" | "prove">): "full" | "accept" {
  return custody === "locked" ? "full" : prove
}

/** The import of an earlier run to which nothing is to be added; undefined where one is to be made. */
export function finishedImport(
  entry: InventoryEntry,
  request: ProvisionRequest,
  now: Date,
): { readonly entry: MadeEntry; readonly record: ImportRecord } | undefined {
  const record = newestImport(entry)
  // one that is open in a replica's Region is that replica's matter
  const open = entry.importing !== null && entry.importing.region === entry.region
  if (entry.keyArn === null || record === undefined || open || record.proof.result === "failed") return undefined
  if (proofFor(request) === "full" && provable(record)) return undefined
  // KMS forgot the material by then: the same is imported again
  if (record.validTo !== null && new Date(record.validTo) <= now) return undefined
  return { entry: { ...entry, keyArn: entry.keyArn }, record }
}

/**
 * Whether the KMS key of a finished import is there and still has material: what this state remembers may be long gone.
 *
 * @throws ERR_KMS_KEY_NOT_FOUND where the KMS key does not exist, ERR_KMS_KEY_STATE where it is about to be deleted
 */
export async function holdsMaterial(
  { kms, progress }: Pick<Deps, "kms" | "progress">,
  entry: MadeEntry,
): Promise<boolean> {
  const { name, keyArn } = entry
  const key = await findKmsKey(kms, keyArn)
  if (key === null) {
    const { sentence, hint } = REASONS.KEY_GONE
    throw new KeyferryError("ERR_KMS_KEY_NOT_FOUND", filled(sentence, { key: keyArn }), {
      key: name,
      ...(hint === undefined ? {} : { hint }),
    })
  }
  const { phase, words, hint } = keyStateRow(key.keyState)
  if (phase === "dying") throw new KeyferryError("ERR_KMS_KEY_STATE", `${keyArn} ${words}`, { key: name, hint })
  if (phase === "disabled") progress.warn(`${keyArn} is disabled: \`keyferry enable ${name}\``)
  return phase !== "empty"
}

/** Material that went before its end was deleted, perhaps on purpose: only who asks for it brings it back. */
export function materialGone({ name, keyArn }: MadeEntry): KeyferryError {
  return new KeyferryError("ERR_KMS_KEY_STATE", `${keyArn} has lost the key material of ${name} before its end`, {
    key: name,
    hint: `\`keyferry recover ${name} --yes\` imports it again, if that is what you want`,
  })
}

/** A finished import stays as it is: flags that ask for another one are named, since they change nothing here. */
export function sayUnchanged(
  { progress }: Pick<Deps, "progress">,
  record: ImportRecord,
  { name, expiresIn, wrappingAlgorithm, wrappingKeySpec }: ProvisionRequest,
): void {
  const never = expiresIn === "never"
  const unheeded = [
    never !== (record.validTo === null) && `--expires-in ${expiresIn} (it expires ${record.validTo ?? "never"})`,
    wrappingAlgorithm !== "auto" &&
      wrappingAlgorithm !== record.wrappingAlgorithm &&
      `--wrapping-algorithm ${wrappingAlgorithm} (it was ${record.wrappingAlgorithm})`,
    wrappingKeySpec !== record.wrappingKeySpec &&
      `--wrapping-key-spec ${wrappingKeySpec} (it was ${record.wrappingKeySpec})`,
  ].filter((text) => text !== false)
  if (unheeded.length > 0)
    progress.warn(`${name} is imported already, and stays as it is: not ${unheeded.join(", not ")}`)
}
