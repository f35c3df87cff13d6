import type { CustodyEvent } from "../records/custody-event.js"

/** The record of every change of state: appended and fsynced, each line chained to the one before. */
export interface CustodyLog {
  /** Whether it can be gone on with: asked before anything is made. @throws ERR_STATE_INVALID, ERR_STATE_WRITE */
  check(): void
  append(event: CustodyEvent): Promise<void>
}
