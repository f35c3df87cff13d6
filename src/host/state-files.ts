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
import { lockState } from "../store/files/lock.js"
import { migrateState } from "../store/files/state-dir.js"
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

/**
 * Takes the lock of a state directory; that of an earlier keyferry is brought to today's version first.
 *
 * @throws ERR_STATE_LOCKED, ERR_STATE_VERSION, ERR_STATE_INVALID, ERR_STATE_WRITE
 */
export async function lockedState(
  stateDir: string,
  { command, progress }: { readonly command: string; readonly progress: Progress },
): Promise<AsyncDisposable> {
  const lock = await lockState(stateDir, command)
  try {
    const copy = await migrateState(stateDir, inventoryFiles(stateDir))
    if (copy !== null) progress.warn(`the state of keyferry 0.1.0 was brought to this version; a copy is in ${copy}`)
    return lock
  } catch (error) {
    await lock[Symbol.asyncDispose]()
    throw error
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
