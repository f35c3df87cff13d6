import { constants } from "node:fs"
import { type FileHandle, open } from "node:fs/promises"
import { setTimeout as delay } from "node:timers/promises"

/** A pipe has to come to its end in so many milliseconds. */
const PIPE_DEADLINE = 30_000

const PIECE = 64 * 1024

/** Pipes of the shell's `<(…)`: one that gives nothing has come to its end, while a named one may wait for its writer. */
const WRITER_WAS_THERE = /^\/(dev\/(fd\/|stdin$)|proc\/)/

/**
 * The bytes of a file that somebody named, or `limit` + 1 of them: one without an end is read no further. A pipe is
 * waited for, and not for ever.
 *
 * @throws what `node:fs` throws; ETIMEDOUT for a pipe whose end does not come
 */
export async function readBounded(path: string, limit: number): Promise<Buffer> {
  // a plain open of a pipe that nobody writes to would never return, nor let the process end
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    return await readOpened(file, limit, { written: WRITER_WAS_THERE.test(path) })
  } finally {
    await file.close()
  }
}

/** The same of a file that is open already, from where it stands. */
export async function readOpened(
  file: FileHandle,
  limit: number,
  { written = false }: { readonly written?: boolean } = {},
): Promise<Buffer> {
  const waits = !written && (await file.stat()).isFIFO()
  const deadline = performance.now() + PIPE_DEADLINE
  const buffer = Buffer.alloc(Math.min(PIECE, limit + 1))
  const pieces: Buffer[] = []
  for (let length = 0; length <= limit;) {
    const chunkLength = Math.min(buffer.length, limit + 1 - length)
    const bytesRead = await readSome(file, buffer.subarray(0, chunkLength))
    if (bytesRead > 0) {
      pieces.push(Buffer.from(buffer.subarray(0, bytesRead)))
      length += bytesRead
    } else if (bytesRead === 0 && (!waits || length > 0)) {
      break
    } else if (performance.now() > deadline) {
      throw Object.assign(new Error(`the pipe did not end within ${PIPE_DEADLINE / 1000} s`), { code: "ETIMEDOUT" })
    } else {
      await delay(10)
    }
  }
  buffer.fill(0)
  return Buffer.concat(pieces)
}

/** How many bytes came; -1 where there are none yet. */
async function readSome(file: FileHandle, buffer: Buffer): Promise<number> {
  try {
    return (await file.read(buffer, 0, buffer.length, null)).bytesRead
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EAGAIN") return -1
    throw error
  }
}
