import type { Deps } from "../../app/deps.js"
import type { TakenUp } from "../../app/operation/take-up.js"
import type { KeyOperation } from "../../core/records/operation.js"
import type { Output } from "../command.js"

/**
 * Does what the operations ask for. One that has come to its end is removed only once the result is printed: whoever was
 * not told runs the same again, which must make nothing a second time.
 */
export async function untilTold<O extends KeyOperation, R extends Output>(
  deps: Pick<Deps, "operations" | "inventory">,
  takenUp: TakenUp<O>,
  work: () => Promise<R>,
) {
  const { operationsThatAre } = await import("../../app/operation/end.js")
  const operations = [...takenUp.operations.values()]
  const remove = async (ended: readonly KeyOperation[]): Promise<void> => {
    for (const operation of ended) await deps.operations.remove(operation)
  }
  try {
    const output = await work()
    // what was refused before anything was begun is not to be finished by others
    const ended = await operationsThatAre(deps, ["done", "asked"], operations)
    return { ...output, told: () => remove(ended) }
  } catch (error) {
    try {
      await remove(await operationsThatAre(deps, ["asked"], operations))
    } catch {
      // the first failure counts
    }
    throw error
  }
}
