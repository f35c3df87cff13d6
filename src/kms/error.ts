import { KeyferryError } from "../core/base/error.js"
import { ERRORS_BY_NAME, type ErrorRow, PASSING, REFINEMENTS, row } from "./error-row.js"
import { faultOf, type NativeError } from "./fault.js"
import { leavesOpen } from "./retry.js"

const UNREADABLE = row("ERR_KMS_ANSWER", "what came back is not an answer of AWS")
const GATEWAY = row(
  "ERR_KMS_UNAVAILABLE",
  "what answered is not KMS, but something on the way to it that has a passing fault",
)
const BROKEN = row("ERR_KMS_UNREACHABLE", "the answer broke off, or was no HTTP")
const UNKNOWN_OUTCOME = row(
  "ERR_KMS_OUTCOME_UNKNOWN",
  "the answer of KMS was lost, so whether it did that is not known",
)
const OTHER = row("ERR_KMS_OTHER", "KMS answered an error that keyferry does not know")

/** Whether what came is no answer of AWS, or none that the SDK can read although the status says that all went well. */
function isUnreadable({ foreign, $metadata }: NativeError): boolean {
  const status = $metadata?.httpStatusCode
  return foreign === true || (status !== undefined && status < 300)
}

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
  const words = wordsOf(native)
  const message = requestId === undefined ? words : `${words} (request ID ${requestId})`
  const shown = code === "ERR_KMS_ACCESS_DENIED" ? deniedHint(native, call, hint) : hint
  return new KeyferryError(code, `${call.operation}: ${says}`, {
    ...(isUnreadable(native) ? {} : { cause: error }),
    causes: [{ code: nameOf(native), message }],
    ...(call.keyId === undefined ? {} : { key: call.keyId }),
    ...(shown === undefined ? {} : { hint: shown }),
  })
}

/** The parser's own words quote what it read, which may be part of an import token. */
function wordsOf(native: NativeError): string {
  const { message, $metadata } = native
  if (native.foreign === true && native.message !== undefined) return native.message
  if (isUnreadable(native)) return `HTTP status ${$metadata?.httpStatusCode ?? 0}, and what came is no answer of AWS`
  return message === undefined || message === "" ? "no message" : message
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
  // a gateway on the way answers its faults as a web page
  if (isUnreadable(native)) return fault === "fault" ? GATEWAY : UNREADABLE
  return (
    ERRORS_BY_NAME[nameOf(native)] ??
    ERRORS_BY_NAME[name] ??
    (fault === "fault" ? PASSING : fault === "lost" ? BROKEN : OTHER)
  )
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
  const permission = action ?? (operation.includes(":") ? operation : `kms:${operation}`)
  return permission.startsWith("kms:")
    ? `allow ${permission} in the IAM policy and in the key policy`
    : `allow ${permission} in the IAM policy${permission === "sts:AssumeRole" ? " and in the role's trust policy" : ""}`
}
