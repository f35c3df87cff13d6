import type { Deps } from "./app/deps.js"
import type { Clock } from "./core/ports.js"
import type { Log } from "./log/log.js"
import { loggedInventory } from "./logged.js"
import { custodyKeyFiles } from "./store/custody-key-files.js"
import { custodyLogFile } from "./store/custody-log.js"
import { inventoryFiles } from "./store/inventory-files.js"
import { vaultFiles } from "./store/vault-files.js"

/** What a state directory holds, as the use cases see it. Without a log what is recorded is not logged as well. */
export function stateFiles(
  stateDir: string,
  clock: Clock,
  log: Log | null,
): Pick<Deps, "inventory" | "vault" | "custodyKeys" | "custodyLog"> {
  const inventory = inventoryFiles(stateDir)
  return {
    inventory: log === null ? inventory : loggedInventory(inventory, log),
    vault: vaultFiles(stateDir),
    custodyKeys: custodyKeyFiles(stateDir),
    custodyLog: custodyLogFile(stateDir, clock),
  }
}
