import type { KeyferryError } from "../base/error.js"
import type { InventoryEntry } from "../records/inventory.js"

/** A file of the inventory that cannot be read: what it says of its key is not known, and nothing is done to that key. */
export interface DamagedEntry {
  readonly name: string
  readonly target: string
  /** ERR_STATE_INVALID, ERR_STATE_UNSAFE or ERR_INPUT_UNREADABLE, with the path. */
  readonly error: KeyferryError
}

/** What was done and proven, one entry for each source key and target; kept until the operator removes it. */
export interface Inventory {
  /** @throws ERR_STATE_INVALID, ERR_INPUT_UNREADABLE */
  get(name: string, target: string): Promise<InventoryEntry | undefined>
  /** Entries of one name over all targets, or of all keys without those that cannot be read. @throws ERR_STATE_INVALID for a name's */
  list(name?: string): Promise<readonly InventoryEntry[]>
  /** An entry of the target whose KMS key is known: what shows the account that the target is in. */
  firstMade(target: string): Promise<InventoryEntry | undefined>
  /** Entries of all keys, and what cannot be read of them. */
  all(): Promise<{ readonly entries: readonly InventoryEntry[]; readonly damaged: readonly DamagedEntry[] }>
  /** Replaces the entry: temporary name, fsync, rename, fsync of the folder. Throws ERR_STATE_WRITE. */
  put(entry: InventoryEntry): Promise<void>
  remove(name: string, target: string): Promise<void>
}
