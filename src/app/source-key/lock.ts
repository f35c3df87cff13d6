import { KeyferryError } from "../../core/base/error.js"
import { type InventoryEntry, lastImport } from "../../core/records/inventory.js"
import type { SourceKey } from "../../core/key/source-key.js"
import { refuseWrite } from "../../core/token/write-protection.js"
import type { Deps } from "../deps.js"
import { heldSourceKey } from "./find.js"
import { namedSource } from "./named.js"

type LockDeps = Pick<Deps, "token" | "inventory" | "progress">

/**
 * Locks the source key of an entry whose import is proven, if that is still to be done, and records what was read back.
 *
 * @throws ERR_KEY_NOT_FOUND, ERR_KEY_ATTRIBUTES
 */
export async function lockSource<E extends InventoryEntry>(deps: LockDeps, entry: E): Promise<E> {
  const source = await heldSourceKey(deps.token, entry.source, entry.name)
  const { attributes } = await locked(deps, source)
  const updated = { ...entry, source: { ...entry.source, attributes } }
  await deps.inventory.put(updated)
  return updated
}

/** Whether the entry's source key is to be locked and was not yet. */
export function wantsLock({ custody, source }: InventoryEntry): boolean {
  return custody === "locked" && source.attributes?.extractable !== false
}

export interface LockRequest {
  readonly owner: string
  readonly name: string
  readonly id: string | undefined
  /** The operator knows that KMS has the material, where this state directory has no proven import of it. */
  readonly confirmed: boolean
}

export interface LockResult {
  readonly name: string
  readonly key: SourceKey
  readonly outcome: "done" | "nothing"
}

/**
 * Locks the newest source key of a name for good: the end of the three-step flow on the host with the token.
 *
 * @throws ERR_CONFIRMATION_MISSING where no proven import is on record here; ERR_CUSTODY_REFUSED for a key of several
 * imports to come; ERR_KEY_NOT_FOUND, ERR_KEY_AMBIGUOUS
 */
export async function lockKey(deps: LockDeps & Pick<Deps, "vault">, request: LockRequest): Promise<LockResult> {
  const source = await namedSource(deps, request)
  const { name } = request
  if (source.attributes.extractable === false) return { name, key: source, outcome: "nothing" }
  refuseWrite(deps.token, `to lock the source key ${name}`, name)
  if (source.custody !== "token" && source.custody !== "locked") {
    throw new KeyferryError("ERR_CUSTODY_REFUSED", `custody ${source.custody} of ${name} has nothing to lock`, {
      key: name,
    })
  }
  const entries = (await deps.inventory.list(name)).filter(
    (entry) => entry.owner === request.owner && entry.source.id === source.id,
  )
  const otherwise = entries.find(({ custody }) => custody !== "locked")
  if (otherwise !== undefined && !request.confirmed) {
    throw new KeyferryError(
      "ERR_CONFIRMATION_MISSING",
      `the source key ${name} has custody ${otherwise.custody}: locked, its material could never be imported again`,
      { key: name, hint: "give --accept-no-reimport if that is what you want" },
    )
  }
  const proven = entries.some((entry) => {
    const last = entry.importing === null ? lastImport(entry) : undefined
    return last?.proof.result === "proven" && last.validTo === null
  })
  if (!proven && !request.confirmed) {
    throw new KeyferryError(
      "ERR_CONFIRMATION_MISSING",
      `no proven import of ${name} that never expires is on record here, and once locked it cannot be imported`,
      { key: name, hint: "give --accept-no-reimport if KMS was seen to hold its material for ever" },
    )
  }
  const key = await locked(deps, source)
  for (const entry of entries) {
    const updated = { ...entry.source, attributes: key.attributes }
    await deps.inventory.put({ ...entry, custody: "locked", source: updated })
  }
  return { name, key, outcome: "done" }
}

async function locked(deps: Pick<LockDeps, "token" | "progress">, source: SourceKey): Promise<SourceKey> {
  if (source.attributes.extractable === false) return source
  const key = await deps.token.lock(source)
  return key
}
