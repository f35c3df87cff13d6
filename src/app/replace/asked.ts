import { importedEntry } from "../../core/records/inventory.js"
import { progressOf, type ReplaceOperation, type ReplaceWishes } from "../../core/records/operation.js"
import type { Deps } from "../deps.js"
import { findKey } from "../kms-key/entry.js"
import { askedOf, doneBefore, takeUp, type TakenUp, withWishes } from "../operation/take-up.js"
import { replaceKey, type ReplaceResult } from "./replace.js"

export interface ReplacementRequest {
  readonly owner: string
  readonly target: string
  readonly names: readonly string[]
  readonly wishes: ReplaceWishes
}

/**
 * Writes down which replacements are asked for, before the first begins.
 *
 * @throws ERR_STATE_INVALID, ERR_STATE_WRITE
 */
export async function askReplacements(deps: Deps, request: ReplacementRequest): Promise<TakenUp<ReplaceOperation>> {
  return await takeUp<ReplaceOperation>(deps, {
    ...request,
    command: "replace",
    keyOf(entry) {
      const { name, keyArn } = importedEntry(entry)
      return { name, keyArn }
    },
  })
}

/** The replacement of one of the names: what is left of it, or nothing where an earlier run has done it. */
export async function replaceAsked(
  deps: Deps,
  { owner, target, wishes }: ReplacementRequest,
  takenUp: TakenUp<ReplaceOperation>,
  name: string,
): Promise<ReplaceResult> {
  const { operation, key } = askedOf(takenUp, name)
  const entry = await findKey(deps, { owner, name, target })
  if (progressOf(operation, key, entry) !== "done") {
    return await replaceKey(deps, entry, withWishes(operation.wishes, wishes))
  }
  return { ...doneBefore(deps, operation, importedEntry(entry)), replaced: key.keyArn }
}
