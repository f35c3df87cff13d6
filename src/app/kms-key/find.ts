import { KeyferryError } from "../../core/base/error.js"
import { isAlias } from "../../core/key/key-arn.js"
import type { KeyDescription } from "../../core/key/key-description.js"
import { keyStateRow } from "../../core/key/key-state.js"
import type { Kms } from "../../core/ports/kms.js"

/**
 * The KMS key of an ID, ARN or alias, as DescribeKey shows it; null where there is none.
 *
 * @throws what else DescribeKey throws
 */
export async function findKmsKey(kms: Pick<Kms, "describeKey">, keyId: string): Promise<KeyDescription | null> {
  return await nullWhereGone(() => kms.describeKey(keyId))
}

/** What KMS answers of a key; null where it knows no such key. */
export async function nullWhereGone<T>(ask: () => Promise<T>): Promise<T | null> {
  try {
    return await ask()
  } catch (error) {
    if (isGone(error)) return null
    throw error
  }
}

const isGone = (error: unknown): error is KeyferryError =>
  error instanceof KeyferryError && error.code === "ERR_KMS_KEY_NOT_FOUND"

/**
 * The KMS key that the operator named by ID, ARN or alias. The import operations take no alias, so an alias is resolved
 * here, once, and the key is named by its ARN from then on.
 *
 * @throws ERR_KMS_KEY_NOT_FOUND and what else DescribeKey throws
 */
export async function resolveKey(kms: Pick<Kms, "describeKey">, keyId: string): Promise<KeyDescription> {
  try {
    return await kms.describeKey(keyId)
  } catch (error) {
    if (!isGone(error)) throw error
    const message = isAlias(keyId) ? `no KMS key has the alias ${keyId}` : `there is no KMS key ${keyId}`
    throw new KeyferryError("ERR_KMS_KEY_NOT_FOUND", message, { key: keyId, cause: error, causes: error.causes })
  }
}

interface ImportTarget {
  readonly keySpec: string
  readonly keyUsage?: string
  /** Take only a key that has no material yet; otherwise one that holds some passes too. */
  readonly pendingOnly: boolean
}

/**
 * Refuses a KMS key that cannot take this import, before GetParametersForImport is spent (invariant I4).
 *
 * @throws ERR_KMS_KEY_ORIGIN, ERR_KMS_KEY_STATE, ERR_KMS_KEY_MISMATCH
 */
export function assertTakesImport(key: KeyDescription, target: ImportTarget): void {
  const refuse = (
    code: "ERR_KMS_KEY_ORIGIN" | "ERR_KMS_KEY_STATE" | "ERR_KMS_KEY_MISMATCH",
    reason: string,
    options: { readonly hint?: string } = {},
  ): never => {
    throw new KeyferryError(code, `${key.keyArn} ${reason}`, { key: key.keyArn, ...options })
  }
  if (key.origin !== "EXTERNAL") refuse("ERR_KMS_KEY_ORIGIN", `has the origin ${key.origin}, not EXTERNAL`)
  const { takesImport, words, hint } = keyStateRow(key.keyState)
  const takes = takesImport === "first" || (takesImport === "again" && !target.pendingOnly)
  if (!takes) refuse("ERR_KMS_KEY_STATE", words, { hint })
  if (key.keySpec !== target.keySpec) refuse("ERR_KMS_KEY_MISMATCH", `is a ${key.keySpec} key, not ${target.keySpec}`)
  if (target.keyUsage !== undefined && key.keyUsage !== target.keyUsage) {
    refuse("ERR_KMS_KEY_MISMATCH", `is for ${key.keyUsage}, not ${target.keyUsage}`)
  }
}
