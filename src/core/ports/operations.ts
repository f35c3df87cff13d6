import type { DamagedOperation, Operation } from "../records/operation.js"

/** What commands that make something new were asked to do, as long as they have not come to their end. */
export interface Operations {
  /** Oldest first; what cannot be read is told apart. */
  list(): Promise<{ readonly operations: readonly Operation[]; readonly damaged: readonly DamagedOperation[] }>
  /** Durable when it returns. Throws ERR_STATE_WRITE. */
  put(operation: Operation): Promise<void>
  /** One that is not there is no error. Throws ERR_STATE_WRITE. */
  remove(operation: Operation): Promise<void>
}
