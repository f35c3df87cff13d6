import type { CustodyEvent } from "../records/custody-event.js"

/** The record of every change of state: appended and fsynced, each line chained to the one before. */
export interface CustodyLog {
  append(event: CustodyEvent): Promise<void>
}
