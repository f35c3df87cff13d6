import type { OperationName } from "../operations/operations.js"
import { KmsError } from "../protocol/error.js"
import { documented } from "../protocol/refusal.js"
import type { Region } from "../state/state.js"
import type { Caller } from "./caller.js"
import { readPolicy, type Statement } from "./document.js"
import { refusalOf } from "./evaluate.js"
import type { PolicyBook } from "./policy-book.js"
import { PolicyError } from "./policy-text.js"
import { accessesOf } from "./requests.js"

interface OperationCall {
  readonly name: OperationName
  readonly region: Region
  readonly now: number
  readonly body: unknown
  readonly caller: Caller
}

/**
 * Asks the policies, where they are enforced, whether a caller may do an operation.
 *
 * @throws AccessDeniedException; UnsupportedOperationException where a key policy says what is not evaluated here
 */
export function requireAccess(book: PolicyBook, { body, caller, ...call }: OperationCall): void {
  const identity = book.of(caller)
  if (identity === null || typeof body !== "object" || body === null) return
  for (const request of accessesOf({ ...call, body: body as Readonly<Record<string, unknown>> })) {
    const resource = request.key === null ? null : keyPolicyOf(request.key.policy)
    const context = {
      ...request.context,
      "aws:principalarn": [caller.principalArn],
      "aws:principalaccount": [caller.account],
    }
    const why = refusalOf({ ...request, context }, caller, { identity, resource })
    if (why !== null) throw documented.notAuthorized(caller.arn, request, why)
  }
}

function keyPolicyOf(text: string): readonly Statement[] {
  try {
    return readPolicy(JSON.parse(text), "key")
  } catch (error) {
    if (error instanceof PolicyError) throw documented.unsupported(`key policy: ${error.message}`)
    throw error instanceof KmsError ? error : documented.malformedPolicy()
  }
}
