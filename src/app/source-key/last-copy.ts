import { CUSTODIES } from "../../core/key/custody.js"
import { KeyferryError } from "../../core/base/error.js"
import type { InventoryEntry, SourceKeyRecord } from "../../core/records/inventory.js"
import type { CustodialToken } from "../../core/ports/custodial-token.js"
import type { Deps } from "../deps.js"
import { sameToken } from "../../core/token/token-info.js"

/**
 * Why a generation's key material could not be imported again if KMS had it no longer, in words; null where the token
 * or the vault has it. What cannot be looked at counts as lost.
 */
export async function whyLost(
  deps: Pick<Deps, "vault"> & { readonly token: CustodialToken | null },
  entry: Pick<InventoryEntry, "owner" | "custody" | "token">,
  source: SourceKeyRecord,
): Promise<string | null> {
  const { token } = deps
  if (!CUSTODIES[entry.custody].reimport) return `a key in custody ${entry.custody} can never be imported again`
  if (token === null) return "no token is given, so it is not known whether its source key still exists"
  if (entry.token !== null && !sameToken(entry.token, token.info)) {
    return `its source key is in the token ${entry.token.label}, and the one given is ${token.info.label}`
  }
  try {
    const tokenKey = (await token.findSourceKeys({ id: source.id }))[0]
    if (tokenKey === undefined) return `its source key ${source.label} (${source.id}) is gone`
    if (tokenKey.custody !== "sealed" && tokenKey.attributes.extractable !== true) {
      return `its source key ${source.label} is not extractable any more`
    }
    return tokenKey.custody === "sealed" ? await whySealed(deps.vault, token, entry.owner, source) : null
  } catch (error) {
    if (!(error instanceof KeyferryError)) throw error
    return `its source key ${source.label} cannot be used: ${error.message}`
  }
}

/** Why the file of the vault is of no use, in words; null where it is whole and the token has its custody key. */
async function whySealed(
  vault: Deps["vault"],
  token: CustodialToken,
  owner: string,
  { id, label }: SourceKeyRecord,
): Promise<string | null> {
  const sealed = await vault.get(id)
  if (sealed === undefined) return `the sealed material of its source key ${label} is gone`
  const { custodyKey } = sealed
  const keys = await token.findCustodyKeys(owner)
  return keys.some((key) => key.id === custodyKey.id)
    ? null
    : `the custody key ${custodyKey.label} (${custodyKey.id}), under which its source key ${label} is sealed, is gone`
}
