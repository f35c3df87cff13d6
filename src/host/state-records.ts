import type { Deps } from "../app/deps.js"
import type { CustodyLog } from "../core/ports/custody-log.js"
import type { HeldWork } from "../core/ports/held-work.js"
import type { ToBeLocked } from "../core/ports/to-be-locked.js"
import { storedCustodyKeys } from "../store/records/custody-keys.js"
import { storedInventory } from "../store/records/inventory.js"
import { storedOperations } from "../store/records/operations.js"
import type { Texts } from "../store/records/texts.js"
import { storedToBeLocked } from "../store/records/to-be-locked.js"
import { type StoredVault, storedVault } from "../store/records/vault.js"

export interface StateRecords extends Pick<
  Deps,
  "inventory" | "custodyKeys" | "operations" | "custodyLog" | "heldWork"
> {
  readonly vault: StoredVault
  readonly toBeLocked: ToBeLocked
}

/** What use cases work with that need neither token nor KMS. */
export type State = StateRecords & Pick<Deps, "clock" | "progress" | "log" | "policy" | "sleep">

/** What the state holds, as the use cases see it. */
export function stateRecords(texts: Texts, custodyLog: CustodyLog, heldWork: HeldWork | null = null): StateRecords {
  return {
    inventory: storedInventory(texts),
    vault: storedVault(texts),
    custodyKeys: storedCustodyKeys(texts),
    operations: storedOperations(texts),
    custodyLog,
    heldWork,
    toBeLocked: storedToBeLocked(texts),
  }
}
