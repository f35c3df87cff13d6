import { KeyferryError } from "../../core/base/error.js"
import type { Kms } from "../../core/ports/kms.js"
import type { InventoryEntry } from "../../core/records/inventory.js"

/** Tags of a KMS key that say whose it is, where that survives the loss of the state (docs/operations.md, "The state directory is lost"). */
export const TAGS = {
  owner: "keyferry:owner",
  name: "keyferry:name",
  source: "keyferry:source",
  request: "keyferry:request",
  /** ARN of the KMS key that took this one's place. */
  replacedBy: "keyferry:replaced-by",
} as const

/**
 * The tags of an entry: none where who made the KMS key wants none; without `source` where the CKA_ID is not known
 * (loose files without a bundle).
 */
export function identityTags(entry: InventoryEntry): Readonly<Record<string, string>> {
  const { owner, name, source, requestId, untagged = false } = entry
  if (untagged) return {}
  return {
    [TAGS.owner]: owner,
    [TAGS.name]: name,
    [TAGS.request]: requestId,
    ...(source.id === "" ? {} : { [TAGS.source]: source.id }),
  }
}

/** Whether a KMS key says by its tags that it is the owner's of that name; not where they may not be seen. */
export async function bearsTags(
  kms: Pick<Kms, "listResourceTags">,
  keyId: string,
  { owner, name }: { readonly owner: string; readonly name: string },
): Promise<boolean> {
  try {
    const tags = await kms.listResourceTags(keyId)
    return tags[TAGS.owner] === owner && tags[TAGS.name] === name
  } catch (error) {
    if (error instanceof KeyferryError) return false
    throw error
  }
}

/** The tags that are not keyferry's or AWS' own. */
export function userTags(tags: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(tags).filter(([key]) => !/^(keyferry|aws):/.test(key)))
}
