import { createHash } from "node:crypto"
import { closeSync, constants, fstatSync, openSync } from "node:fs"
import type { z } from "zod"
import { KeyferryError } from "../../core/base/error.js"
import { readJson } from "../../core/base/json.js"
import { type ChainEnd, NO_LINES, readLine } from "../../core/records/custody-chain.js"
import { causesOf } from "../files/file-error.js"
import { linesIn } from "../files/lines-in.js"
import { schemaFault } from "../records/schema-fault.js"
import { STATE_VERSION } from "../records/state-version.js"
import {
  type ArchiveContents,
  type ArchiveCounts,
  type ArchiveHead,
  type ArchivePiece,
  endSchema,
  headSchema,
  NOTHING,
  pieceSchema,
} from "./format.js"
import { isCustodyLog } from "./log-parts.js"
import { partOf } from "./parts.js"

/** In bytes, of a line of the archive: a file of the state is 16 MiB at most, and JSON may make two bytes of one. */
const LONGEST_LINE = 40 * 1024 * 1024

/** An archive that was verified whole, still open. */
export interface VerifiedArchive extends Disposable {
  readonly path: string
  readonly file: number
  readonly head: ArchiveHead
  readonly contents: ArchiveContents
}

/**
 * Reads an archive to its end, and writes nothing: its digest, the schema of every file in it, their paths, and the chain
 * of the custody log.
 *
 * @throws ERR_STATE_ARCHIVE_INVALID naming what is wrong, ERR_INPUT_UNREADABLE
 */
export async function verifyArchive(path: string): Promise<VerifiedArchive> {
  const file = openArchive(path)
  try {
    const hash = createHash("sha256")
    const counts: Record<keyof ArchiveCounts, number> = { ...NOTHING }
    const damaged: { path: string; reason: string }[] = []
    const paths = new Set<string>()
    let head: ArchiveHead | undefined
    let end: z.infer<typeof endSchema> | undefined
    let chain = NO_LINES
    let number = 0
    let latest = ""
    for (const text of linesIn(file, LONGEST_LINE, invalid(path, "a line has no end"))) {
      number += 1
      const fail = (fault: string): KeyferryError => invalid(path, `line ${number}: ${fault}`)
      if (end !== undefined) throw fail("follows the line that should be the last")
      if (head === undefined) {
        head = parse(headSchema, text, fail)
        if (head.stateVersion !== STATE_VERSION)
          throw fail(`is of the state's format ${head.stateVersion}, and this keyferry writes ${STATE_VERSION}`)
      } else if (text.startsWith('{"pieces":')) {
        end = parse(endSchema, text, fail)
        if (end.digest !== `sha256:${hash.digest("hex")}`)
          throw fail("the digest is another: the archive was changed or damaged")
        if (end.pieces !== number - 2) throw fail(`it should have ${end.pieces} files or pieces, and has ${number - 2}`)
        continue
      } else {
        const piece = parse(pieceSchema, text, fail)
        if (piece.path !== latest && paths.has(piece.path)) throw fail(`${piece.path} comes twice`)
        paths.add(piece.path)
        latest = piece.path
        if (isCustodyLog(piece.path)) {
          const lines = piece.content.split("\n")
          if (lines.pop() !== "") throw fail("the custody log is cut")
          counts.custodyLogLines += lines.length
          for (const line of lines) chain = continued(chain, line, fail)
        } else {
          counts[await kindOf(piece, fail)] += 1
          if (piece.damage !== null) damaged.push({ path: piece.path, reason: piece.damage })
        }
      }
      hash.update(`${text}\n`)
    }
    if (head === undefined || end === undefined) throw invalid(path, "its end is missing")
    if (chain.seq !== head.log.seq || chain.hash !== head.log.hash)
      throw invalid(path, "the custody log does not end where it says")
    const contents = { exportedAt: head.exportedAt, digest: end.digest, counts, damaged }
    return { path, file, head, contents, [Symbol.dispose]: () => closeSync(file) }
  } catch (error) {
    closeSync(file)
    throw error
  }
}

/**
 * The pieces of a verified archive, one after the other.
 *
 * @throws ERR_STATE_ARCHIVE_INVALID where it is not what was verified any more
 */
export function* piecesOf(archive: VerifiedArchive): Generator<ArchivePiece, void> {
  const fail = (fault: string): KeyferryError => changed(archive, fault)
  for (const text of linesIn(archive.file, LONGEST_LINE, fail("a line has no end"))) {
    if (text.startsWith('{"format":') || text.startsWith('{"pieces":')) continue
    const piece = parse(pieceSchema, text, fail)
    if (!isCustodyLog(piece.path) && partOf(piece.path) === undefined) throw fail(piece.path)
    yield piece
  }
}

/** What an archive is refused with that is not what was verified. */
export function changed({ path }: VerifiedArchive, fault: string): KeyferryError {
  return invalid(path, `changed while it was read: ${fault}`)
}

async function kindOf({ path, content, damage }: ArchivePiece, fail: (fault: string) => KeyferryError) {
  const part = partOf(path)
  if (part === undefined) throw fail(`${JSON.stringify(path)} is no file of a state directory`)
  // what was damaged when it was exported comes back as it was
  const fault = damage === null ? await part.fault(content, path) : null
  if (fault !== null) throw fail(`${path}: ${fault}`)
  return part.kind
}

/** The chain with one more line; a line that a killed run had closed already comes twice, and is the same. */
export function continued(chain: ChainEnd, line: string, fail: (fault: string) => KeyferryError): ChainEnd {
  const read = readLine(line)
  if ("fault" in read) throw fail(`a line of the custody log ${read.fault}`)
  if (read.end.seq <= chain.seq) return chain
  if (read.end.seq !== chain.seq + 1 || read.previous !== chain.hash) {
    throw fail(`line ${read.end.seq} of the custody log does not continue the one before it`)
  }
  return read.end
}

function parse<T>(schema: z.ZodType<T>, text: string, fail: (fault: string) => KeyferryError): T {
  const json = readJson(text)
  if ("fault" in json) throw fail(json.fault)
  const { success, data, error } = schema.safeParse(json.content)
  if (success) return data
  throw fail(schemaFault(error))
}

function openArchive(path: string): number {
  try {
    // a pipe is none of these: it can be read once, and would be waited for
    const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
    if (fstatSync(file).isFile()) return file
    closeSync(file)
  } catch (error) {
    throw new KeyferryError("ERR_INPUT_UNREADABLE", `could not read ${path}`, { cause: error, causes: causesOf(error) })
  }
  throw invalid(path, "it is no file")
}

function invalid(path: string, fault: string): KeyferryError {
  return new KeyferryError("ERR_STATE_ARCHIVE_INVALID", `${path}: ${fault}`)
}
