import pkcs11js from "pkcs11js"
import { type ErrorCode, KeyferryError } from "../../core/base/error.js"
import { type CkrName, ckrName } from "./ckr.js"

/** What a return value means for the operator, whatever the call; all others are ERR_TOKEN_OTHER. */
const MEANINGS: Readonly<Partial<Record<CkrName, ErrorCode>>> = {
  CKR_HOST_MEMORY: "ERR_TOKEN_UNAVAILABLE",
  CKR_SLOT_ID_INVALID: "ERR_TOKEN_UNAVAILABLE",
  CKR_GENERAL_ERROR: "ERR_TOKEN_UNAVAILABLE",
  CKR_FUNCTION_FAILED: "ERR_TOKEN_UNAVAILABLE",
  CKR_DEVICE_ERROR: "ERR_TOKEN_UNAVAILABLE",
  CKR_DEVICE_REMOVED: "ERR_TOKEN_UNAVAILABLE",
  CKR_SESSION_CLOSED: "ERR_TOKEN_UNAVAILABLE",
  CKR_SESSION_COUNT: "ERR_TOKEN_UNAVAILABLE",
  CKR_SESSION_HANDLE_INVALID: "ERR_TOKEN_UNAVAILABLE",
  CKR_TOKEN_NOT_PRESENT: "ERR_TOKEN_UNAVAILABLE",
  CKR_TOKEN_NOT_RECOGNIZED: "ERR_TOKEN_UNAVAILABLE",
  CKR_TOKEN_RESOURCE_EXCEEDED: "ERR_TOKEN_UNAVAILABLE",
  CKR_USER_NOT_LOGGED_IN: "ERR_TOKEN_UNAVAILABLE",
  CKR_CRYPTOKI_NOT_INITIALIZED: "ERR_TOKEN_UNAVAILABLE",
  CKR_OPERATION_ACTIVE: "ERR_TOKEN_UNAVAILABLE",
  CKR_DEVICE_MEMORY: "ERR_TOKEN_FULL",
  CKR_PIN_INCORRECT: "ERR_TOKEN_PIN_INCORRECT",
  CKR_PIN_INVALID: "ERR_TOKEN_PIN_INCORRECT",
  CKR_PIN_LEN_RANGE: "ERR_TOKEN_PIN_INCORRECT",
  CKR_PIN_LOCKED: "ERR_TOKEN_PIN_LOCKED",
  CKR_PIN_EXPIRED: "ERR_TOKEN_PIN_UNUSABLE",
  CKR_USER_PIN_NOT_INITIALIZED: "ERR_TOKEN_PIN_UNUSABLE",
  CKR_SESSION_READ_ONLY: "ERR_TOKEN_WRITE_PROTECTED",
  CKR_TOKEN_WRITE_PROTECTED: "ERR_TOKEN_WRITE_PROTECTED",
  CKR_KEY_UNEXTRACTABLE: "ERR_KEY_NOT_EXTRACTABLE",
}

/** The failure of one call as keyferry reports it: cause `{ code: "CKR_…", message: "C_…" }`. Others pass through. */
export function tokenError(call: string, error: unknown): unknown {
  const value = returnValue(error)
  return value === undefined ? error : ckrError(call, value, error)
}

/** The failure of a call by the value that it returned. */
export function ckrError(call: string, value: number, cause?: unknown): KeyferryError {
  const name = ckrName(value)
  const code = MEANINGS[name as CkrName] ?? "ERR_TOKEN_OTHER"
  return new KeyferryError(code, `the token answered ${name} to ${call}`, {
    cause,
    causes: [{ code: name, message: call }],
  })
}

/** Runs one synchronous call and names it in its failure. */
export function attempt<T>(call: string, run: () => T): T {
  try {
    return run()
  } catch (error) {
    throw tokenError(call, error)
  }
}

/** The return value that the token gave, as `CKR_…`; undefined for a failure that did not come from the token. */
export function ckrOf(error: unknown): string | undefined {
  if (!(error instanceof KeyferryError)) return undefined
  return error.causes.find(({ code }) => code.startsWith("CKR_"))?.code
}

/** After these the session or the token is gone: the failure says nothing about what was asked. */
const GONE: ReadonlySet<string> = new Set<CkrName>([
  "CKR_CRYPTOKI_NOT_INITIALIZED",
  "CKR_DEVICE_REMOVED",
  "CKR_SESSION_CLOSED",
  "CKR_SESSION_HANDLE_INVALID",
  "CKR_TOKEN_NOT_PRESENT",
  "CKR_USER_NOT_LOGGED_IN",
])

/** The failure as a refusal by a token that is there; throws every other one on. */
export function refusalOf(error: unknown): KeyferryError {
  if (!(error instanceof KeyferryError) || GONE.has(ckrOf(error) ?? "")) throw error
  return error
}

/** `C_WrapKey: CKR_KEY_UNEXTRACTABLE`, or the message of a failure that did not come from the token. */
export function failureText(error: unknown): string {
  if (!(error instanceof KeyferryError)) throw error
  const cause = error.causes.find(({ code }) => code.startsWith("CKR_"))
  return cause ? `${cause.message}: ${cause.code}` : error.message
}

/** What is said otherwise; the rest stays as the failure had it. */
interface Restatement {
  readonly code?: ErrorCode
  readonly message?: string
  /** Label of the key that it is about. */
  readonly key?: string
}

/** The same failure under a code and a message that fit what was being done. */
export function restate(error: unknown, { code, message, key }: Restatement): unknown {
  if (!(error instanceof KeyferryError)) return error
  const context = key === undefined ? {} : { key }
  return new KeyferryError(code ?? error.code, message ?? error.message, {
    cause: error,
    causes: error.causes,
    ...context,
  })
}

/**
 * pkcs11js throws a Pkcs11Error for most calls and a plain Error `CKR_X:16` from C_CreateObject, C_CopyObject and
 * C_SetAttributeValue and from the asynchronous calls (2.1.7).
 */
function returnValue(error: unknown): number | undefined {
  if (error instanceof pkcs11js.Pkcs11Error) return error.code
  const [, value] = error instanceof Error ? (/^CKR_\w+:(\d+)/.exec(error.message) ?? []) : []
  return value === undefined ? undefined : Number(value)
}
