import { KeyferryError } from "../../core/base/error.js"
import type { Kms } from "../../core/ports/kms.js"
import { findKmsKey } from "./find.js"
import { bearsTags } from "./tags.js"

type LookKms = Pick<Kms, "describeKey" | "listResourceTags">
type AliasKms = LookKms & Pick<Kms, "createAlias">

/** An alias, and the key whose it is to be. */
interface WantedAlias {
  readonly alias: string
  readonly owner: string
  readonly name: string
}

/**
 * Refuses an alias that names another KMS key than ours.
 *
 * @throws ERR_KMS_ALIAS_TAKEN; ERR_STATE_INCOMPLETE where that key has the tags of the same owner and name
 */
export async function refuseTakenAlias(
  kms: LookKms,
  request: WantedAlias,
  ...ours: readonly (string | null | undefined)[]
): Promise<void> {
  const holder = await aliasHolder(kms, request.alias)
  if (holder === null || ours.includes(holder)) return
  throw await aliasTaken(kms, request, holder)
}

/**
 * Gives the KMS key its alias; true if that was still to be done.
 *
 * @throws ERR_KMS_ALIAS_TAKEN; ERR_STATE_INCOMPLETE where the key that has it is tagged as this one
 */
export async function pointAlias(kms: AliasKms, request: WantedAlias, keyArn: string): Promise<boolean> {
  const { alias } = request
  if ((await aliasHolder(kms, alias)) === keyArn) return false
  try {
    await kms.createAlias(alias, keyArn)
  } catch (error) {
    if (!(error instanceof KeyferryError)) throw error
    // its answer was lost, now or in a run before: where the alias points tells what became of it
    const open = error.code === "ERR_KMS_OUTCOME_UNKNOWN" || error.code === "ERR_KMS_ALIAS_TAKEN"
    const holder = open ? await aliasHolder(kms, alias) : null
    if (holder === keyArn) return true
    if (holder !== null && (await bearsTags(kms, holder, request))) throw await aliasTaken(kms, request, holder)
    const { code, message, hint, causes, cause } = error
    throw new KeyferryError(code, `${message}: ${alias}`, { key: keyArn, hint, causes, cause })
  }
  return true
}

/**
 * Makes an alias name another KMS key, or gives it where it is not there; true if that was still to be done.
 *
 * @throws ERR_KMS_ALIAS_TAKEN where it names a third key, ERR_STATE_INCOMPLETE where that is tagged as this one
 */
export async function moveAlias(
  kms: AliasKms & Pick<Kms, "updateAlias">,
  request: WantedAlias,
  { from, to }: { readonly from: string; readonly to: string },
): Promise<boolean> {
  const { alias } = request
  const holder = await aliasHolder(kms, alias)
  if (holder === null || holder === to) return await pointAlias(kms, request, to)
  if (holder !== from) throw await aliasTaken(kms, request, holder)
  try {
    await kms.updateAlias(alias, to)
  } catch (error) {
    if ((await aliasHolder(kms, alias)) !== to) throw error
  }
  return true
}

/** What another copy of the state made, or put in this key's place, is taken in, not evaded. */
async function aliasTaken(kms: LookKms, request: WantedAlias, holder: string): Promise<KeyferryError> {
  const { alias, owner, name } = request
  if (!(await bearsTags(kms, holder, request))) {
    return new KeyferryError("ERR_KMS_ALIAS_TAKEN", `${alias} names another KMS key`, { key: holder })
  }
  return new KeyferryError(
    "ERR_STATE_INCOMPLETE",
    `${alias} names ${holder}, which has the tags of ${name}, owner ${owner}, and this state directory does not know it as that`,
    { key: name },
  )
}

async function aliasHolder(kms: Pick<Kms, "describeKey">, alias: string): Promise<string | null> {
  return (await findKmsKey(kms, alias))?.keyArn ?? null
}
