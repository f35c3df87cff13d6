/**
 * What is known of a request that failed:
 * - `throttled`: KMS turned it away unread
 * - `unsent`: no connection came about, so KMS never saw it
 * - `lost`: it was sent, and no answer came that can be read: it may have taken effect
 * - `fault`: KMS answered with a passing fault (5xx): it may have taken effect
 * - `skewed`: refused for this machine's clock, which the SDK has set right since
 * - `refused`: KMS answered, and another attempt would be answered alike
 */
export type Fault = "throttled" | "unsent" | "lost" | "fault" | "skewed" | "refused"

/** The parts of an SDK or Node error that are looked at; everything else about it is unknown. */
export interface NativeError {
  readonly name?: string
  readonly message?: string
  readonly code?: string
  readonly syscall?: string
  readonly $metadata?: {
    readonly httpStatusCode?: number
    readonly requestId?: string
    readonly clockSkewCorrected?: boolean
  }
}

/** LimitExceededException is not among them: a resource quota does not pass, though the SDK counts it as throttling. */
const THROTTLED: ReadonlySet<string> = new Set([
  "ThrottlingException",
  "Throttling",
  "ThrottledException",
  "RequestThrottled",
  "RequestThrottledException",
  "RequestLimitExceeded",
  "TooManyRequestsException",
])

const LOST: ReadonlySet<string> = new Set(["ECONNRESET", "EPIPE", "ETIMEDOUT", "ECONNABORTED"])

/** Errors of name resolution, connecting, TLS and proxy, by which no request can have gone out. */
const UNSENT: ReadonlySet<string> = new Set(["ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "EHOSTUNREACH", "ENETUNREACH"])

/** Words of Node, hpagent and the SDK's request handler for a connection that failed before anything was sent. */
const UNSENT_MESSAGE =
  /before secure TLS connection was established|did not establish a connection|^Bad response: \d+$|^Proxy timeout$/

export function faultOf(error: NativeError): Fault {
  const { name = "", message = "", code = "", syscall, $metadata = {} } = error
  const { httpStatusCode: status } = $metadata
  if (THROTTLED.has(name) || status === 429) return "throttled"
  if ($metadata.clockSkewCorrected === true) return "skewed"
  if (status !== undefined && status >= 300) return status >= 500 ? "fault" : "refused"
  // all went well by its status, and what followed broke off or is no answer of AWS
  if (status !== undefined || name === "SyntaxError") return "lost"
  if (UNSENT.has(code) || syscall === "connect" || UNSENT_MESSAGE.test(message)) return "unsent"
  if (LOST.has(code) || name === "TimeoutError") return "lost"
  return "refused"
}
