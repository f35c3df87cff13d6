import { KeyferryError } from "../../core/base/error.js"
import type { KeyDescription } from "../../core/key/key-description.js"
import type { Kms } from "../../core/ports/kms.js"
import type { Deps } from "../deps.js"
import { userTags } from "./tags.js"

/** What is used of a KMS key by others than keyferry, for another to be used as that one is. */
export interface Dress {
  readonly description: string | null
  readonly tags: Readonly<Record<string, string>>
  /** JSON; null for KMS' default. */
  readonly policy: string | null
}

/** Description, tags and policy of a KMS key; the policy only where it may be read. */
export async function dressOf(
  deps: Pick<Deps, "progress">,
  kms: Pick<Kms, "listResourceTags" | "getKeyPolicy">,
  { keyArn, description }: Pick<KeyDescription, "keyArn" | "description">,
): Promise<Dress> {
  return {
    description: description === "" ? null : description,
    tags: userTags(await kms.listResourceTags(keyArn)),
    policy: await policyOf(deps, kms, keyArn),
  }
}

async function policyOf(
  { progress }: Pick<Deps, "progress">,
  kms: Pick<Kms, "getKeyPolicy">,
  keyArn: string,
): Promise<string | null> {
  try {
    return await kms.getKeyPolicy(keyArn)
  } catch (error) {
    if (!(error instanceof KeyferryError && error.code === "ERR_KMS_ACCESS_DENIED")) throw error
    progress.warn(`the policy of ${keyArn} may not be read: the new KMS key gets KMS' default, so look after it`)
    return null
  }
}
