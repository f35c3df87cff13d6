import type { CustodyKeyRecord } from "../records/sealed-material.js"

/** What is kept of custody keys: their canaries, and whether a backup was confirmed. */
export interface CustodyKeyRecords {
  /** By CKA_ID, hex. @throws ERR_STATE_INVALID */
  get(id: string): Promise<CustodyKeyRecord | undefined>
  list(): Promise<readonly CustodyKeyRecord[]>
  put(record: CustodyKeyRecord): Promise<void>
  remove(id: string): Promise<void>
}
