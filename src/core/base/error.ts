import { ERROR_ROWS, type ErrorRow, type Retry } from "./error-rows.js"
import type { ExitName } from "./exit-code.js"

export type ErrorCode = keyof typeof ERROR_ROWS

export const ERRORS: Readonly<Record<ErrorCode, ErrorRow>> = ERROR_ROWS

/** What an outside system said: `code` is a CKR_ name or an AWS error name, `message` its words and request ID. */
export interface ErrorCause {
  readonly code: string
  readonly message: string
}

interface ErrorOptions {
  readonly cause?: unknown
  /** The name, label, ARN or path of what it is about; shown and given in JSON as `key`. */
  readonly key?: string
  readonly hint?: string
  readonly causes?: readonly ErrorCause[]
  /** In place of the code's own exit status. */
  readonly exit?: ExitName
}

/** A failure that keyferry can name. `code` is part of the command-line contract; `message` is not. */
export class KeyferryError extends Error {
  override readonly name = "KeyferryError"
  readonly code: ErrorCode
  readonly hint: string
  readonly key: string | null
  /** Facts from the token or from KMS, outermost first. Never bytes, never secrets. */
  readonly causes: readonly ErrorCause[]
  readonly exit: ExitName

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, { cause: options.cause })
    this.code = code
    this.hint = options.hint ?? ERRORS[code].hint
    this.key = options.key ?? null
    this.causes = options.causes ?? []
    this.exit = options.exit ?? ERRORS[code].exit
  }

  get retry(): Retry {
    return ERRORS[this.code].retry
  }
}

/** The same failure, said of a key; an error that already names one is returned as it is. */
export function errorOf(error: unknown, key: string): unknown {
  return error instanceof KeyferryError && error.key !== null ? error : errorAfter(error, key)
}

/** The same failure, said of what was made before it, whatever key it named itself: that must not be forgotten. */
export function errorAfter(error: unknown, keyArn: string): unknown {
  if (!(error instanceof KeyferryError)) return error
  const { code, message, cause, hint, causes, key, exit } = error
  const withKey = key === null || keyArn.includes(key) || message.includes(key) ? message : `${message} (${key})`
  return new KeyferryError(code, withKey, { cause, key: keyArn, hint, causes, exit })
}
