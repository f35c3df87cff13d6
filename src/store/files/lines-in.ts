import { readSync } from "node:fs"

const CHUNK_BYTES = 65_536

/**
 * Whole lines of an open file, from its beginning, without their line ends. Only a part of it is in memory.
 *
 * @param longest in bytes
 * @param tooLong thrown where a line is longer
 */
export function* linesIn(file: number, longest: number, tooLong: Error): Generator<string, void> {
  const chunk = Buffer.alloc(CHUNK_BYTES)
  let pieces: Buffer[] = []
  let length = 0
  for (let at = 0; ;) {
    const bytes = readSync(file, chunk, 0, CHUNK_BYTES, at)
    if (bytes === 0) return
    at += bytes
    let start = 0
    for (let end = chunk.indexOf("\n"); end !== -1 && end < bytes; end = chunk.indexOf("\n", start)) {
      yield Buffer.concat([...pieces, chunk.subarray(start, end)]).toString("utf8")
      pieces = []
      length = 0
      start = end + 1
    }
    pieces.push(Buffer.from(chunk.subarray(start, bytes)))
    length += bytes - start
    if (length > longest) throw tooLong
  }
}
