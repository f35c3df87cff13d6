import { KeyferryError } from "../../core/base/error.js"
import { isAlias } from "../../core/key/key-arn.js"
import type { KeyDescription } from "../../core/key/key-description.js"
import type { Kms } from "../../core/ports/kms.js"

/**
 * Finds the KMS key that the operator named by ID, ARN or alias. The import operations take no alias, so an alias is
 * resolved here, once, and the key is named by its ARN from then on.
 *
 * @throws ERR_KMS_KEY_NOT_FOUND and what else DescribeKey throws
 */
export async function resolveKey(kms: Pick<Kms, "describeKey">, keyId: string): Promise<KeyDescription> {
  try {
    return await kms.describeKey(keyId)
  } catch (error) {
    if (!(error instanceof KeyferryError && error.code === "ERR_KMS_KEY_NOT_FOUND")) throw error
    const what = isAlias(keyId) ? `no KMS key has the alias ${keyId}` : `there is no KMS key ${keyId}`
    throw new KeyferryError("ERR_KMS_KEY_NOT_FOUND", what, { key: keyId, cause: error, causes: error.causes })
  }
}

const STATE_WORDS: Readonly<Record<string, string>> = {
  Disabled: "is disabled, and an import would enable it again",
  PendingDeletion: "is pending deletion",
  PendingReplicaDeletion: "is pending deletion of its replicas",
  Creating: "is still being created",
  Updating: "is being updated",
  Unavailable: "is unavailable",
  Enabled: "holds key material already",
}

const HELD_HINT = "name a key in PendingImport, or leave --key-id out to have one made"

interface Wanted {
  readonly keySpec: string
  readonly keyUsage?: string
  /** Take only a key that has no material yet; otherwise an Enabled one passes too. */
  readonly pendingOnly: boolean
}

/**
 * Refuses a KMS key that cannot take this import, before GetParametersForImport is spent (invariant I4).
 *
 * @throws ERR_KMS_KEY_ORIGIN, ERR_KMS_KEY_STATE, ERR_KMS_KEY_MISMATCH
 */
export function assertTakesImport(key: KeyDescription, wanted: Wanted): void {
  const refuse = (
    code: "ERR_KMS_KEY_ORIGIN" | "ERR_KMS_KEY_STATE" | "ERR_KMS_KEY_MISMATCH",
    why: string,
    more: { readonly hint?: string } = {},
  ): never => {
    throw new KeyferryError(code, `${key.keyArn} ${why}`, { key: key.keyArn, ...more })
  }
  if (key.origin !== "EXTERNAL") refuse("ERR_KMS_KEY_ORIGIN", `has the origin ${key.origin}, not EXTERNAL`)
  const passes = key.keyState === "PendingImport" || (key.keyState === "Enabled" && !wanted.pendingOnly)
  if (!passes) {
    const more = key.keyState === "Enabled" ? { hint: HELD_HINT } : {}
    refuse("ERR_KMS_KEY_STATE", STATE_WORDS[key.keyState] ?? `is in state ${key.keyState}`, more)
  }
  if (key.keySpec !== wanted.keySpec) refuse("ERR_KMS_KEY_MISMATCH", `is a ${key.keySpec} key, not ${wanted.keySpec}`)
  if (wanted.keyUsage !== undefined && key.keyUsage !== wanted.keyUsage) {
    refuse("ERR_KMS_KEY_MISMATCH", `is for ${key.keyUsage}, not ${wanted.keyUsage}`)
  }
}
