import { KeyferryError } from "../../core/base/error.js"
import type { KeyDescription } from "../../core/key/key-description.js"
import type { Kms } from "../../core/ports/kms.js"
import { findKmsKey, nullWhereGone } from "./find.js"

const LOOKUPS_AT_ONCE = 16

/** A KMS key of Origin EXTERNAL with its tags, or why it could not be seen. */
export type TaggedKey =
  | { readonly key: KeyDescription; readonly tags: Readonly<Record<string, string>> }
  /** `key` is null where not even DescribeKey was allowed. */
  | { readonly key: KeyDescription | null; readonly denied: KeyferryError }

/**
 * The keys of the account and Region that take imported material and may be the ones looked for, with their tags: the only way to find a
 * KMS key that no inventory names. Nothing is asked of those that are passed over, by ARN. Keys that went away since they were listed are left out.
 */
export async function* taggedKeys(
  kms: Pick<Kms, "listKeys" | "describeKey" | "listResourceTags">,
  isCandidate: (key: KeyDescription) => boolean,
  passedOver: ReadonlySet<string> = new Set<string>(),
): AsyncGenerator<TaggedKey, void, undefined> {
  const look = async ({ keyId }: { keyId: string }): Promise<TaggedKey | null> => {
    let key: KeyDescription | null = null
    try {
      key = await findKmsKey(kms, keyId)
      if (key?.origin !== "EXTERNAL" || !isCandidate(key)) return null
      const tags = await nullWhereGone(() => kms.listResourceTags(keyId))
      return tags === null ? null : { key, tags }
    } catch (error) {
      if (error instanceof KeyferryError && error.code === "ERR_KMS_ACCESS_DENIED") return { key, denied: error }
      throw error
    }
  }
  let batch: { keyId: string }[] = []
  const lookAll = async (): Promise<readonly TaggedKey[]> =>
    (await Promise.all(batch.map(look))).filter((tagged) => tagged !== null)
  for await (const listed of kms.listKeys()) {
    if (passedOver.has(listed.keyArn)) continue
    batch.push(listed)
    if (batch.length < LOOKUPS_AT_ONCE) continue
    yield* await lookAll()
    batch = []
  }
  yield* await lookAll()
}
