import { KeyferryError } from "../../core/base/error.js"
import type { Deps } from "../deps.js"

/**
 * Has KMS tell its time where no answer of this run has told it (invariant I11): by a call that changes and spends
 * nothing, about the KMS key where one is known. Where the call fails the next one says why; a refusal tells the time as
 * well.
 */
export async function learnKmsTime({ kms, clock }: Pick<Deps, "kms" | "clock">, keyArn?: string | null): Promise<void> {
  if (clock.kmsOffsetMs() !== null) return
  try {
    if (keyArn == null) await kms.listKeys()[Symbol.asyncIterator]().next()
    else await kms.describeKey(keyArn)
  } catch (error) {
    if (!(error instanceof KeyferryError)) throw error
  }
}
