import type { Policy } from "../core/binding.js"
import type { Clock, Inventory, Kms, Progress, Token } from "../core/ports.js"

/** What the use cases work with; each names the ones it needs by `Pick`. */
export interface Deps {
  readonly token: Token
  readonly kms: Kms
  readonly inventory: Inventory
  readonly clock: Clock
  readonly progress: Progress
  readonly policy: Policy
  /** Resolves after so many milliseconds. */
  readonly sleep: (milliseconds: number) => Promise<void>
}
