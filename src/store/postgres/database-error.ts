import { type ErrorCode, KeyferryError } from "../../core/base/error.js"

interface Row {
  readonly code: ErrorCode
  /** The code's own without. */
  readonly hint?: string
}

const REFUSED = "ERR_DATABASE_REFUSED"
const UNREACHABLE = "ERR_DATABASE_UNREACHABLE"
const WRITE = "ERR_STATE_WRITE"

/** SQLSTATE codes and classes (PostgreSQL, appendix A), the first that fits. */
const STATES: readonly (readonly [state: RegExp, row: Row])[] = [
  [
    /^(42P01|3F000|42703)$/,
    { code: "ERR_STATE_VERSION", hint: "run `keyferry state migrate` with a user who may make tables" },
  ],
  [/^3D000$/, { code: REFUSED, hint: "make that database, or name another one in state.postgres" }],
  [/^28...$|^42501$/, { code: REFUSED }],
  [
    /^25006$/,
    { code: WRITE, hint: "it is a standby, or default_transaction_read_only is on there: name the primary server" },
  ],
  [/^53100$/, { code: WRITE, hint: "the disk of the PostgreSQL server is full: make room there, and run it again" }],
  [/^53300$/, { code: UNREACHABLE, hint: "the server has no connection left: raise its max_connections" }],
  [/^53/, { code: UNREACHABLE, hint: "the server lacks memory or another resource: see its log" }],
  [
    /^(57014|55P03)$/,
    {
      code: UNREACHABLE,
      hint: "the server took too long, or another transaction holds what was asked for: see pg_stat_activity there",
    },
  ],
  [/^40/, { code: UNREACHABLE, hint: "another transaction came between: run it again" }],
  [/^(08|57|25P03)/, { code: UNREACHABLE }],
  [/^42704$/, { code: REFUSED, hint: "keyferry needs PostgreSQL 14 or later" }],
  // five letters of the system, EPIPE for one, are no SQLSTATE
  [/^([0-9][0-9A-Z]|F0|HV|P0|XX)[0-9A-Z]{3}$/, { code: WRITE, hint: "see the log of the PostgreSQL server" }],
]

const CERTIFICATE_HINT = "check the name in state.postgres, its tls, and the certificate that the server has"

/** Node.js' codes of a certificate that does not hold, and OpenSSL's of a handshake that was refused. */
const CERTIFICATE =
  /^(ERR_TLS_|ERR_SSL_|ERR_OSSL_|CERT_|CRL_|DEPTH_ZERO_|SELF_SIGNED_|INVALID_CA|INVALID_PURPOSE|UNABLE_TO_(VERIFY|GET_ISSUER)|HOSTNAME_MISMATCH)/

/** node-postgres' words, which have no code, where a server is not asked in the clear, or gives no proof of itself. */
const UNCODED: readonly (readonly [words: RegExp, row: Row])[] = [
  [
    /does not support SSL|establishing an SSL connection/,
    { code: REFUSED, hint: "set ssl = on there: in the clear nothing is sent to another host" },
  ],
  [/^SASL: /, { code: REFUSED }],
]

/** What a call of the database failed with, as keyferry's; what the work in a transaction throws is passed on as it is. */
export function databaseError(place: string, error: unknown): unknown {
  if (error instanceof KeyferryError || !(error instanceof Error)) return error
  const { code = "" } = error as { readonly code?: string }
  const words = `${place}: ${error.message === "" ? code : error.message}`
  const { code: own, hint } = rowOf(code, error.message)
  return new KeyferryError(own, words, { cause: error, ...(hint === undefined ? {} : { hint }) })
}

/** SQLSTATE of who answered a statement by refusing it, and goes on with the connection. */
const ANSWERED = /^(?!08|57P|25P03)[0-9A-Z]{5}$/

/** Whether a call failed since the connection has ended, or may have: none where the server has answered. */
export function endsConnection(error: unknown): boolean {
  const { code = "" } = ((error as Error).cause ?? {}) as { readonly code?: string }
  return !(ANSWERED.test(code) && /\d/.test(code))
}

function rowOf(code: string, message: string): Row {
  if (CERTIFICATE.test(code)) return { code: REFUSED, hint: CERTIFICATE_HINT }
  const rows = code === "" ? UNCODED.map(([words, row]) => [words, row, message] as const) : []
  const fits = [...rows, ...STATES.map(([state, row]) => [state, row, code] as const)]
  return fits.find(([pattern, , text]) => pattern.test(text))?.[1] ?? { code: UNREACHABLE }
}
