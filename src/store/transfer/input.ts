import { open } from "node:fs/promises"
import { KeyferryError } from "../../core/base/error.js"

/** Files that come from elsewhere: small, and believed in nothing. */

/** More than any parameters file, bundle, ciphertext or console zip has: KMS' own fields end at 6,144 bytes. */
const MAX_BYTES = 1024 * 1024

/**
 * Reads a whole file that the operator named; one without an end is read no further than the limit.
 *
 * @throws ERR_INPUT_UNREADABLE, ERR_TRANSFER_INVALID for more than 1 MiB
 */
export async function readInput(path: string): Promise<Buffer> {
  let bytes: Buffer
  try {
    const file = await open(path, "r")
    try {
      bytes = await readUpTo(file, MAX_BYTES + 1)
    } finally {
      await file.close()
    }
  } catch (cause) {
    const { code = "", message } = cause as NodeJS.ErrnoException
    throw new KeyferryError("ERR_INPUT_UNREADABLE", `cannot read ${path}`, { cause, causes: [{ code, message }] })
  }
  if (bytes.length <= MAX_BYTES) return bytes
  throw new KeyferryError("ERR_TRANSFER_INVALID", `${path} is larger than 1 MiB, which no such file is`)
}

/**
 * Reads a text file, UTF-8 without a byte order mark.
 *
 * @throws ERR_INPUT_UNREADABLE, ERR_TRANSFER_INVALID saying which other encoding it seems to be
 */
export async function readTextInput(path: string): Promise<string> {
  return textOf(await readInput(path), path)
}

const UTF_8_HINT =
  "write it as UTF-8 without a byte order mark: in PowerShell 7 `Out-File -Encoding utf8NoBOM`, elsewhere iconv"

/** Encodings that are told by how a file begins (Unicode 16.0 section 23.8). */
const MARKS: readonly (readonly [name: string, mark: readonly number[]])[] = [
  ["begins with a byte order mark (UTF-8 with BOM)", [0xef, 0xbb, 0xbf]],
  ["is UTF-16, as Windows PowerShell writes it", [0xff, 0xfe]],
  ["is UTF-16 (big endian)", [0xfe, 0xff]],
]

function textOf(bytes: Buffer, path: string): string {
  const refuse = (fault: string, hint: string): never => {
    throw new KeyferryError("ERR_TRANSFER_INVALID", `${path} ${fault}`, { hint })
  }
  for (const [name, mark] of MARKS) {
    if (mark.every((byte, index) => bytes[index] === byte)) refuse(name, UTF_8_HINT)
  }
  if (bytes.includes(0)) refuse("holds a NUL, so it is no UTF-8 text", UTF_8_HINT)
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes)
  } catch {
    return refuse("is not UTF-8", UTF_8_HINT)
  }
}

async function readUpTo(file: Awaited<ReturnType<typeof open>>, limit: number): Promise<Buffer> {
  const pieces: Buffer[] = []
  let length = 0
  while (length < limit) {
    const piece = Buffer.alloc(Math.min(64 * 1024, limit - length))
    const { bytesRead } = await file.read(piece, 0, piece.length, null)
    if (bytesRead === 0) break
    pieces.push(piece.subarray(0, bytesRead))
    length += bytesRead
  }
  return Buffer.concat(pieces)
}
