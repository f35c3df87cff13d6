import { closeSync, constants, fstatSync, fsync, ftruncateSync, readSync, statSync, writeSync } from "node:fs"
import { dirname, join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { promisify } from "node:util"
import { type ChainEnd, NO_LINES, readLine, sealLine } from "../../core/records/custody-chain.js"
import type { CustodyEvent } from "../../core/records/custody-event.js"
import { KeyferryError } from "../../core/base/error.js"
import type { Clock } from "../../core/ports/clock.js"
import type { CustodyLog } from "../../core/ports/custody-log.js"
import { sha256 } from "../../core/key/wrapping-key.js"
import { lockFile } from "../../libc/libc.js"
import { stateWriteError, syncFolder } from "./atomic-file.js"
import { CUSTODY_LOG } from "../archive/log-parts.js"
import { closedEnd, verifiedEnd } from "./custody-log-reader.js"
import { inBatches } from "../records/in-batches.js"
import { openStateFile } from "./state-file.js"

const sync = promisify(fsync)

/** How much of the file's end is read for its last line, in bytes; doubled until that line is whole. */
const TAIL_BYTES = 16_384

const NEWLINE = 0x0a

/**
 * The custody log as a file of JSON lines, mode 0600: appended and fsynced, each line chained to the one before. Its
 * end is read once; what waits at the same time is written together. Writers hold the state directory's lock.
 *
 * A last line that a killed writer left torn was never acknowledged: it is cut off, and that is recorded. One that lacks
 * its line end alone is completed.
 */
export function custodyLogFile(stateDir: string, clock: Pick<Clock, "now">): CustodyLog {
  const path = join(stateDir, CUSTODY_LOG)
  /** Where the file ends; null while that is not known. */
  let lastEnd: FileEnd | null = null

  const append = inBatches<CustodyEvent>(async (events) => {
    const end = lastEnd
    // should this fail, the file may have got a part of it
    lastEnd = null
    lastEnd = await appendTo(path, end, events, clock)
    return new Map()
  })

  return {
    check: () => Promise.resolve().then(() => checkEnd(path)),

    verify: () => Promise.resolve().then(() => void verifiedEnd(stateDir)),

    append,
  }
}

interface FileEnd {
  readonly size: number
  readonly chain: ChainEnd
}

async function appendTo(
  path: string,
  lastEnd: FileEnd | null,
  events: readonly CustodyEvent[],
  clock: Pick<Clock, "now">,
): Promise<FileEnd> {
  try {
    const { file, isNew } = await openLocked(path)
    try {
      const { size } = fstatSync(file)
      let tail: Tail = { chain: lastEnd?.chain ?? NO_LINES, cut: null, missing: "" }
      if (lastEnd?.size !== size) tail = readEnd(path, file, size)
      if (tail.cut !== null) ftruncateSync(file, size - tail.cut.bytes)
      let end = tail.chain
      const time = clock.now().toISOString()
      const lines = [...truncations(tail.cut), ...events].map((event) => {
        const line = sealLine(end, time, event)
        end = line.end
        return `${line.text}\n`
      })
      writeWhole(file, Buffer.from(tail.missing + lines.join(""), "utf8"))
      const written = fstatSync(file).size
      await sync(file)
      if (isNew) await syncFolder(join(path, ".."))
      return { size: written, chain: end }
    } finally {
      closeSync(file)
    }
  } catch (error) {
    throw stateWriteError(path, error)
  }
}

function truncations(cut: Cut | null): readonly CustodyEvent[] {
  return cut === null ? [] : [{ event: "log.truncated", facts: { bytes: cut.bytes, digest: cut.digest } }]
}

const POLL_MS = 5

/**
 * The log, opened to append, so that a write goes to the end whatever happened meanwhile, and locked: who reads it as a
 * whole, or closes a part of it, has it for a moment.
 */
export async function openLocked(path: string): Promise<{ readonly file: number; readonly isNew: boolean }> {
  for (;;) {
    const opened = openLog(path)
    try {
      while (!(await lockFile(opened.file, "exclusive"))) await sleep(POLL_MS)
      // it may have been replaced while it was waited for
      if (statSync(path, { throwIfNoEntry: false })?.ino === fstatSync(opened.file).ino) return opened
      closeSync(opened.file)
    } catch (error) {
      closeSync(opened.file)
      throw error
    }
  }
}

function openLog(path: string): { readonly file: number; readonly isNew: boolean } {
  const flags = constants.O_RDWR | constants.O_APPEND
  try {
    return { file: openStateFile(path, flags | constants.O_CREAT | constants.O_EXCL), isNew: true }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error
    return { file: openStateFile(path, flags), isNew: false }
  }
}

function writeWhole(file: number, data: Buffer): void {
  let written = 0
  while (written < data.length) written += writeSync(file, data, written)
}

/** What a killed writer left after the last line. */
interface Cut {
  readonly bytes: number
  readonly digest: string
}

interface Tail {
  readonly chain: ChainEnd
  readonly cut: Cut | null
  /** What a last line lacks that is whole but for its line end. */
  readonly missing: string
}

/** How each line begins, and what a power cut can leave in place of one. */
const BEGINNING = '{"seq":'
const ZEROS = /^\0*$/

/**
 * Reads where the chain ends, and what is to be done about what follows the last line: all of it is looked at before
 * anything is cut.
 *
 * @throws ERR_STATE_INVALID where the last whole line is not what was written, or what follows it is not keyferry's
 */
function readEnd(path: string, file: number, size: number): Tail {
  const { last, torn } = readTail(file, size)
  const chain = last === null ? closedEnd(dirname(path)) : chainEndOf(path, last)
  if (torn.length === 0) return { chain, cut: null, missing: "" }
  const text = torn.toString("utf8")
  const whole = readLine(text)
  if ("end" in whole && whole.previous === chain.hash && whole.end.seq === chain.seq + 1) {
    return { chain: whole.end, cut: null, missing: "\n" }
  }
  const begun = text.replace(/\0+$/, "")
  if (!BEGINNING.startsWith(begun.slice(0, BEGINNING.length)) && !ZEROS.test(text)) {
    throw damaged(path, "what follows the last line was not written by keyferry")
  }
  return { chain, cut: { bytes: torn.length, digest: sha256(torn) }, missing: "" }
}

/** Looks at the end and changes nothing: a torn line is cut off by who appends next. */
function checkEnd(path: string): void {
  let file: number
  try {
    file = openStateFile(path, constants.O_RDWR | constants.O_APPEND)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return
    throw stateWriteError(path, error)
  }
  try {
    readEnd(path, file, fstatSync(file).size)
  } finally {
    closeSync(file)
  }
}

/** Where the log ends that is open at a path, without a torn line after that. @throws ERR_STATE_INVALID */
export function logEnd(path: string, file: number): ChainEnd {
  return readEnd(path, file, fstatSync(file).size).chain
}

function chainEndOf(path: string, last: Buffer): ChainEnd {
  const read = readLine(last.toString("utf8"))
  if ("end" in read) return read.end
  throw damaged(path, `the last line ${read.fault}`)
}

function damaged(path: string, fault: string): KeyferryError {
  return new KeyferryError("ERR_STATE_INVALID", `${path}: ${fault}; nothing is appended to it`, {
    hint: "the custody log was changed or damaged: keep the file as evidence, restore it from a backup or move it away, and run again",
  })
}

/** The last whole line, without its newline, and what follows it. */
function readTail(file: number, size: number): { readonly last: Buffer | null; readonly torn: Buffer } {
  for (let length = Math.min(TAIL_BYTES, size); ; length = Math.min(length * 2, size)) {
    const tail = Buffer.alloc(length)
    let read = 0
    while (read < length) {
      const got = readSync(file, tail, read, length - read, size - length + read)
      if (got === 0) break
      read += got
    }
    const end = tail.lastIndexOf(NEWLINE)
    const before = end <= 0 ? -1 : tail.lastIndexOf(NEWLINE, end - 1)
    if (before === -1 && length < size) continue
    if (end === -1) return { last: null, torn: tail }
    return { last: tail.subarray(before + 1, end), torn: tail.subarray(end + 1) }
  }
}
