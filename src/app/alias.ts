import { KeyferryError } from "../core/error.js"
import type { Kms } from "../core/ports.js"

type AliasKms = Pick<Kms, "describeKey" | "createAlias">

/**
 * Refuses an alias that names another KMS key than ours.
 *
 * @throws ERR_KMS_ALIAS_TAKEN
 */
export async function refuseTakenAlias(kms: AliasKms, alias: string, ours: string | null): Promise<void> {
  const holder = await aliasHolder(kms, alias)
  if (holder === null || holder === ours) return
  throw new KeyferryError("ERR_KMS_ALIAS_TAKEN", `${alias} names another KMS key`, { key: holder })
}

/** Gives the KMS key its alias; true if that was still to be done. Throws ERR_KMS_ALIAS_TAKEN. */
export async function pointAlias(kms: AliasKms, alias: string, keyArn: string): Promise<boolean> {
  if ((await aliasHolder(kms, alias)) === keyArn) return false
  try {
    await kms.createAlias(alias, keyArn)
  } catch (error) {
    if (!(error instanceof KeyferryError)) throw error
    // its answer was lost, now or in a run before: where the alias points tells what became of it
    const open = error.code === "ERR_KMS_OUTCOME_UNKNOWN" || error.code === "ERR_KMS_ALIAS_TAKEN"
    if (open && (await aliasHolder(kms, alias)) === keyArn) return true
    const { code, message, hint, causes, cause } = error
    throw new KeyferryError(code, `${message}: ${alias}`, { key: keyArn, hint, causes, cause })
  }
  return true
}

async function aliasHolder(kms: AliasKms, alias: string): Promise<string | null> {
  try {
    return (await kms.describeKey(alias)).keyArn
  } catch (error) {
    if (error instanceof KeyferryError && error.code === "ERR_KMS_KEY_NOT_FOUND") return null
    throw error
  }
}
