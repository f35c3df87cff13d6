/**
 * What is known of a request that failed:
 * - `throttled`: KMS turned it away unread
 * - `unsent`: no connection came about, so KMS never saw it
 * - `lost`: it was sent, and no answer came that can be read: it may have taken effect
 * - `fault`: KMS, or a gateway on the way, answered with a passing fault (5xx): it may have taken effect
 * - `foreign`: something else than KMS answered, and will again: it may have taken effect
 * - `skewed`: refused for this machine's clock, which the SDK has set right since
 * - `refused`: KMS itself said no, or nothing could be sent; another attempt would end alike
 */
export type Fault = "throttled" | "unsent" | "lost" | "fault" | "foreign" | "skewed" | "refused"

/** The parts of an SDK or Node error that are looked at; everything else about it is unknown. */
export interface NativeError {
  readonly name?: string
  readonly message?: string
  readonly code?: string
  readonly syscall?: string
  /** It came while the request was under way, not before (own-answer.ts). */
  readonly sent?: boolean
  /** What answered is not AWS (own-answer.ts). */
  readonly foreign?: boolean
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

/** Refusals of a signature; of other errors a Date that is far away says nothing about why. */
const OF_SIGNATURES: ReadonlySet<string> = new Set([
  "InvalidSignatureException",
  "SignatureDoesNotMatch",
  "RequestExpired",
  "RequestTimeTooSkewed",
  "RequestInTheFuture",
  "AuthFailure",
])

const LOST: ReadonlySet<string> = new Set(["ECONNRESET", "EPIPE", "ETIMEDOUT", "ECONNABORTED"])

/** Errors of name resolution, connecting, TLS and proxy, by which no request can have gone out. */
const UNSENT: ReadonlySet<string> = new Set(["ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "EHOSTUNREACH", "ENETUNREACH"])

/** Words of Node, hpagent and the SDK's request handler for a connection that failed before anything was sent. */
const UNSENT_MESSAGE =
  /before secure TLS connection was established|did not establish a connection|^Bad response: \d+$|^Proxy timeout$/

/** Of TLS: the handshake failed, and nothing was sent. */
const UNSENT_TLS = /^(ERR_TLS_|ERR_SSL_|CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|EPROTO$|HOSTNAME_MISMATCH)/

/** Statuses of a gateway that may answer otherwise the next time; AWS' own errors have names for that. */
const PASSING_STATUSES: ReadonlySet<number> = new Set([408, 425, 429])

export function faultOf(error: NativeError): Fault {
  const { name = "", message = "", code = "", syscall, foreign, sent, $metadata = {} } = error
  const { httpStatusCode: status } = $metadata
  if (foreign === true) return (status ?? 0) >= 500 || PASSING_STATUSES.has(status ?? 0) ? "fault" : "foreign"
  if (status !== undefined && status >= 300) {
    if (THROTTLED.has(name) || status === 429) return "throttled"
    if ($metadata.clockSkewCorrected === true && OF_SIGNATURES.has(name)) return "skewed"
    return status >= 500 ? "fault" : "refused"
  }
  // all went well by its status, and what followed is no answer of AWS
  if (status !== undefined) return "lost"
  if (UNSENT.has(code) || syscall === "connect" || UNSENT_TLS.test(code) || UNSENT_MESSAGE.test(message))
    return "unsent"
  // whatever became of a request that went out, nobody has said that nothing was done
  return sent === true || LOST.has(code) || name === "TimeoutError" ? "lost" : "refused"
}
