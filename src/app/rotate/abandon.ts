import { errorOf, KeyferryError } from "../../core/base/error.js"
import { isPending, pendingRotation } from "../../core/key/rotation.js"
import { failedOutcome, type KeyRow, rowOutcome } from "../../core/plan/row.js"
import { importedEntry, type InventoryEntry, type MadeEntry } from "../../core/records/inventory.js"
import { progressOf, type RotateOperation } from "../../core/records/operation.js"
import type { Deps } from "../deps.js"
import { findKey } from "../kms-key/entry.js"
import { record, type RecordDeps } from "../record.js"
import { lookAtRotation, materialIn, materialOf, type RegionView } from "./view.js"

export type AbandonDeps = Pick<Deps, "kms" | "kmsIn" | "inventory" | "operations"> & RecordDeps

/** What giving up the rotation of one name would do; nothing is changed yet. */
export interface Abandonment {
  readonly entry: InventoryEntry
  /** Of generations that were begun: null where nothing of it is in the inventory. */
  readonly begun: MadeEntry | null
  /** Material that waits in KMS and would be deleted, and where; null where there is none. */
  readonly pending: { readonly home: RegionView; readonly keyMaterialId: string } | null
  readonly operations: readonly RotateOperation[]
  /** In words: what it means. */
  readonly consequences: readonly string[]
}

/**
 * Looks how far the rotation of a name has come. Until KMS rotates, everything of it can be given up.
 *
 * @throws ERR_KEY_NOT_FOUND, ERR_KMS_KEY_STATE where KMS rotates, or has rotated, to the new material
 */
export async function planAbandonment(
  deps: AbandonDeps,
  identity: { readonly owner: string; readonly target: string; readonly name: string },
): Promise<Abandonment> {
  const entry = await findKey(deps, identity)
  const { name } = entry
  const operations = await openRotations(deps, entry)
  if (!entry.rotating) {
    const words =
      operations.length === 0
        ? `no rotation of ${name} is under way`
        : `nothing of the rotation of ${name} was begun: it stays at generation ${entry.source.generation}`
    return { entry, begun: null, pending: null, operations, consequences: [words] }
  }
  const begun = importedEntry(entry)
  const { home, inProgress } = await lookAtRotation(deps, begun)
  const ours = materialIn(home.rotations, materialOf(begun))
  if (inProgress || (ours !== undefined && !isPending(ours))) {
    throw new KeyferryError("ERR_KMS_KEY_STATE", `KMS rotates ${name} to the new material, or has done so`, {
      key: begun.keyArn,
      hint: `that cannot be taken back: finish it with \`keyferry rotate ${name}\`; older ciphertexts still decrypt`,
    })
  }
  const waiting = pendingRotation(home.rotations)
  const isOurs =
    waiting !== undefined && (ours !== undefined || begun.importing?.generation === begun.source.generation)
  const pending = isOurs ? { home, keyMaterialId: waiting.keyMaterialId } : null
  const { label, id } = begun.source
  const consequences = [
    `${name} stays at generation ${begun.source.generation - 1}, which KMS uses; what was encrypted still decrypts`,
    ...(pending === null ? [] : [`key material ${pending.keyMaterialId}, which waits in KMS, is deleted there`]),
    `its source key ${label} (${id}), if it was made, is used by nothing more: keyferry key destroy --name ${name} --id ${id}`,
  ]
  return { entry, begun, pending, operations, consequences }
}

/** Gives it up: in KMS first, then in the inventory, then what was asked for; killed in between, the same goes on. */
export async function abandonRotation(deps: AbandonDeps, abandonment: Abandonment): Promise<KeyRow> {
  const { entry, begun, pending, operations, consequences } = abandonment
  if (begun !== null) await giveUpNewest(deps, begun, pending)
  for (const operation of operations) await withoutName(deps, operation, entry.name)
  const isNothing = begun === null && operations.length === 0
  const outcome = rowOutcome(
    isNothing ? "nothing" : "done",
    isNothing ? "ALREADY" : "ABANDONED",
    consequences.join("; "),
  )
  return { ...factsOf(entry), ...outcome }
}

/** Gives up the generation that was begun: its material is deleted where it waits in KMS, and the entry knows no more of it. */
export async function giveUpNewest(
  deps: Pick<Deps, "inventory"> & RecordDeps,
  begun: MadeEntry,
  pending: { readonly home: Pick<RegionView, "kms" | "keyArn">; readonly keyMaterialId: string } | null,
): Promise<void> {
  const facts = { keyMaterialId: pending?.keyMaterialId }
  await record(deps, "rotation.abandoned", { key: begun, facts: { step: "intended", ...facts } })
  // in the replicas KMS deletes it by itself
  if (pending !== null) await pending.home.kms.deleteImportedKeyMaterial(pending.home.keyArn, pending.keyMaterialId)
  await deps.inventory.put(withoutNewest(begun))
  await record(deps, "rotation.abandoned", { key: begun, facts: { step: "done", ...facts } })
}

/** The row of a name whose rotation cannot be given up. */
export function notAbandoned(name: string, target: string, error: unknown): KeyRow {
  return { name, target, keyArn: null, replaced: false, ...failedOutcome(errorOf(error, name), "blocked") }
}

const factsOf = ({ name, target, keyArn }: InventoryEntry) => ({ name, target, keyArn, replaced: false })

/** The entry as it was before its newest generation was begun. */
function withoutNewest(entry: MadeEntry): MadeEntry {
  const { earlier, importing, imports } = entry
  const { generation } = entry.source
  const source = earlier.at(-1)
  if (source === undefined) throw new KeyferryError("ERR_BUG", `${entry.name} has no generation before ${generation}`)
  return {
    ...entry,
    source,
    earlier: earlier.slice(0, -1),
    rotating: false,
    importing: importing?.generation === generation ? null : importing,
    imports: imports.filter((imported) => imported.generation !== generation),
  }
}

async function openRotations(deps: AbandonDeps, entry: InventoryEntry): Promise<readonly RotateOperation[]> {
  const { operations } = await deps.operations.list()
  return operations.filter((operation): operation is RotateOperation => {
    if (operation.command !== "rotate" || operation.owner !== entry.owner || operation.target !== entry.target)
      return false
    const key = operation.keys.find(({ name }) => name === entry.name)
    return key !== undefined && progressOf(operation, key, entry) !== "done"
  })
}

async function withoutName(deps: AbandonDeps, operation: RotateOperation, name: string): Promise<void> {
  const keys = operation.keys.filter((key) => key.name !== name)
  const left: string[] = []
  for (const key of keys) {
    if (progressOf(operation, key, await deps.inventory.get(key.name, operation.target)) !== "done") left.push(key.name)
  }
  if (left.length === 0) await deps.operations.remove(operation)
  else await deps.operations.put({ ...operation, keys })
}
