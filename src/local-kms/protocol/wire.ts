import type { KmsError } from "./error.js"

export const CONTENT_TYPE = "application/x-amz-json-1.1"

/** An answer as JSON 1.1: bytes as base64, absent members left out. Times are epoch seconds already. */
export function toWire(value: unknown): string {
  return JSON.stringify(encode(value))
}

function encode(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64")
  if (Array.isArray(value)) return value.map(encode)
  if (typeof value !== "object" || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, encode(member)]))
}

/** An error as JSON 1.1. The service leaves the message out where it has none. */
export function errorToWire({ name, message }: KmsError): string {
  return JSON.stringify({ __type: name, ...(message === "" ? {} : { message }) })
}
