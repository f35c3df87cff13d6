import { randomUUID } from "node:crypto"
import type { Token } from "../../core/ports/token.js"
import type { ResealOperation } from "../../core/records/operation.js"
import { sameToken } from "../../core/token/token-info.js"
import { refuseWrite } from "../../core/token/write-protection.js"
import type { Deps } from "../deps.js"
import { refuseDamaged } from "../operation/take-up.js"

/**
 * Writes down that a new custody key is asked for, before it is made; one that an earlier run was asked for and did not
 * come to the end with is that one.
 *
 * @throws ERR_STATE_INVALID, ERR_STATE_WRITE
 */
export async function askNewCustodyKey(
  deps: Pick<Deps, "operations" | "clock" | "progress"> & {
    readonly token: Pick<Token, "info" | "writeProtection" | "findCustodyKeys">
  },
  owner: string,
): Promise<ResealOperation> {
  const { operations, damaged } = await deps.operations.list()
  refuseDamaged(damaged, "reseal")
  const token = deps.token.info
  const earlier = operations.find(
    (operation) => operation.command === "reseal" && operation.owner === owner && sameToken(operation.token, token),
  )
  if (earlier?.command === "reseal") {
    deps.progress.step(`the new custody key that was asked for on ${earlier.askedAt} is gone on with`)
    return earlier
  }
  refuseWrite(deps.token, "a new custody key")
  const numbers = (await deps.token.findCustodyKeys(owner)).map(({ number }) => number)
  const operation: ResealOperation = {
    id: randomUUID(),
    command: "reseal",
    owner,
    token,
    askedAt: deps.clock.now().toISOString(),
    newestBefore: Math.max(0, ...numbers),
  }
  await deps.operations.put(operation)
  return operation
}
