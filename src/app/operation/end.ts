import { KeyferryError } from "../../core/base/error.js"
import { type KeyOperation, type KeyProgress, type Operation, progressOf } from "../../core/records/operation.js"
import type { Deps } from "../deps.js"

/** The operations that are equally far with every key; one with a key of which that cannot be told is not among them. */
export async function operationsThatAre(
  deps: Pick<Deps, "inventory">,
  words: readonly KeyProgress[],
  operations: Iterable<KeyOperation>,
): Promise<readonly KeyOperation[]> {
  const ended: KeyOperation[] = []
  for (const operation of new Set(operations)) {
    const progress = await progressOfKeys(deps, operation)
    if (words.some((word) => progress.every((reached) => reached === word))) ended.push(operation)
  }
  return ended
}

/** Removes what others than the command that was asked for it have finished: `rewrap` and `apply`. */
export async function removeFinished(
  deps: Pick<Deps, "operations" | "inventory">,
  operations: readonly Operation[],
): Promise<void> {
  const ofKeys = operations.filter((operation) => operation.command !== "reseal")
  for (const operation of await operationsThatAre(deps, ["done"], ofKeys)) await deps.operations.remove(operation)
}

/** How far an operation has come with each of its keys; null for one whose entry cannot be read. */
export async function progressOfKeys(
  { inventory }: Pick<Deps, "inventory">,
  operation: KeyOperation,
): Promise<readonly (KeyProgress | null)[]> {
  const progress: (KeyProgress | null)[] = []
  for (const key of operation.keys) {
    try {
      progress.push(progressOf(operation, key, await inventory.get(key.name, operation.target)))
    } catch (error) {
      if (!(error instanceof KeyferryError)) throw error
      progress.push(null)
    }
  }
  return progress
}
