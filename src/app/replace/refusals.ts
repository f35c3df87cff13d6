import { KeyferryError } from "../../core/base/error.js"
import { keyArnIn, type MadeEntry } from "../../core/records/inventory.js"
import { sameToken } from "../../core/token/token-info.js"
import type { Deps } from "../deps.js"
import { refuseTakenAlias } from "../kms-key/alias.js"

/** A rotation that is under way ends first, unless its KMS key dies. */
export function refuseRotating({ name, rotating }: MadeEntry): void {
  if (!rotating) return
  throw new KeyferryError("ERR_KMS_KEY_STATE", `a rotation of ${name} is not finished`, {
    key: name,
    hint: `finish it first: keyferry rotate ${name}`,
  })
}

/** The alias is the old key's, or the new one's where an earlier run came so far; one that was never given is free. */
export async function refuseForeignAlias(deps: Pick<Deps, "kms" | "kmsIn">, old: MadeEntry): Promise<void> {
  const { alias, replacement } = old
  if (alias === null) return
  await refuseTakenAlias(deps.kms, { ...old, alias }, old.keyArn, replacement?.keyArn)
  for (const { region, keyArn } of old.replicas) {
    const ours = replacement === null ? undefined : keyArnIn(replacement, region)
    await refuseTakenAlias(await deps.kmsIn(region), { ...old, alias }, keyArn, ours)
  }
}

/** The new material may be born in another token: the old one's may be what was lost. */
export function sayOtherToken(
  { token: { info }, progress }: Pick<Deps, "token" | "progress">,
  { name, token }: MadeEntry,
): void {
  if (token === null || sameToken(token, info)) return
  const otherToken = `"${token.label}" (serial ${token.serial})`
  progress.warn(
    `the source key of ${name} is in token ${otherToken}; that of the new KMS key is made in "${info.label}" (serial ${info.serial})`,
  )
}
