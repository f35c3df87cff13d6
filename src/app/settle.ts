import { type ErrorCode, KeyferryError } from "../core/error.js"
import type { Deps } from "./deps.js"

/** KMS is eventually consistent: an operation right after the one it builds on may not see it yet. */
const NOT_YET: readonly ErrorCode[] = ["ERR_KMS_KEY_NOT_FOUND", "ERR_KMS_KEY_STATE"]

/** Waits between tries, in milliseconds: about eight seconds in all. */
const WAITS = [250, 500, 1000, 2000, 4000] as const

/**
 * Runs an operation on a KMS key that was created or filled a moment ago, again for as long as KMS says that it does
 * not know that yet (ImportKeyMaterial: "You can retry the request").
 */
export async function settled<T>(deps: Pick<Deps, "sleep">, operation: () => Promise<T>): Promise<T> {
  for (const wait of WAITS) {
    try {
      return await operation()
    } catch (error) {
      if (!(error instanceof KeyferryError && NOT_YET.includes(error.code))) throw error
      await deps.sleep(wait)
    }
  }
  return operation()
}
