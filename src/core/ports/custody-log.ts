import type { CustodyEvent } from "../records/custody-event.js"

/** The record of every change of state: appended and fsynced, each line chained to the one before. */
export interface CustodyLog {
  /** Whether it can be gone on with: asked before anything is made. @throws ERR_STATE_INVALID, ERR_STATE_WRITE */
  check(): Promise<void>
  /** Holds each line of the whole log against the one before. @throws ERR_STATE_INVALID naming the first that is faulty */
  verify(): Promise<void>
  append(event: CustodyEvent): Promise<void>
}
