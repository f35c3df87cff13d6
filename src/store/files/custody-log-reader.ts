import { closeSync, constants } from "node:fs"
import { join } from "node:path"
import { KeyferryError } from "../../core/base/error.js"
import { type ChainEnd, NO_LINES, readLine, verifyChain } from "../../core/records/custody-chain.js"
import { CLOSED_LOG, CUSTODY_LOG } from "../archive/log-parts.js"
import { isMissing } from "./file-error.js"
import { linesIn } from "./lines-in.js"
import { namesIn } from "./names-in.js"
import { openStateFile, unreadable } from "./state-file.js"

/** In bytes, without its line end. The longest that keyferry writes has some kB. */
export const LONGEST_LINE = 4 * 1024 * 1024

/** Names of the closed parts, in the order of their lines. */
export function closedLogs(stateDir: string): readonly string[] {
  return namesIn(stateDir)
    .filter((name) => CLOSED_LOG.test(name))
    .map((name) => ({ name, first: firstSeq(join(stateDir, name)) }))
    .sort((a, b) => a.first - b.first)
    .map(({ name }) => name)
}

/** Where the closed parts end: what the first line of the log continues. */
export function closedEnd(stateDir: string): ChainEnd {
  const last = closedLogs(stateDir).at(-1)
  if (last === undefined) return NO_LINES
  let end = NO_LINES
  for (const text of linesOf(join(stateDir, last))) end = endOf(text, join(stateDir, last))
  return end
}

/**
 * Every line of the custody log, of the closed parts too, in order, without line ends; a torn last line is none. A run
 * that was killed while it closed a part has left its lines in the log as well: they come once.
 */
export function* custodyLines(stateDir: string): Generator<string, void> {
  let closed = NO_LINES
  for (const name of closedLogs(stateDir)) {
    for (const text of linesOf(join(stateDir, name))) {
      closed = endOf(text, join(stateDir, name))
      yield text
    }
  }
  for (const text of linesOf(join(stateDir, CUSTODY_LOG))) {
    if (closed.seq > 0) {
      const { seq } = endOf(text, join(stateDir, CUSTODY_LOG))
      if (seq <= closed.seq) continue
    }
    yield text
  }
}

/**
 * Where the whole log ends, each line of it held against the one before.
 *
 * @throws ERR_STATE_INVALID naming the first faulty line, counted from the log's beginning
 */
export function verifiedEnd(stateDir: string): ChainEnd {
  const verdict = verifyChain(custodyLines(stateDir))
  if ("end" in verdict) return verdict.end
  throw new KeyferryError(
    "ERR_STATE_INVALID",
    `the custody log of ${stateDir}: line ${verdict.line} ${verdict.fault}`,
    { hint: "the custody log was changed or damaged: keep it as evidence, and restore it from a backup" },
  )
}

/** Whole lines of a file, none where it is not there. Only a part of it is in memory. */
export function* linesOf(path: string): Generator<string, void> {
  let file: number
  try {
    file = openStateFile(path, constants.O_RDONLY)
  } catch (error) {
    if (isMissing(error)) return
    throw unreadable(path, error)
  }
  try {
    const tooLong = new KeyferryError("ERR_STATE_INVALID", `${path}: a line has no end`)
    yield* linesIn(file, LONGEST_LINE, tooLong)
  } finally {
    closeSync(file)
  }
}

function firstSeq(path: string): number {
  for (const text of linesOf(path)) return endOf(text, path).seq
  throw new KeyferryError("ERR_STATE_INVALID", `${path} has no line`)
}

function endOf(text: string, path: string): ChainEnd {
  const read = readLine(text)
  if ("end" in read) return read.end
  throw new KeyferryError("ERR_STATE_INVALID", `${path}: a line ${read.fault}`)
}
