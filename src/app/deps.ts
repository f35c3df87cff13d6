import type { Policy } from "../core/binding.js"
import type { Clock, CustodyKeyRecords, CustodyLog, Inventory, Kms, Progress, Token, Vault } from "../core/ports.js"

/** What the use cases work with; each names the ones it needs by `Pick`. */
export interface Deps {
  readonly token: Token
  readonly kms: Kms
  /** KMS in another Region, as the target is reached: where replicas are. */
  readonly kmsIn: (region: string) => Promise<Kms>
  readonly inventory: Inventory
  readonly vault: Vault
  readonly custodyKeys: CustodyKeyRecords
  readonly custodyLog: CustodyLog
  readonly clock: Clock
  readonly progress: Progress
  readonly policy: Policy
  /** Resolves after so many milliseconds. */
  readonly sleep: (milliseconds: number) => Promise<void>
}
