import { spawn } from "node:child_process"
import { fstat, read, type Stats } from "node:fs"
import { stat } from "node:fs/promises"
import { promisify } from "node:util"
import { type ErrorCause, KeyferryError } from "../core/base/error.js"
import { Secret } from "../core/base/secret.js"
import { shellPath } from "../core/base/shell-word.js"
import { readBounded } from "../input/bounded-file.js"
import { utf8Text } from "../input/text.js"
import { describePinSource, type PinSource } from "./pin-source.js"
import { promptPin } from "./prompt-pin.js"

interface ReadOptions {
  readonly env: NodeJS.ProcessEnv
  readonly warn: (text: string) => void
}

/** No token takes longer PINs; what is longer is the wrong file. */
const MOST_BYTES = 4096

const readAt = promisify(read)

/**
 * Reads the PIN once. One newline at the end of a file, a descriptor or a command's output (`\n` or `\r\n`) is not part
 * of it. What no PIN has is refused by its name, before it could be presented: a byte order mark, bytes that are not
 * UTF-8 (PKCS #11 v3.1 section 5.6.6), control characters, characters that nobody sees. A PIN file that others can read
 * is told to `warn`.
 *
 * @param label names the token in the prompt
 * @throws ERR_PIN_SOURCE
 */
export async function readPin(source: PinSource, label: string, options: ReadOptions): Promise<Secret> {
  switch (source.kind) {
    case "file":
      return await attempt(source, async () => {
        await warnOfMode(source, options.warn)
        return pinFrom(source, await readBounded(source.path, MOST_BYTES))
      })
    case "fd":
      return pinFrom(source, await attempt(source, () => readAll(source.fd)))
    case "exec":
      return pinFrom(source, await attempt(source, () => outputOf(source.command)))
    case "env": {
      const text = options.env[source.variable]
      if (text === undefined) throw unusable(source, "is not set")
      return checkedPin(source, text)
    }
    case "prompt":
      return checkedPin(source, await promptPin(label))
  }
}

async function warnOfMode(source: PinSource & { kind: "file" }, warn: (text: string) => void): Promise<void> {
  const file = await stat(source.path)
  if (!file.isFile() || !isOpenToOthers(file, process.geteuid?.())) return
  const mode = (file.mode & 0o777).toString(8)
  warn(
    `${describePinSource(source)} can be read by others than its owner (mode 0${mode}): chmod 600 ${shellPath(source.path)}`,
  )
}

/**
 * Whether others can read or change a PIN file. What is root's and read through a group, as Kubernetes gives a Secret to a pod's group, is
 * not open: whoever is not root has no narrower way.
 *
 * @param user number of the user that reads it
 */
export function isOpenToOthers({ uid, mode }: Pick<Stats, "uid" | "mode">, user: number | undefined): boolean {
  const others = uid === 0 && user !== 0 ? 0o037 : 0o077
  return (mode & others) !== 0
}

/** The bytes of a descriptor from where it stands to its end, or one more than {@link MOST_BYTES}. */
async function readAll(fd: number): Promise<Buffer> {
  await promisify(fstat)(fd)
  const buffer = Buffer.alloc(MOST_BYTES + 1)
  for (let length = 0; ;) {
    const { bytesRead } = await readAt(fd, buffer, length, buffer.length - length, null)
    length += bytesRead
    if (bytesRead === 0 || length === buffer.length) return buffer.subarray(0, length)
  }
}

/**
 * What the command writes, or one byte more than {@link MOST_BYTES}, after which it is ended; it may ask on the terminal
 * itself, so standard input and error are its own.
 */
async function outputOf(command: string): Promise<Buffer> {
  const child = spawn("/bin/sh", ["-c", command], { stdio: ["inherit", "pipe", "inherit"] })
  const buffer = Buffer.alloc(MOST_BYTES + 1)
  let length = 0
  child.stdout.on("data", (chunk: Buffer) => {
    length += chunk.copy(buffer, length)
    chunk.fill(0)
    if (length < buffer.length) return
    child.stdout.destroy()
    child.kill()
  })
  await new Promise<void>((resolve, reject) => {
    child.once("error", reject)
    child.once("close", (status, signal) => {
      if (status === 0 || length === buffer.length) resolve()
      else reject(new Error(signal === null ? `exit status ${status ?? 0}` : `ended by ${signal}`))
    })
  })
  return buffer.subarray(0, length)
}

/** The PIN in some bytes, which are wiped. */
function pinFrom(source: PinSource, bytes: Buffer): Secret {
  const isTooLong = bytes.length > MOST_BYTES
  const decoded = utf8Text(bytes)
  bytes.fill(0)
  if (isTooLong) throw unusable(source, `gives more than ${MOST_BYTES} bytes`)
  if ("fault" in decoded) throw oddity(source, decoded.fault)
  return checkedPin(source, decoded.text.replace(/\r?\n$/, ""))
}

/** What stands for bytes that were not UTF-8, once node has made text of them. */
const REPLACED = "\ufffd"

/** Control and format characters: those that a file gets by mistake, and that nobody types as a PIN. */
const UNTYPED = /[\p{Cc}\p{Cf}\u2028\u2029]/u

const NAMES: Readonly<Record<string, string>> = {
  "\n": "a line end within it",
  "\r": "a carriage return",
  "\t": "a tab",
  "\ufeff": "a byte order mark",
}

function checkedPin(source: PinSource, pin: string): Secret {
  if (pin === "") throw unusable(source, "gives an empty PIN")
  if (pin.includes(REPLACED)) throw oddity(source, "is not UTF-8")
  const [character] = UNTYPED.exec(pin) ?? []
  if (character !== undefined) throw oddity(source, `gives a PIN with ${NAMES[character] ?? numbered(character)}`)
  return new Secret(pin)
}

function numbered(character: string): string {
  const code = (character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")
  return `the character U+${code}, which is not seen`
}

/** Runs a read; its failure becomes ERR_PIN_SOURCE with the errno or exit status, and nothing that was read. */
async function attempt<T>(source: PinSource, run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (error) {
    if (error instanceof KeyferryError) throw error
    const { code = "Error", message } = error as NodeJS.ErrnoException
    // the words of spawn's errors hold the command
    const words = source.kind === "exec" && code !== "Error" ? "the shell could not be started" : message
    throw unusable(source, "could not be read", { causes: [{ code, message: words }] })
  }
}

function oddity(source: PinSource, fault: string): KeyferryError {
  const hint =
    "no PIN was presented: write the PIN alone, as UTF-8 without a byte order mark; one line end at the end is no part of it"
  return unusable(source, fault, { hint })
}

function unusable(
  source: PinSource,
  reason: string,
  more: { readonly causes?: readonly ErrorCause[]; readonly hint?: string } = {},
): KeyferryError {
  return new KeyferryError("ERR_PIN_SOURCE", `${describePinSource(source)} ${reason}`, more)
}
