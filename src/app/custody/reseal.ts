import { KeyferryError } from "../../core/base/error.js"
import { withSealed } from "../../core/records/inventory.js"
import type { CustodyKey, SealedMaterial } from "../../core/records/sealed-material.js"
import { identityOf, type SourceKey } from "../../core/key/source-key.js"
import { sameToken } from "../../core/token/token-info.js"
import { refuseWrite } from "../../core/token/write-protection.js"
import { ensureCustodyKey, makeCustodyKey } from "./custody-key.js"
import { type ResealRow, resealRow } from "./reseal-row.js"
import { seal, sealAnew, type VaultDeps } from "./seal.js"
import { refuseCustody } from "./policy.js"

export interface ResealRequest {
  readonly owner: string
  /** Null for all. */
  readonly names: readonly string[] | null
  /** `sealed` takes token objects into the vault; null leaves every key in its custody. */
  readonly to: "sealed" | null
  /**
   * Under a custody key with a higher number than this: made now, unless an earlier run made it and did not come to the
   * end; null for the newest that is there.
   */
  readonly newerThan: number | null
  /** Called before each source key, with how many are finished with. */
  readonly onRow?: (finished: number, total: number) => void
}

export interface Resealed {
  readonly keys: readonly ResealRow[]
  /** In force now; null where nothing is sealed. */
  readonly custodyKey: Pick<CustodyKey, "id" | "label" | "kcv"> | null
}

/**
 * Seals key material anew, under the custody key in force or a new one, or moves token objects into the vault. One key
 * that fails does not stop the others. Killed at any moment every key is readable, and the same again goes on: what was
 * resealed is left, what was not is done. The old custody key stays until `key destroy --crypto-erase`.
 */
export async function reseal(deps: VaultDeps, request: ResealRequest): Promise<Resealed> {
  const { owner } = request
  const isNamed = (name: string): boolean => request.names?.includes(name) ?? true
  const { sealed, damaged } = await deps.vault.list()
  const ownSealed = sealed.filter((material) => material.owner === owner && isNamed(material.name))
  const objects = (await deps.token.search()).keys.filter((key) => isAsked(key, owner, isNamed))
  const rows: ResealRow[] = [
    ...damaged.filter(({ name }) => name === null || isNamed(name)).map((material) => resealRow.damaged(material)),
    ...unknown(request, [
      ...ownSealed.map(({ name }) => name),
      ...objects.map(nameOf),
      ...damaged.map(({ name }) => name),
    ]),
  ]
  const sealedHere = ownSealed.filter((material) => sameToken(material.token, deps.token.info))
  rows.push(
    ...ownSealed.filter((material) => !sealedHere.includes(material)).map((material) => resealRow.otherToken(material)),
  )

  const moved = request.to === "sealed" ? objects.filter(({ custody }) => custody === "token") : []
  if (moved.length > 0) refuseWrite(deps.token, "to move source keys out of the token")
  const custodyKey = await chooseCustodyKey(deps, request, sealedHere, moved.length > 0)
  // what was sealed a moment ago is under the newest already
  const unmoved = sealedHere.filter(({ id }) => !objects.some((object) => object.id === id))
  let finished = 0
  const next = (): void => request.onRow?.(finished++, objects.length + unmoved.length)
  for (const object of objects) {
    next()
    rows.push(
      moved.includes(object) && custodyKey !== null
        ? await moveRow(deps, owner, object, custodyKey)
        : resealRow.kept(object),
    )
  }
  for (const material of unmoved) {
    next()
    rows.push(custodyKey === null ? resealRow.already(material) : await resealSealed(deps, material, custodyKey))
  }
  if (request.to === "sealed") await recordCustody(deps, owner, isNamed)
  const { id, label, kcv } = custodyKey ?? { id: "", label: "", kcv: null }
  return { keys: rows, custodyKey: custodyKey === null ? null : { id, label, kcv } }
}

/** The newest custody key; a new one where that is asked for and no earlier run began to go over to the newest. */
async function chooseCustodyKey(
  deps: VaultDeps,
  { owner, newerThan }: ResealRequest,
  sealed: readonly SealedMaterial[],
  needed: boolean,
): Promise<CustodyKey | null> {
  if (sealed.length === 0 && !needed) return null
  const newest = await ensureCustodyKey(deps, owner)
  const isBegun = sealed.some((material) => material.custodyKey.id !== newest.id)
  const wantsNewer = newerThan !== null && newest.number <= newerThan
  return wantsNewer && !isBegun ? await makeCustodyKey(deps, owner, newest.number + 1) : newest
}

async function moveRow(deps: VaultDeps, owner: string, object: SourceKey, custodyKey: CustodyKey): Promise<ResealRow> {
  const identity = {
    owner,
    name: object.label,
    generation: 0,
    ...identityOf(object.label),
    id: object.id,
    label: object.label,
  }
  try {
    const unenforced = await refuseCustody(deps, { custody: "sealed", keySpec: object.keySpec })
    const origin = object.attributes.local === true ? "generated" : "adopted"
    const sealed = await seal(deps, { object, identity, origin, custodyKey, unenforced })
    return resealRow.sealed(sealed)
  } catch (error) {
    return resealRow.failed({ ...identity, custody: object.custody, custodyKey: null }, error)
  }
}

async function resealSealed(deps: VaultDeps, old: SealedMaterial, custodyKey: CustodyKey): Promise<ResealRow> {
  if (old.custodyKey.id === custodyKey.id) return resealRow.already(old)
  try {
    return resealRow.resealed(old, await resealOne(deps, old, custodyKey))
  } catch (error) {
    return resealRow.failed({ ...old, custody: "sealed", custodyKey: old.custodyKey.label }, error)
  }
}

/**
 * {@link sealAnew}, where the token and policy still allow custody `sealed` for such a key.
 *
 * @throws ERR_CUSTODY_KEY_MISSING, ERR_SEALED_UNREADABLE, ERR_CUSTODY_REFUSED, ERR_STATE_WRITE
 */
export async function resealOne(deps: VaultDeps, old: SealedMaterial, custodyKey: CustodyKey): Promise<SealedMaterial> {
  const unenforced = await refuseCustody(deps, { custody: "sealed", keySpec: old.keySpec })
  return await sealAnew(deps, old, { custodyKey, unenforced })
}

/** Writes the custody of every KMS key of a name whose source keys are all in the vault: former and replacing ones too. */
async function recordCustody(deps: VaultDeps, owner: string, isNamed: (name: string) => boolean): Promise<void> {
  const { sealed } = await deps.vault.list()
  const inVault = new Map(sealed.map((material) => [material.id, material]))
  for (const entry of await deps.inventory.list()) {
    if (entry.owner !== owner || !isNamed(entry.name)) continue
    const changed = withSealed(entry, inVault)
    if (changed !== entry) await deps.inventory.put(changed)
  }
}

const nameOf = ({ label }: SourceKey): string => identityOf(label)?.name ?? label

function isAsked({ label }: SourceKey, owner: string, isNamed: (name: string) => boolean): boolean {
  const identity = identityOf(label)
  return identity?.owner === owner && isNamed(identity.name)
}

function unknown({ names }: ResealRequest, heldNames: readonly (string | null)[]): readonly ResealRow[] {
  return (names ?? [])
    .filter((name) => !heldNames.includes(name))
    .map((name) => {
      const message = `neither the token nor the vault has a source key named ${name}`
      return resealRow.failed(
        { name, generation: null, id: null, custody: null, custodyKey: null },
        new KeyferryError("ERR_KEY_NOT_FOUND", message, { key: name }),
      )
    })
}
