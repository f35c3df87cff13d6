import { readJson } from "../base/json.js"
import type { CustodyEvent } from "./custody-event.js"
import { sha256 } from "../key/wrapping-key.js"

/** What the first line of a custody log names as the one before it. */
export const CHAIN_START = `sha256:${"0".repeat(64)}`

/** Where a chain ends: what the next line continues. */
export interface ChainEnd {
  /** Of the last line; 0 before the first. */
  readonly seq: number
  /** `sha256:…` of the last line. */
  readonly hash: string
}

export const NO_LINES: ChainEnd = { seq: 0, hash: CHAIN_START }

/** JSON leaves U+2028 and U+2029 as they are, and only with `s` has `.` them too. */
const OWN_HASH = /^(\{.*),"hash":"(sha256:[0-9a-f]{64})"\}$/s

/**
 * One line of the custody log, without its newline: `{"seq","time","event",…,"previous","hash"}`, where `previous` is
 * the hash of the line before, and `hash` the SHA-256 of this line's text without `hash` itself.
 *
 * @param time RFC 3339 UTC
 */
export function sealLine(
  previous: ChainEnd,
  time: string,
  event: CustodyEvent,
): { readonly text: string; readonly end: ChainEnd } {
  const seq = previous.seq + 1
  const body = JSON.stringify({ seq, time, ...event, previous: previous.hash })
  const hash = hashOf(body)
  return { text: `${body.slice(0, -1)},"hash":"${hash}"}`, end: { seq, hash } }
}

/** Where a chain would end with this line, or in words what is wrong with the line by itself. */
export function readLine(
  text: string,
): { readonly end: ChainEnd; readonly previous: string } | { readonly fault: string } {
  const [, unhashed, hash = ""] = OWN_HASH.exec(text) ?? []
  if (unhashed === undefined) return { fault: "is not a line of the custody log" }
  const body = `${unhashed}}`
  if (hashOf(body) !== hash) return { fault: "was changed: its hash is another" }
  const json = readJson(body)
  if ("fault" in json) return json
  const { seq, previous } = json.content as { readonly seq?: unknown; readonly previous?: unknown }
  if (!Number.isSafeInteger(seq) || typeof previous !== "string") return { fault: "has no seq or no previous" }
  return { end: { seq: seq as number, hash }, previous }
}

/**
 * Holds every line against the one before: finds one that was edited, dropped, swapped or put between. What was cut off
 * at the end leaves no trace in the chain itself.
 *
 * @param start where the lines before these end, which are not looked at
 * @returns where the chain ends; or the first faulty line, counted from 1
 */
export function verifyChain(
  lines: Iterable<string>,
  start: ChainEnd = NO_LINES,
): { readonly end: ChainEnd } | { readonly line: number; readonly fault: string } {
  let end = start
  let line = 0
  for (const text of lines) {
    line += 1
    const read = readLine(text)
    if ("fault" in read) return { line, fault: read.fault }
    if (read.end.seq !== end.seq + 1) return { line, fault: `has seq ${read.end.seq}, not ${end.seq + 1}` }
    if (read.previous !== end.hash) return { line, fault: "does not continue the line before it" }
    end = read.end
  }
  return { end }
}

function hashOf(text: string): string {
  return sha256(Buffer.from(text, "utf8"))
}
