import type { CustodyKeyRecords } from "./custody-key-records.js"
import type { Inventory } from "./inventory.js"
import type { Operations } from "./operations.js"
import type { ToBeLocked } from "./to-be-locked.js"
import type { Vault } from "./vault.js"

/** The custody log of a copy, kept beside this state's own. */
export interface KeptLog {
  /** Path in this state directory. */
  readonly path: string
  readonly lines: number
  /** `sha256:…` of its last line. */
  readonly head: string
}

/** A copy of the state directory, which is read only. */
export interface StateCopy {
  readonly inventory: Pick<Inventory, "all">
  readonly vault: Pick<Vault, "list">
  readonly custodyKeys: Pick<CustodyKeyRecords, "list" | "damaged">
  readonly operations: Pick<Operations, "list">
  readonly toBeLocked: Pick<ToBeLocked, "list">
  /** Takes over markers of refused PINs that this state has not. @returns how many */
  takeMarkers(): Promise<number>
  /**
   * Keeps its custody log in this state directory, durably; null where it has none, or this state's own begins with it.
   *
   * @throws ERR_STATE_INVALID where its chain is broken
   */
  keepLog(): Promise<KeptLog | null>
  /** Source keys, by CKA_ID, that the logs of either say were destroyed on purpose. */
  destroyedIds(): Promise<ReadonlySet<string>>
}
