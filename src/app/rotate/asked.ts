import { type InventoryEntry, madeEntry } from "../../core/records/inventory.js"
import type { KeyResult } from "../../core/records/key-result.js"
import {
  type AskedRotation,
  type ImportAgainWishes,
  progressOf,
  type RotateOperation,
} from "../../core/records/operation.js"
import type { Deps } from "../deps.js"
import { findKey } from "../kms-key/entry.js"
import { askedOf, doneBefore, takeUp, type TakenUp, withWishes } from "../operation/take-up.js"
import { rotatable, rotateKey } from "./rotate.js"

export interface RotationRequest {
  readonly owner: string
  readonly target: string
  readonly names: readonly string[]
  readonly wishes: ImportAgainWishes
}

/**
 * Writes down which rotations are asked for, before the first begins.
 *
 * @throws ERR_STATE_INVALID, ERR_STATE_WRITE
 */
export async function askRotations(deps: Deps, request: RotationRequest): Promise<TakenUp<RotateOperation>> {
  return await takeUp<RotateOperation>(deps, { ...request, command: "rotate", keyOf: askedRotation })
}

/** One that was begun, by whomever, is the one that is asked for. */
function askedRotation(entry: InventoryEntry): AskedRotation {
  const { name, keyArn, rotating, source } = rotatable(entry)
  return { name, keyArn, generation: rotating ? source.generation : source.generation + 1 }
}

/** The rotation of one of the names: what is left of it, or nothing where an earlier run has done it. */
export async function rotateAsked(
  deps: Deps,
  { owner, target, wishes }: RotationRequest,
  takenUp: TakenUp<RotateOperation>,
  name: string,
): Promise<KeyResult> {
  const { operation, key } = askedOf(takenUp, name)
  const entry = await findKey(deps, { owner, name, target })
  if (progressOf(operation, key, entry) === "done") return doneBefore(deps, operation, madeEntry(entry))
  return await rotateKey(deps, entry, withWishes(operation.wishes, wishes))
}
