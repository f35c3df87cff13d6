import { closeSync, fstatSync, fsync, ftruncateSync, openSync, readSync, writeSync } from "node:fs"
import { join } from "node:path"
import { promisify } from "node:util"
import { type ChainEnd, NO_LINES, readLine, sealLine } from "../../core/records/custody-chain.js"
import type { CustodyEvent } from "../../core/records/custody-event.js"
import { KeyferryError } from "../../core/base/error.js"
import type { Clock } from "../../core/ports/clock.js"
import type { CustodyLog } from "../../core/ports/custody-log.js"
import { sha256 } from "../../core/key/wrapping-key.js"
import { stateWriteError, syncFolder } from "./atomic-file.js"

/** File name in the state directory. */
export const CUSTODY_LOG = "custody.log.jsonl"

const sync = promisify(fsync)

/** How much of the file's end is read for its last line, in bytes; doubled until that line is whole. */
const TAIL_BYTES = 16_384

const NEWLINE = 0x0a

interface Waiting {
  readonly event: CustodyEvent
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/**
 * The custody log as a file of JSON lines, mode 0600: appended and fsynced, each line chained to the one before. Its
 * end is read once; what waits at the same time is written together. Writers hold the state directory's lock.
 *
 * A last line that a killed writer left torn was never acknowledged: it is cut off, and that is recorded.
 */
export function custodyLogFile(stateDir: string, clock: Clock): CustodyLog {
  const path = join(stateDir, CUSTODY_LOG)
  let waiting: Waiting[] = []
  let writing = false
  /** Where the file ends; null while that is not known. */
  let lastEnd: FileEnd | null = null

  const flush = async (): Promise<void> => {
    writing = true
    while (waiting.length > 0) {
      const batch = waiting
      waiting = []
      try {
        lastEnd = await appendTo(path, lastEnd, batch, clock)
        for (const { resolve } of batch) resolve()
      } catch (error) {
        // the file may have got a part of it
        lastEnd = null
        for (const { reject } of batch) reject(error)
      }
    }
    writing = false
  }

  return {
    append: (event) =>
      new Promise<void>((resolve, reject) => {
        waiting.push({ event, resolve, reject })
        if (!writing) void flush()
      }),
  }
}

interface FileEnd {
  readonly size: number
  readonly chain: ChainEnd
}

async function appendTo(
  path: string,
  lastEnd: FileEnd | null,
  batch: readonly { readonly event: CustodyEvent }[],
  clock: Clock,
): Promise<FileEnd> {
  try {
    const { file, isNew } = openLog(path)
    try {
      const { size } = fstatSync(file)
      let cut: CustodyEvent | null = null
      let chain = lastEnd?.chain
      if (lastEnd?.size !== size) ({ chain, cut } = recover(path, file, size))
      let end = chain ?? NO_LINES
      const time = clock.now().toISOString()
      const lines = [...(cut === null ? [] : [{ event: cut }]), ...batch].map(({ event }) => {
        const line = sealLine(end, time, event)
        end = line.end
        return `${line.text}\n`
      })
      writeWhole(file, Buffer.from(lines.join(""), "utf8"))
      const written = fstatSync(file).size
      await sync(file)
      if (isNew) await syncFolder(join(path, ".."))
      return { size: written, chain: end }
    } finally {
      closeSync(file)
    }
  } catch (error) {
    throw error instanceof KeyferryError ? error : stateWriteError(path, error)
  }
}

/** Opened to append, so that a write goes to the end whatever happened meanwhile. */
function openLog(path: string): { readonly file: number; readonly isNew: boolean } {
  try {
    return { file: openSync(path, "ax+", 0o600), isNew: true }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error
    return { file: openSync(path, "a+"), isNew: false }
  }
}

function writeWhole(file: number, data: Buffer): void {
  let written = 0
  while (written < data.length) written += writeSync(file, data, written)
}

/**
 * Reads where the chain ends, and cuts off a torn line after it.
 *
 * @throws ERR_STATE_INVALID where the last whole line is not what was written
 */
function recover(path: string, file: number, size: number): { chain: ChainEnd; cut: CustodyEvent | null } {
  const { last, torn } = readTail(file, size)
  let cut: CustodyEvent | null = null
  if (torn.length > 0) {
    ftruncateSync(file, size - torn.length)
    cut = { event: "log.truncated", facts: { bytes: torn.length, digest: sha256(torn) } }
  }
  if (last === null) return { chain: NO_LINES, cut }
  const read = readLine(last.toString("utf8"))
  if ("end" in read) return { chain: read.end, cut }
  throw new KeyferryError("ERR_STATE_INVALID", `${path}: the last line ${read.fault}; nothing is appended to it`, {
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
