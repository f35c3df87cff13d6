import { KeyferryError } from "../../core/base/error.js"
import { readBounded } from "../../input/bounded-file.js"
import { UTF_8_HINT, utf8Text } from "../../input/text.js"

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
    bytes = await readBounded(path, MAX_BYTES)
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
  const decoded = utf8Text(await readInput(path))
  if ("text" in decoded) return decoded.text
  throw new KeyferryError("ERR_TRANSFER_INVALID", `${path} ${decoded.fault}`, { hint: UTF_8_HINT })
}
