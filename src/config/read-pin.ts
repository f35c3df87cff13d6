import { spawn } from "node:child_process"
import { fstat, read } from "node:fs"
import { open } from "node:fs/promises"
import { promisify } from "node:util"
import { type ErrorCause, KeyferryError } from "../core/base/error.js"
import { Secret } from "../core/base/secret.js"
import { describePinSource, type PinSource } from "./pin-source.js"
import { promptPin } from "./prompt-pin.js"

/** What a PIN source gave. */
export interface PinReading {
  readonly pin: Secret
  /** Modification time of a PIN file, in nanoseconds; null for other sources. */
  readonly modifiedNs: string | null
}

interface ReadOptions {
  readonly env: NodeJS.ProcessEnv
  readonly warn: (text: string) => void
}

/** No token takes longer PINs; what is longer is the wrong file. */
const MOST_BYTES = 4096

const readAt = promisify(read)

/**
 * Reads the PIN once. One newline at the end of a file, a descriptor or a command's output (`\n` or `\r\n`) is not part
 * of it. A PIN file that others can read is told to `warn`.
 *
 * @param label names the token in the prompt
 * @throws ERR_PIN_SOURCE
 */
export async function readPin(source: PinSource, label: string, options: ReadOptions): Promise<PinReading> {
  switch (source.kind) {
    case "file":
      return readFilePin(source, options.warn)
    case "fd":
      return { pin: pinFrom(source, await attempt(source, () => readAll(source.fd))), modifiedNs: null }
    case "exec":
      return { pin: pinFrom(source, await attempt(source, () => outputOf(source.command))), modifiedNs: null }
    case "env": {
      const value = options.env[source.variable]
      if (value === undefined) throw unusable(source, "is not set")
      return { pin: checkedPin(source, value), modifiedNs: null }
    }
    case "prompt":
      return { pin: checkedPin(source, await promptPin(label)), modifiedNs: null }
  }
}

async function readFilePin(source: PinSource & { kind: "file" }, warn: (text: string) => void): Promise<PinReading> {
  return attempt(source, async () => {
    const file = await open(source.path, "r")
    try {
      const stat = await file.stat({ bigint: true })
      const mode = Number(stat.mode & 0o777n)
      if (stat.isFile() && (mode & 0o077) !== 0) {
        warn(`${describePinSource(source)} can be read by others than its owner (mode 0${mode.toString(8)}): chmod 600`)
      }
      return { pin: pinFrom(source, await readAll(file.fd)), modifiedNs: stat.mtimeNs.toString() }
    } finally {
      await file.close()
    }
  })
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

/** What the command writes; it may ask on the terminal itself, so standard input and error are its own. */
async function outputOf(command: string): Promise<Buffer> {
  const child = spawn("/bin/sh", ["-c", command], { stdio: ["inherit", "pipe", "inherit"] })
  const chunks: Buffer[] = []
  child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk))
  await new Promise<void>((resolve, reject) => {
    child.once("error", reject)
    child.once("close", (status, signal) => {
      if (status === 0) resolve()
      else reject(new Error(signal === null ? `exit status ${status ?? 0}` : `ended by ${signal}`))
    })
  })
  const output = Buffer.concat(chunks)
  for (const chunk of chunks) chunk.fill(0)
  return output
}

/** The PIN in some bytes, which are wiped. */
function pinFrom(source: PinSource, bytes: Buffer): Secret {
  const text = bytes.toString("utf8").replace(/\r?\n$/, "")
  const tooLong = bytes.length > MOST_BYTES
  bytes.fill(0)
  if (tooLong) throw unusable(source, `gives more than ${MOST_BYTES} bytes`)
  return checkedPin(source, text)
}

function checkedPin(source: PinSource, pin: string): Secret {
  if (pin === "") throw unusable(source, "gives an empty PIN")
  return new Secret(pin)
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
    throw unusable(source, "could not be read", [{ code, message: words }])
  }
}

function unusable(source: PinSource, reason: string, causes: readonly ErrorCause[] = []): KeyferryError {
  return new KeyferryError("ERR_PIN_SOURCE", `${describePinSource(source)} ${reason}`, { causes })
}
