import { closeSync, constants, fstatSync, lstatSync, readSync } from "node:fs"
import { join } from "node:path"
import type { ArchivePiece } from "../archive/format.js"
import { CUSTODY_LOG } from "../archive/log-parts.js"
import { NOT_EXPORTED, partOf } from "../archive/parts.js"
import { type ArchiveSource, headOf, pieceOf } from "../archive/write.js"
import { closedLogs, LONGEST_LINE, verifiedEnd } from "./custody-log-reader.js"
import { isMissing } from "./file-error.js"
import { namesIn } from "./names-in.js"
import { openStateFile, readText } from "./state-file.js"

/** A state directory as it was at one moment. */
export interface Snapshot extends ArchiveSource, AsyncDisposable {}

/** A file of the custody log: only written to at its end, so that its first bytes stay what they are. */
interface LogSnapshot {
  readonly path: string
  readonly file: number
  readonly size: number
}

/** In bytes: what of the custody log is in memory at one time, and stands in one line of the archive: a line at least. */
const PIECE_BYTES = LONGEST_LINE

/**
 * Reads all of a state directory but the custody log, which it opens. The caller holds the lock of the state directory,
 * and need not any more afterwards.
 *
 * @throws ERR_STATE_INVALID where the custody log's chain does not hold, ERR_STATE_UNSAFE
 */
export async function takeSnapshot(stateDir: string, exportedAt: Date): Promise<Snapshot> {
  const head = headOf(exportedAt, verifiedEnd(stateDir))
  const files: ArchivePiece[] = []
  const left: string[] = []
  for (const path of pathsBelow(stateDir, "")) {
    const part = partOf(path)
    if (part === undefined) left.push(path)
    else files.push(await pieceOf(part, path, readText(join(stateDir, path)) ?? ""))
  }
  const logs = [...closedLogs(stateDir), CUSTODY_LOG].flatMap((path) => openLog(stateDir, path))
  return {
    head,
    *pieces() {
      yield* files
      for (const log of logs) yield* logPieces(log)
    },
    left,
    [Symbol.asyncDispose]() {
      for (const { file } of logs) closeSync(file)
      return Promise.resolve()
    },
  }
}

function pathsBelow(stateDir: string, folder: string): readonly string[] {
  return namesIn(join(stateDir, folder)).flatMap((name) => {
    const path = folder === "" ? name : `${folder}/${name}`
    if (folder === "" && (NOT_EXPORTED.has(name) || name.startsWith("custody.log."))) return []
    return lstatSync(join(stateDir, path)).isDirectory() ? pathsBelow(stateDir, path) : [path]
  })
}

function openLog(stateDir: string, path: string): readonly LogSnapshot[] {
  try {
    const file = openStateFile(join(stateDir, path), constants.O_RDONLY)
    return [{ path, file, size: fstatSync(file).size }]
  } catch (error) {
    if (isMissing(error)) return []
    throw error
  }
}

/** Whole lines of the custody log; a torn last line is none. */
function* logPieces({ path, file, size }: LogSnapshot): Generator<ArchivePiece, void> {
  for (let at = 0; at < size;) {
    const bytes = Buffer.alloc(Math.min(PIECE_BYTES, size - at))
    const read = readSync(file, bytes, 0, bytes.length, at)
    const end = bytes.subarray(0, read).lastIndexOf("\n") + 1
    if (end === 0) return
    yield { path, content: bytes.toString("utf8", 0, end), damage: null }
    at += end
  }
}
