import { KeyferryError } from "../../core/base/error.js"
import type { CustodyKey, SealedMaterial } from "../../core/records/sealed-material.js"
import { judgeVault } from "../../core/records/vault-health.js"
import { refuseWrite } from "../../core/token/write-protection.js"
import { ensureCustodyKey, makeCustodyKey } from "./custody-key.js"
import { resealOne } from "./reseal.js"
import type { VaultDeps } from "./seal.js"
import { record } from "../record.js"

export interface Erasure {
  /** Labels of the custody keys that were destroyed. */
  readonly destroyed: readonly string[]
  /** In force now; null where nothing else is sealed. */
  readonly custodyKey: Pick<CustodyKey, "id" | "label" | "kcv"> | null
  /** Other keys that were resealed for it. */
  readonly resealed: number
}

/**
 * Makes every copy of the vault files worthless that are to be erased: all other keys are resealed under a new custody
 * key, then every older one is destroyed. The files themselves are the caller's to remove, and last: as long as one is
 * there, a run that was killed is taken up by the same again.
 *
 * Copies made by the token's own backups of the older custody keys are beyond reach, as are keys that other state
 * directories sealed under them.
 *
 * @throws ERR_VAULT_DAMAGED where a key that is to live cannot be resealed: nothing is destroyed then
 */
export async function cryptoErase(
  deps: VaultDeps,
  { owner, ids }: { readonly owner: string; readonly ids: readonly string[] },
): Promise<Erasure> {
  refuseWrite(deps.token, "to destroy custody keys")
  const others = await refuseUnhealthy(deps, owner, ids)
  const newest = await chooseNewest(deps, owner, ids, others)
  let resealed = 0
  for (const sealed of others) {
    if (newest === null || sealed.custodyKey.id === newest.id) continue
    await resealOne(deps, sealed, newest)
    resealed += 1
  }
  const destroyed: string[] = []
  for (const key of await deps.token.findCustodyKeys(owner)) {
    if (key.id === newest?.id) continue
    await destroyCustodyKey(deps, owner, key)
    destroyed.push(key.label)
  }
  if (newest !== null) {
    deps.progress.warn(
      `${newest.label} is in force now: back the token up, then destroy the backups that hold ${destroyed.join(", ") || "older custody keys"}`,
    )
  }
  const { id, label, kcv } = newest ?? { id: "", label: "", kcv: null }
  return { destroyed, resealed, custodyKey: newest === null ? null : { id, label, kcv } }
}

/** Sealed keys that are to live; refuses where one of them could be lost with an older custody key. */
async function refuseUnhealthy(
  deps: VaultDeps,
  owner: string,
  ids: readonly string[],
): Promise<readonly SealedMaterial[]> {
  const vault = await deps.vault.list()
  const custodyKeys = await deps.token.findCustodyKeys(owner)
  const objects = (await deps.token.findSourceKeys()).map(({ id }) => id)
  const { entries, damaged } = await deps.inventory.all()
  const [unreadable] = damaged
  if (unreadable !== undefined) throw unreadable.error
  const [unreadableRecord] = await deps.custodyKeys.damaged()
  if (unreadableRecord !== undefined) throw new KeyferryError("ERR_STATE_INVALID", unreadableRecord.reason)
  const health = judgeVault({
    owner,
    entries,
    vault,
    records: await deps.custodyKeys.list(),
    token: { info: deps.token.info, custodyKeys, objects },
    now: deps.clock.now(),
  })
  const faults = health.findings.filter(({ sourceKeyId }) => sourceKeyId === null || !ids.includes(sourceKeyId))
  if (faults.length > 0) {
    throw new KeyferryError(
      "ERR_VAULT_DAMAGED",
      `nothing is erased, since other sealed keys would be lost with the custody key: ${faults.map(({ message }) => message).join("; ")}`,
      { hint: "`keyferry doctor` names each; restore them first, so that they can be resealed" },
    )
  }
  const presentIds = new Set(custodyKeys.map(({ id }) => id))
  return vault.sealed.filter(
    (material) => material.owner === owner && presentIds.has(material.custodyKey.id) && !ids.includes(material.id),
  )
}

/** A new custody key where what is to be erased is under the newest; an earlier run made it already where it is not. */
async function chooseNewest(
  deps: VaultDeps,
  owner: string,
  ids: readonly string[],
  others: readonly SealedMaterial[],
): Promise<CustodyKey | null> {
  const [anyKey] = await deps.token.findCustodyKeys(owner)
  const newest = anyKey === undefined ? null : await ensureCustodyKey(deps, owner)
  const { sealed, damaged } = await deps.vault.list()
  const isUnderNewest = (id: string): boolean =>
    sealed.some((material) => material.id === id && material.custodyKey.id === newest?.id) ||
    damaged.some((material) => material.id === id)
  if (!ids.some(isUnderNewest)) return newest
  return others.length === 0 ? null : await makeCustodyKey(deps, owner, (newest?.number ?? 0) + 1)
}

async function destroyCustodyKey(deps: VaultDeps, owner: string, { id, label, kcv }: CustodyKey): Promise<void> {
  const step = { key: { owner }, token: deps.token.info }
  await record(deps, "custody-key.destroyed", { ...step, facts: { step: "intended", id, label, kcv } })
  // the record first: one without its key would read as a loss
  await deps.custodyKeys.remove(id)
  await deps.token.destroyCustodyKey({ id, label })
  await record(deps, "custody-key.destroyed", { ...step, facts: { step: "done", id, label, kcv } })
}
