import { KeyferryError } from "../../core/base/error.js"
import { importedEntry, importOf } from "../../core/records/inventory.js"
import { keyResult } from "../../core/records/key-result.js"
import { progressOf, type ReplaceOperation, type ReplaceWishes } from "../../core/records/operation.js"
import type { Deps } from "../deps.js"
import { findKey } from "../kms-key/entry.js"
import { doneWords, takeUp, type TakenUp, withWishes } from "../operation/take-up.js"
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
  { operations, refusals }: TakenUp<ReplaceOperation>,
  name: string,
): Promise<ReplaceResult> {
  if (refusals.has(name)) throw refusals.get(name)
  const entry = await findKey(deps, { owner, name, target })
  const operation = operations.get(name)
  const key = operation?.keys.find((askedKey) => askedKey.name === name)
  if (operation === undefined || key === undefined) throw new KeyferryError("ERR_BUG", `nothing was asked of ${name}`)
  if (progressOf(operation, key, entry) !== "done") {
    return await replaceKey(deps, entry, withWishes(operation.wishes, wishes))
  }
  const made = importedEntry(entry)
  const imported = importOf(made, made.source.generation, made.region)
  if (imported === undefined) throw new KeyferryError("ERR_BUG", `no import of ${made.source.label} is recorded`)
  deps.progress.step(doneWords(operation, name))
  return { ...keyResult(made, imported, "nothing", null), replaced: key.keyArn }
}
