import type { ErrorCause } from "../../core/base/error.js"

/** An error of `node:fs`, as far as it is looked at. */
export interface FileError {
  readonly code?: string
  readonly syscall?: string
  readonly message?: string
}

/** The errno and system call of a failed file operation, for an error's `causes`. */
export function causesOf(error: unknown): readonly ErrorCause[] {
  const { code = "Error", message = "" } = error as FileError
  return [{ code, message }]
}

/** Whether the file or folder is not there. */
export function isMissing(error: unknown): boolean {
  return (error as FileError).code === "ENOENT"
}
