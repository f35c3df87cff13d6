import type { InventoryEntry } from "../records/inventory.js"

/** What was done and proven, one entry for each source key and target; kept until the operator removes it. */
export interface Inventory {
  get(name: string, target: string): Promise<InventoryEntry | undefined>
  /** Entries of all keys, or of one, over all targets. */
  list(name?: string): Promise<readonly InventoryEntry[]>
  /** An entry of the target whose KMS key is known: what shows the account that the target is in. */
  firstMade(target: string): Promise<InventoryEntry | undefined>
  /** Replaces the entry: temporary name, fsync, rename, fsync of the folder. Throws ERR_STATE_WRITE. */
  put(entry: InventoryEntry): Promise<void>
  remove(name: string, target: string): Promise<void>
}
