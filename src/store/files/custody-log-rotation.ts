import { chmodSync, closeSync, existsSync, linkSync, rmSync } from "node:fs"
import { join } from "node:path"
import { type ChainEnd, NO_LINES, readLine, sealLine } from "../../core/records/custody-chain.js"
import { KeyferryError } from "../../core/base/error.js"
import type { Clock } from "../../core/ports/clock.js"
import { replaceFile, stateWriteError, syncFolder, writeTemporary } from "./atomic-file.js"
import { openLocked } from "./custody-log.js"
import { CUSTODY_LOG } from "../archive/log-parts.js"
import { closedEnd, linesOf, verifiedEnd } from "./custody-log-reader.js"

/** What was closed: a file in the state directory, its lines, and the hash of the last one. */
export interface ClosedLog {
  readonly file: string
  readonly lines: number
  readonly head: string
}

/**
 * Closes the part of the custody log that is of earlier years: moves it to a file of its own, which is written no more
 * (mode 0400). The log then begins with a line whose `previous` is the hash of the last one there, so that the chain goes
 * on. The caller holds the state directory's lock.
 *
 * Killed at any moment, it leaves each line once to who reads all of the log (custody-log-reader.ts): the closed file is
 * whole before lines leave the log, and the next run finishes.
 *
 * @returns null where there are no lines of earlier years
 * @throws ERR_STATE_INVALID where the chain does not hold, with nothing changed; ERR_STATE_WRITE
 */
export async function rotateLog(stateDir: string, clock: Pick<Clock, "now">): Promise<ClosedLog | null> {
  const path = join(stateDir, CUSTODY_LOG)
  if (!existsSync(path)) return null
  const { file } = await openLocked(path)
  try {
    const end = verifiedEnd(stateDir)
    const closed = closedEnd(stateDir)
    const { earlier, later } = divide([...linesOf(path)], closed, clock.now().getUTCFullYear())
    const head = later.length === 0 ? end : endBefore(later[0], end)
    const part = earlier.length === 0 ? null : await close(stateDir, earlier, head)
    if (part === null && !isBehind(path, closed)) return null
    const facts = { file: part?.file ?? "", lines: part?.lines ?? 0, head: head.hash }
    const last = sealLine(end, clock.now().toISOString(), { event: "log.rotated", facts })
    await replaceFile(path, [...later, last.text, ""].join("\n"))
    return part
  } finally {
    closeSync(file)
  }
}

/** Lines that are to be closed and those that stay, without the ones that a killed run has closed already. */
function divide(lines: readonly string[], closed: ChainEnd, year: number) {
  const open = lines.filter((text) => endOf(text).seq > closed.seq)
  const lastEarlier = open.findLastIndex((text) => yearOf(text) < year)
  return { earlier: open.slice(0, lastEarlier + 1), later: open.slice(lastEarlier + 1) }
}

async function close(stateDir: string, lines: readonly string[], head: ChainEnd): Promise<ClosedLog> {
  const years = lines.map(yearOf)
  const [first, last] = [Math.min(...years), Math.max(...years)]
  const name = freeName(stateDir, first === last ? `${first}` : `${first}-${last}`)
  const path = join(stateDir, name)
  try {
    using temporary = await writeTemporary(path, `${lines.join("\n")}\n`)
    try {
      chmodSync(temporary.path, 0o400)
      linkSync(temporary.path, path)
    } finally {
      rmSync(temporary.path, { force: true })
    }
    await syncFolder(stateDir)
  } catch (error) {
    throw stateWriteError(path, error)
  }
  return { file: name, lines: lines.length, head: head.hash }
}

/** A year is closed twice where the clock was behind. */
function freeName(stateDir: string, years: string): string {
  for (let number = 1; ; number += 1) {
    const name = `custody.log.${years}${number === 1 ? "" : `.${number}`}.jsonl`
    if (!existsSync(join(stateDir, name))) return name
  }
}

/** Whether the log begins with lines that were closed. */
function isBehind(path: string, closed: ChainEnd): boolean {
  for (const text of linesOf(path)) return endOf(text).seq <= closed.seq
  return false
}

function endBefore(text: string | undefined, end: ChainEnd): ChainEnd {
  const read = readLine(text ?? "")
  return "end" in read ? { seq: read.end.seq - 1, hash: read.previous } : end
}

function endOf(text: string): ChainEnd {
  const read = readLine(text)
  return "end" in read ? read.end : NO_LINES
}

function yearOf(text: string): number {
  const { time } = JSON.parse(text) as { readonly time?: unknown }
  const year = typeof time === "string" ? Number(time.slice(0, 4)) : NaN
  if (Number.isInteger(year)) return year
  throw new KeyferryError("ERR_STATE_INVALID", "a line of the custody log has no time")
}
