import type { Policy } from "../core/manifest/binding.js"
import type { Clock } from "../core/ports/clock.js"
import type { CustodyKeyRecords } from "../core/ports/custody-key-records.js"
import type { CustodyLog } from "../core/ports/custody-log.js"
import type { HeldWork } from "../core/ports/held-work.js"
import type { Inventory } from "../core/ports/inventory.js"
import type { Kms } from "../core/ports/kms.js"
import type { Log } from "../core/ports/log.js"
import type { Operations } from "../core/ports/operations.js"
import type { Progress } from "../core/ports/progress.js"
import type { CustodialToken } from "../core/ports/custodial-token.js"
import type { Vault } from "../core/ports/vault.js"

/** What the use cases work with; each names the ones it needs by `Pick`. */
export interface Deps {
  readonly token: CustodialToken
  readonly kms: Kms
  /** KMS in another Region, as the target is reached: where replicas are. */
  readonly kmsIn: (region: string) => Promise<Kms>
  readonly inventory: Inventory
  readonly vault: Vault
  readonly custodyKeys: CustodyKeyRecords
  readonly operations: Operations
  readonly custodyLog: CustodyLog
  /** Keeps workers of other processes from a key; null where the lock of the state does. */
  readonly heldWork: HeldWork | null
  readonly clock: Clock
  readonly progress: Progress
  readonly log: Log
  readonly policy: Policy
  /** Resolves after so many milliseconds. */
  readonly sleep: (milliseconds: number) => Promise<void>
}
