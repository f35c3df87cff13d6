import type { ExitName } from "../../core/base/exit-code.js"
import { type ErrorCause, KeyferryError } from "../../core/base/error.js"

export interface Check {
  readonly id: string
  readonly status: "ok" | "warn" | "fail"
  readonly message: string
  /** What to do about it; null where all is well. */
  readonly hint: string | null
}

/** A check with the exit status that it asks for when it fails. */
export interface CheckedLine extends Check {
  readonly exit: ExitName
}

export const ok = (id: string, message: string): CheckedLine => ({ id, status: "ok", message, hint: null, exit: "OK" })
export const warn = (id: string, message: string, hint: string): CheckedLine => ({
  id,
  status: "warn",
  message,
  hint,
  exit: "OK",
})

export function fail(id: string, message: string, hint: string, exit: ExitName): CheckedLine {
  return { id, status: "fail", message, hint, exit }
}

export function failed(id: string, error: unknown): CheckedLine {
  if (!(error instanceof KeyferryError)) throw error
  const causes = error.causes.map(causeText).join("; ")
  const hint = error.hint.replace(SENT_HERE, "")
  return fail(id, causes === "" ? error.message : `${error.message} (${causes})`, hint, error.exit)
}

/** The end of a hint that sends the operator to the command that he is running. */
const SENT_HERE = /(:|;| and run) `keyferry doctor`( checks them)?$/

function causeText({ code, message }: ErrorCause): string {
  if (code.startsWith("CKR_")) return `${message}: ${code}`
  return message.startsWith(`${code}: `) ? message : `${code}: ${message}`
}
