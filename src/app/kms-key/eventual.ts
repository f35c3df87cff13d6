import { KeyferryError } from "../../core/base/error.js"
import { keyStateRow } from "../../core/key/key-state.js"
import type { Deps } from "../deps.js"

/** Waits between tries, in milliseconds: about eight seconds in all. */
export const WAITS_MS = [250, 500, 1000, 2000, 4000] as const

/**
 * Runs an operation on a KMS key that was created or filled a moment ago, again for as long as KMS does not know that
 * yet: it is eventually consistent. An import waits by its own loop (import/import.ts).
 */
export async function settled<T>(
  deps: Pick<Deps, "kms" | "sleep">,
  keyArn: string,
  operation: () => Promise<T>,
): Promise<T> {
  for (const waitMs of WAITS_MS) {
    try {
      return await operation()
    } catch (error) {
      if (!(await caughtUpSoon(deps, keyArn, error))) throw error
      await deps.sleep(waitMs)
    }
  }
  return operation()
}

/** Whether a refusal is one of a KMS key that KMS has not caught up with, and so passes by itself. */
export async function caughtUpSoon(deps: Pick<Deps, "kms">, keyArn: string, error: unknown): Promise<boolean> {
  if (!(error instanceof KeyferryError)) return false
  if (error.code === "ERR_KMS_KEY_NOT_FOUND") return true
  if (error.code !== "ERR_KMS_KEY_STATE") return false
  try {
    return keyStateRow((await deps.kms.describeKey(keyArn)).keyState).catchingUp
  } catch {
    // what the operation said counts, not what became of asking why
    return false
  }
}
