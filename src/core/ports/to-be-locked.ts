import type { SourceKey } from "../key/source-key.js"

/**
 * Which source keys are to be locked once their import is proven: until then they are objects like those of custody
 * `token`, which nothing in the token tells apart.
 */
export interface ToBeLocked {
  /** By CKA_ID, hex. */
  list(): Promise<ReadonlySet<string>>
  add(key: Pick<SourceKey, "id" | "label">): Promise<void>
  remove(id: string): Promise<void>
}
