import { KeyferryError } from "../core/error.js"
import { ERRORS_BY_NAME, type ErrorRow, PASSING, REFINEMENTS, row } from "./error-row.js"
import { faultOf, type NativeError } from "./fault.js"
import { leavesOpen } from "./retry.js"

const UNKNOWN_OUTCOME = row(
  "ERR_KMS_OUTCOME_UNKNOWN",
  "the answer of KMS was lost, so whether it did that is not known",
)
const OTHER = row("ERR_KMS_OTHER", "KMS answered an error that keyferry does not know")

/** What was asked when the error came. */
export interface Call {
  /** `CreateKey`; with its service where that is not KMS: `sts:GetCallerIdentity`. */
  readonly operation: string
  readonly input: object
  readonly keyId?: string | undefined
}

/** The error of an SDK call in keyferry's terms: one table, the AWS name and request ID kept among the causes. */
export function translate(error: unknown, call: Call): KeyferryError {
  if (error instanceof KeyferryError) return error
  const native: NativeError = typeof error === "object" && error !== null ? error : { message: String(error) }
  const { code, says, hint } = rowFor(native, call)
  const { requestId } = native.$metadata ?? {}
  const words = native.message === undefined || native.message === "" ? "no message" : native.message
  const message = requestId === undefined ? words : `${words} (request ID ${requestId})`
  const shown = code === "ERR_KMS_ACCESS_DENIED" ? deniedHint(native, call, hint) : hint
  return new KeyferryError(code, `${call.operation}: ${says}`, {
    cause: error,
    causes: [{ code: nameOf(native), message }],
    ...(call.keyId === undefined ? {} : { key: call.keyId }),
    ...(shown === undefined ? {} : { hint: shown }),
  })
}

function rowFor(native: NativeError, { operation, input }: Call): ErrorRow {
  const fault = faultOf(native)
  if (leavesOpen(operation, input, fault)) return UNKNOWN_OUTCOME
  const { name = "Error", message = "" } = native
  const refined = REFINEMENTS.find(
    (entry) =>
      entry.name === name &&
      (entry.operation === undefined || entry.operation === operation) &&
      (entry.message === undefined || entry.message.test(message)),
  )
  if (refined !== undefined) return refined.row
  const found = ERRORS_BY_NAME[nameOf(native)] ?? ERRORS_BY_NAME[name]
  return found ?? (fault === "fault" ? PASSING : OTHER)
}

/** The AWS error name; for an error of the network Node's code, which says more than `Error` or `TimeoutError`. */
function nameOf({ name = "Error", code, $metadata }: NativeError): string {
  return $metadata?.httpStatusCode === undefined && code !== undefined && Object.hasOwn(ERRORS_BY_NAME, code)
    ? code
    : name
}

/** Names the IAM action: the one in AWS' own words (`sts:AssumeRole`, say, on the way to KMS), or the operation's. */
function deniedHint({ message = "" }: NativeError, { operation }: Call, hint: string | undefined): string {
  if (hint !== undefined) return hint
  const action = /to perform: ([a-z0-9-]+:[A-Za-z]+)/.exec(message)?.[1]
  const asked = action ?? (operation.includes(":") ? operation : `kms:${operation}`)
  return asked.startsWith("kms:")
    ? `allow ${asked} in the IAM policy and in the key policy`
    : `allow ${asked} in the IAM policy${asked === "sts:AssumeRole" ? " and in the role's trust policy" : ""}`
}
