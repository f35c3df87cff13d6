import type { Deps } from "../app/deps.js"
import { custodialToken } from "../app/custody/custodial-token.js"
import type { Clock } from "../core/ports/clock.js"
import type { Progress } from "../core/ports/progress.js"
import type { CustodialToken } from "../core/ports/custodial-token.js"
import type { Token } from "../core/ports/token.js"
import type { ToBeLocked } from "../core/ports/to-be-locked.js"
import type { Log } from "../core/ports/log.js"
import { custodyKeyFiles } from "../store/files/custody-key-files.js"
import { custodyLogFile } from "../store/files/custody-log.js"
import { inventoryFiles } from "../store/files/inventory-files.js"
import { toBeLockedFiles } from "../store/files/to-be-locked-files.js"
import { vaultFiles } from "../store/files/vault-files.js"

export interface StateFiles extends Pick<Deps, "inventory" | "vault" | "custodyKeys" | "custodyLog"> {
  readonly toBeLocked: ToBeLocked
}

/** What a state directory holds, as the use cases see it. */
export function stateFiles(stateDir: string, clock: Clock): StateFiles {
  return {
    inventory: inventoryFiles(stateDir),
    vault: vaultFiles(stateDir),
    custodyKeys: custodyKeyFiles(stateDir),
    custodyLog: custodyLogFile(stateDir, clock),
    toBeLocked: toBeLockedFiles(stateDir),
  }
}

/** The token with the sealed keys of a state directory, whatever it is that opened it. */
export function custodial(
  token: Token,
  files: StateFiles,
  around: { readonly clock: Clock; readonly progress: Progress; readonly log: Log },
): CustodialToken {
  return custodialToken({ ...files, ...around, token })
}
