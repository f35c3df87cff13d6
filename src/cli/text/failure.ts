import { EXIT_CODES } from "../../core/base/exit-code.js"
import { KeyferryError } from "../../core/base/error.js"
import { printable, printableLines } from "../../core/base/printable.js"
import { wrapped } from "./width.js"

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

/** Presents a failure; `verbose` adds the places in the code that it came from, `width` are the columns of a terminal. */
export function describeFailure(error: KeyferryError, verbose: boolean, width?: number): Failure {
  const { code, message, hint, key, causes } = error
  const ofKey = key !== null && !message.includes(key) ? ` (${key})` : ""
  const lines = [
    `keyferry: error: ${message}${ofKey} [${code}]`,
    `keyferry: hint: ${hint}`,
    ...causes.map((cause) => `  ${causeLine(cause)}`),
  ].map((line) => wrapped(printable(line), width))
  if (verbose) lines.push(printableLines(framesOf(error)))
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

/**
 * Whatever was thrown as an error of ours. What is none is a bug, of which neither words nor stack are shown: they may
 * quote what it choked on, a URL with a password or the contents of a file. Its kind and its place are what a report needs.
 */
export function knownError(thrown: unknown): KeyferryError {
  if (thrown instanceof KeyferryError) return thrown
  const { name, code } = (thrown instanceof Error ? thrown : {}) as { readonly name?: string; readonly code?: unknown }
  if (thrown instanceof Error && isAddonMissing(thrown, code)) return addonMissing(thrown)
  const kind = [name, code].filter((word) => typeof word === "string" && /^\w{1,40}$/.test(word)).join(" ")
  const place = placeOf(thrown)
  return new KeyferryError("ERR_BUG", `unexpected failure: ${kind || "no error was thrown"}${place}`)
}

/** npm leaves pkcs11js uncompiled where there is no compiler, or where it runs no scripts of packages. */
function isAddonMissing({ message }: Error, code: unknown): boolean {
  return (code === "MODULE_NOT_FOUND" || code === "ERR_DLOPEN_FAILED") && /pkcs11js|pkcs11\.node/.test(message)
}

function addonMissing(cause: Error): KeyferryError {
  const [message = ""] = cause.message.split("\n")
  return new KeyferryError("ERR_ADDON_MISSING", "pkcs11js, by which keyferry speaks to tokens, is not compiled here", {
    cause,
    causes: [{ code: (cause as NodeJS.ErrnoException).code ?? "", message }],
  })
}

/** The first of our own files on its stack, ` (kms/proxy.js, line 23)`. */
function placeOf(thrown: unknown): string {
  const stack = thrown instanceof Error ? (thrown.stack ?? "") : ""
  const [, file, line] = /^ +at .*\/dist\/([\w./-]+\.js):(\d+):\d+\)?$/m.exec(stack) ?? []
  return file === undefined || line === undefined ? "" : ` (${file}, line ${line})`
}

/** Without the words before them, which the message and the causes have in a form that may be shown. */
function framesOf(error: unknown): string {
  if (!(error instanceof Error)) return ""
  const frames = (error.stack ?? "").split("\n").filter((line) => /^ +at /.test(line))
  const cause = framesOf(error.cause)
  return [...frames, ...(cause === "" ? [] : ["caused by", cause])].join("\n")
}
