import type { CustodyKeyRecord } from "../records/sealed-material.js"

/** What is kept of custody keys: their canaries, and whether a backup was confirmed. */
export interface CustodyKeyRecords {
  /** By CKA_ID, hex. @throws ERR_STATE_INVALID */
  get(id: string): Promise<CustodyKeyRecord | undefined>
  /** Those that can be read. */
  list(): Promise<readonly CustodyKeyRecord[]>
  /** Those that cannot. */
  damaged(): Promise<readonly { readonly path: string; readonly reason: string }[]>
  put(record: CustodyKeyRecord): Promise<void>
  remove(id: string): Promise<void>
}
