import { createHash } from "node:crypto"
import { closeSync, constants, fstatSync, lstatSync, readSync } from "node:fs"
import { join } from "node:path"
import type { ChainEnd } from "../../core/records/custody-chain.js"
import { closedLogs, CUSTODY_LOG, LONGEST_LINE, verifiedEnd } from "./custody-log-reader.js"
import { isMissing } from "./file-error.js"
import { namesIn } from "./names-in.js"
import {
  ARCHIVE_VERSION,
  type ArchiveContents,
  type ArchiveCounts,
  type ArchiveHead,
  type ArchivePiece,
  NOTHING,
} from "./state-archive.js"
import { STATE_VERSION } from "./state-dir.js"
import { openStateFile, readText } from "./state-file.js"
import { NOT_EXPORTED, partOf, type StatePart } from "./state-parts.js"

/** A state directory as it was at one moment. */
export interface Snapshot extends Disposable {
  readonly head: ArchiveHead
  readonly files: readonly ArchivePiece[]
  readonly logs: readonly LogSnapshot[]
  /** Paths that are not keyferry's: they are in no archive. */
  readonly left: readonly string[]
}

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
  const log: ChainEnd = verifiedEnd(stateDir)
  const files: ArchivePiece[] = []
  const left: string[] = []
  for (const path of pathsBelow(stateDir, "")) {
    const part = partOf(path)
    if (part === undefined) left.push(path)
    else files.push(await pieceOf(stateDir, path, part))
  }
  const logs = [...closedLogs(stateDir), CUSTODY_LOG].flatMap((path) => openLog(stateDir, path))
  return {
    head: {
      format: "keyferry-state",
      version: ARCHIVE_VERSION,
      stateVersion: STATE_VERSION,
      exportedAt: exportedAt.toISOString(),
      log: { seq: log.seq, hash: log.hash },
    },
    files,
    logs,
    left,
    [Symbol.dispose]() {
      for (const { file } of logs) closeSync(file)
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

/** A file that is damaged is kept as it is, and said: it may be what the next one is mended from. */
async function pieceOf(stateDir: string, path: string, part: StatePart): Promise<ArchivePiece> {
  const content = readText(join(stateDir, path)) ?? ""
  return { path, content, damage: await part.fault(content, path) }
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

/** The archive's lines, with their line ends; what they hold is known once all were taken. */
export function archiveOf(snapshot: Snapshot): {
  readonly lines: Iterable<string>
  readonly contents: () => ArchiveContents
} {
  const hash = createHash("sha256")
  const counts: Record<keyof ArchiveCounts, number> = { ...NOTHING }
  let digest = ""
  let pieces = 0
  const text = (line: object): string => {
    const json = `${JSON.stringify(line)}\n`
    hash.update(json)
    return json
  }
  function* lines(): Generator<string, void> {
    yield text(snapshot.head)
    for (const piece of piecesOf(snapshot)) {
      const part = partOf(piece.path)
      if (part !== undefined) counts[part.kind] += 1
      else counts.custodyLogLines += piece.content.split("\n").length - 1
      pieces += 1
      yield text(piece)
    }
    digest = `sha256:${hash.copy().digest("hex")}`
    yield text({ pieces, digest })
  }
  const damaged = snapshot.files.flatMap(({ path, damage }) => (damage === null ? [] : [{ path, reason: damage }]))
  return {
    lines: { [Symbol.iterator]: lines },
    contents: () => ({ exportedAt: snapshot.head.exportedAt, digest, counts, damaged }),
  }
}

function* piecesOf({ files, logs }: Snapshot): Generator<ArchivePiece, void> {
  yield* files
  for (const log of logs) yield* logPieces(log)
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
