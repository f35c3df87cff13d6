import { Secret } from "../core/base/secret.js"

/** What stands in a log line: flat, and for an error its chain of causes. */
export type LogValue = string | number | boolean | null | readonly LogValue[] | { readonly [key: string]: LogValue }

/** As many causes as any error of ours has, and an end to those that refer to themselves. */
const MOST_CAUSES = 5

/**
 * A value as the log shows it: bytes by their number, a secret as such, an error by {@link serializeError}. No object is
 * looked into, since what it holds is not on any list.
 */
export function logValue(value: unknown): LogValue {
  if (value === undefined || value === null) return null
  if (typeof value === "string" || typeof value === "boolean") return value
  if (typeof value === "number") return Number.isFinite(value) ? value : String(value)
  if (typeof value === "bigint") return value.toString()
  if (value instanceof Secret) return "[secret]"
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return `[${value.byteLength} bytes]`
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? "[no date]" : value.toISOString()
  if (value instanceof Error) return serializeError(value)
  if (Array.isArray(value)) return value.map(logValue)
  return `[${typeof value}]`
}

/** An error by name, code, message, its causes in words (a KeyferryError's) and the error that caused it. */
export function serializeError(error: Error, depth = 0): LogValue {
  const { code, causes, $metadata } = error as { code?: unknown; causes?: unknown; $metadata?: { requestId?: unknown } }
  const requestId = $metadata?.requestId
  return {
    name: error.name,
    message: error.message,
    ...(typeof code === "string" ? { code } : {}),
    ...(typeof requestId === "string" ? { requestId } : {}),
    ...(Array.isArray(causes) ? { causes: causes.map(causeInWords) } : {}),
    ...(error.cause instanceof Error && depth < MOST_CAUSES ? { cause: serializeError(error.cause, depth + 1) } : {}),
  }
}

function causeInWords(cause: unknown): string {
  const { code, message } = cause as { code?: unknown; message?: unknown }
  return `${typeof code === "string" ? code : "?"}: ${typeof message === "string" ? message : ""}`
}
