import { KeyferryError } from "../../core/base/error.js"
import { canonicalJson } from "../../core/base/json.js"
import { isPending } from "../../core/key/rotation.js"
import { failedOutcome, type KeyRow, rowOutcome } from "../../core/plan/row.js"
import type { Kms } from "../../core/ports/kms.js"
import type { StateCopy } from "../../core/ports/state-copy.js"
import type { ToBeLocked } from "../../core/ports/to-be-locked.js"
import type { InventoryEntry } from "../../core/records/inventory.js"
import { Contradiction, divergingKeys, type MaterialOrder, mergedEntry } from "../../core/records/merge.js"
import { materialsInOrder } from "../../core/records/rebuild.js"
import type { Deps } from "../deps.js"
import { record, type RecordDeps } from "../record.js"
import { mergeVault } from "./vault.js"

export type MergeDeps = Pick<Deps, "inventory" | "vault" | "custodyKeys" | "operations"> &
  RecordDeps & {
    readonly toBeLocked: ToBeLocked
    /** Asked only where both copies rotated a key. */
    readonly kmsOf: (target: string, region: string) => Promise<Pick<Kms, "listKeyRotations">>
  }

export interface MergeRow extends KeyRow {
  readonly target: string
}

export interface Merging {
  readonly keys: readonly MergeRow[]
  /** How much was taken over of what is no entry. */
  readonly taken: Readonly<Record<"sealed" | "custodyKeys" | "operations" | "toBeLocked" | "pinMarkers", number>>
  /** What of either copy could not be read or taken, in words. */
  readonly problems: readonly string[]
  /** Where the copy's custody log is kept; null where this state has it already. */
  readonly log: string | null
}

/**
 * Joins a copy of the state directory into this one and loses nothing of either: sealed material first, then what belongs
 * to custody keys and operations, entries last, so that none names what is not there. Killed at any moment, the same again
 * ends with the same; a second time there is nothing to do. Keys whose entries contradict each other are named, and left.
 */
export async function mergeState(deps: MergeDeps, copy: StateCopy): Promise<Merging> {
  const kept = await copy.keepLog()
  const destroyed = await copy.destroyedIds()
  const vault = await mergeVault(deps, copy, destroyed)
  const custodyKeys = await mergeCustodyKeys(deps, copy)
  const toBeLocked = await mergeToBeLocked(deps, copy)
  const pinMarkers = await copy.takeMarkers()
  const { entries, damaged } = await copy.inventory.all()
  const keys: MergeRow[] = []
  for (const entry of entries) keys.push(await mergeRow(deps, entry))
  for (const { name, target, error } of damaged) {
    keys.push({ name, target, keyArn: null, replaced: false, ...failedOutcome(error, "blocked") })
  }
  const operations = await mergeOperations(deps, copy)
  const merged = keys.filter(({ outcome }) => outcome === "done").length
  if (kept !== null || merged > 0 || vault.sealed > 0) {
    const { path, lines, head } = kept ?? { path: undefined, lines: undefined, head: undefined }
    await record(deps, "state.merged", {
      key: {},
      facts: { entries: merged, sealed: vault.sealed, log: path, lines, head },
    })
  }
  const taken = { sealed: vault.sealed, custodyKeys: custodyKeys.taken, operations, toBeLocked, pinMarkers }
  return { keys, taken, problems: [...vault.problems, ...custodyKeys.problems], log: kept?.path ?? null }
}

async function mergeRow(deps: MergeDeps, theirs: InventoryEntry): Promise<MergeRow> {
  const { name, target, keyArn } = theirs
  const facts = { name, target, keyArn, replaced: false }
  try {
    const ours = await deps.inventory.get(name, target)
    if (ours === undefined) {
      await deps.inventory.put(theirs)
      return { ...facts, ...rowOutcome("done", "MERGED", "taken over: this state did not know it") }
    }
    const orders = new Map<string, MaterialOrder>()
    for (const diverging of divergingKeys(ours, theirs)) orders.set(diverging, await orderOf(deps, ours, diverging))
    const merged = mergedEntry(ours, theirs, orders)
    if (isSame(merged, ours)) return { ...facts, ...rowOutcome("nothing", "SAME", "this state has all of it") }
    await deps.inventory.put(merged)
    const count = merged.earlier.length + 1
    const words = `joined: ${count} ${count === 1 ? "generation" : "generations"} of ${merged.keyArn ?? "no KMS key yet"}`
    return { ...facts, keyArn: merged.keyArn, ...rowOutcome("done", "MERGED", words) }
  } catch (error) {
    if (error instanceof Contradiction) {
      const hint =
        "see `keyferry status` with either state directory, and KMS: what is not true is taken out of one of them"
      return { ...facts, ...rowOutcome("blocked", "CONTRADICTION", error.message, { hint }) }
    }
    // what cannot be written of one key cannot be written of the next
    if (error instanceof KeyferryError && error.exit === "IOERR") throw error
    return { ...facts, ...failedOutcome(error, "blocked") }
  }
}

/** Both copies rotated it: which generation came first KMS alone can tell. */
async function orderOf(
  { kmsOf }: MergeDeps,
  { target, region }: InventoryEntry,
  keyArn: string,
): Promise<MaterialOrder> {
  const kms = await kmsOf(target, region)
  return materialsInOrder(await kms.listKeyRotations(keyArn)).map((rotation) => ({
    keyMaterialId: rotation.keyMaterialId,
    pending: isPending(rotation),
  }))
}

async function mergeCustodyKeys(deps: MergeDeps, copy: StateCopy) {
  let taken = 0
  for (const theirs of await copy.custodyKeys.list()) {
    const ours = await readable(() => deps.custodyKeys.get(theirs.id))
    const confirmed = ours?.backupConfirmedAt == null && theirs.backupConfirmedAt !== null
    if (ours !== undefined && !confirmed) continue
    await deps.custodyKeys.put({ ...(ours ?? theirs), backupConfirmedAt: theirs.backupConfirmedAt })
    taken += 1
  }
  return { taken, problems: (await copy.custodyKeys.damaged()).map(({ reason }) => reason) }
}

async function mergeToBeLocked({ toBeLocked }: MergeDeps, copy: StateCopy): Promise<number> {
  const ours = await toBeLocked.list()
  const missing = [...(await copy.toBeLocked.list())].filter((id) => !ours.has(id))
  for (const id of missing) await toBeLocked.add({ id, label: "" })
  return missing.length
}

/** After the entries, which say what of them is done already. */
async function mergeOperations(deps: MergeDeps, copy: StateCopy): Promise<number> {
  const ours = new Set((await deps.operations.list()).operations.map(({ id }) => id))
  const missing = (await copy.operations.list()).operations.filter(({ id }) => !ours.has(id))
  for (const operation of missing) await deps.operations.put(operation)
  return missing.length
}

/** Undefined too where this state's own cannot be read: then the copy's takes its place. */
async function readable<T>(read: () => Promise<T | undefined>): Promise<T | undefined> {
  try {
    return await read()
  } catch (error) {
    if (!(error instanceof KeyferryError)) throw error
    return undefined
  }
}

const isSame = (a: object, b: object): boolean => canonicalJson(JSON.stringify(a)) === canonicalJson(JSON.stringify(b))
