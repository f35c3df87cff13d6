import { EXIT_CODES } from "../../core/base/exit-code.js"
import { KeyferryError } from "../../core/base/error.js"
import { printable, printableLines } from "./printable.js"

/** A failure as it is shown: the JSON form of docs/json.md, and the same for people. */
export interface Failure {
  readonly exit: number
  readonly json: { readonly error: FailureFacts }
  readonly text: string
}

interface FailureFacts {
  readonly code: string
  readonly message: string
  readonly hint: string
  readonly key: string | null
  readonly causes: readonly { readonly code: string; readonly message: string }[]
}

/** Presents whatever was thrown; what is no KeyferryError is a bug of ours, shown with its stack. */
export function describeFailure(thrown: unknown, verbose: boolean): Failure {
  const error = thrown instanceof KeyferryError ? thrown : bug(thrown)
  const { code, message, hint, key, causes } = error
  const ofKey = key !== null && !message.includes(key) ? ` (${key})` : ""
  const lines = [
    `keyferry: error: ${message}${ofKey} [${code}]`,
    `keyferry: hint: ${hint}`,
    ...causes.map((cause) => `  ${causeLine(cause)}`),
  ].map(printable)
  if (verbose || code === "ERR_BUG") lines.push(printableLines(stackOf(thrown)))
  return {
    exit: EXIT_CODES[error.exit].status,
    json: { error: { code, message, hint, key, causes } },
    text: lines.join("\n"),
  }
}

/** `C_WrapKey: CKR_KEY_UNEXTRACTABLE`, and `AccessDeniedException: its words (request ID …)`. */
function causeLine({ code, message }: { code: string; message: string }): string {
  if (code.startsWith("CKR_")) return `${message}: ${code}`
  // a system call's own message begins with its code
  return message.startsWith(`${code}: `) ? message : `${code}: ${message}`
}

function bug(thrown: unknown): KeyferryError {
  const message = thrown instanceof Error ? thrown.message : "something that is no error was thrown"
  return new KeyferryError("ERR_BUG", message, { cause: thrown })
}

function stackOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return ""
  const stack = thrown.stack ?? thrown.message
  return thrown.cause instanceof Error ? `${stack}\ncaused by ${stackOf(thrown.cause)}` : stack
}
