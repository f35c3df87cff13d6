import { KeyferryError } from "../../core/base/error.js"
import type { Kms } from "../../core/ports/kms.js"
import { findKmsKey } from "./find.js"

type AliasKms = Pick<Kms, "describeKey" | "createAlias">

/**
 * Refuses an alias that names another KMS key than ours.
 *
 * @throws ERR_KMS_ALIAS_TAKEN
 */
export async function refuseTakenAlias(
  kms: Pick<Kms, "describeKey">,
  alias: string,
  ...ours: readonly (string | null | undefined)[]
): Promise<void> {
  const holder = await aliasHolder(kms, alias)
  if (holder === null || ours.includes(holder)) return
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

/**
 * Makes an alias name another KMS key, or gives it where it is not there; true if that was still to be done.
 *
 * @throws ERR_KMS_ALIAS_TAKEN where it names a third key
 */
export async function moveAlias(
  kms: AliasKms & Pick<Kms, "updateAlias">,
  alias: string,
  { from, to }: { readonly from: string; readonly to: string },
): Promise<boolean> {
  const holder = await aliasHolder(kms, alias)
  if (holder === null || holder === to) return await pointAlias(kms, alias, to)
  if (holder !== from) throw new KeyferryError("ERR_KMS_ALIAS_TAKEN", `${alias} names another KMS key`, { key: holder })
  try {
    await kms.updateAlias(alias, to)
  } catch (error) {
    if ((await aliasHolder(kms, alias)) !== to) throw error
  }
  return true
}

async function aliasHolder(kms: Pick<Kms, "describeKey">, alias: string): Promise<string | null> {
  return (await findKmsKey(kms, alias))?.keyArn ?? null
}
