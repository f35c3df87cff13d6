import type { Deps } from "../app/deps.js"
import type { Clock } from "../core/ports/clock.js"
import type { ToBeLocked } from "../core/ports/to-be-locked.js"
import { custodyKeyFiles } from "../store/files/custody-key-files.js"
import { custodyLogFile } from "../store/files/custody-log.js"
import { inventoryFiles } from "../store/files/inventory-files.js"
import { operationFiles } from "../store/files/operation-files.js"
import { toBeLockedFiles } from "../store/files/to-be-locked-files.js"
import { type VaultFiles, vaultFiles } from "../store/files/vault-files.js"

export interface StateFiles extends Pick<Deps, "inventory" | "custodyKeys" | "operations" | "custodyLog"> {
  readonly vault: VaultFiles
  readonly toBeLocked: ToBeLocked
}

/** What use cases work with that need neither token nor KMS. */
export type State = StateFiles & Pick<Deps, "clock" | "progress" | "log" | "policy" | "sleep">

/** What a state directory holds, as the use cases see it. */
export function stateFiles(stateDir: string, clock: Pick<Clock, "now">): StateFiles {
  return {
    inventory: inventoryFiles(stateDir),
    vault: vaultFiles(stateDir),
    custodyKeys: custodyKeyFiles(stateDir),
    operations: operationFiles(stateDir),
    custodyLog: custodyLogFile(stateDir, clock),
    toBeLocked: toBeLockedFiles(stateDir),
  }
}
