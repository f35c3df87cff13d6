import { readFile } from "node:fs/promises"
import { KeyferryError } from "../../core/base/error.js"
import { decodeParameters, type LooseParameters } from "../../core/records/transfer.js"
import type { OptionTable } from "../command.js"

/** The three forms in which import parameters come as files. */
export const PARAMETER_FILES = {
  parameters: {
    type: "string",
    requiresArg: true,
    describe: "parameters file, or the JSON of aws kms get-parameters-for-import",
    group: "Import parameters, one of three forms:",
  },
  "public-key": {
    type: "string",
    requiresArg: true,
    describe: "WrappingPublicKey.bin (DER), with --import-token",
    group: "Import parameters, one of three forms:",
  },
  "import-token": {
    type: "string",
    requiresArg: true,
    describe: "ImportToken.bin, with --public-key",
    group: "Import parameters, one of three forms:",
  },
  "console-zip": {
    type: "string",
    requiresArg: true,
    describe: "zip downloaded from the AWS console",
    group: "Import parameters, one of three forms:",
  },
} as const satisfies OptionTable

/** What the operator gave of {@link PARAMETER_FILES}. */
export interface ParameterPaths {
  readonly parameters?: string | undefined
  readonly publicKey?: string | undefined
  readonly importToken?: string | undefined
  readonly consoleZip?: string | undefined
}

/**
 * Reads whichever form was given.
 *
 * @throws ERR_USAGE unless it is exactly one, ERR_INPUT_UNREADABLE, ERR_TRANSFER_INVALID
 */
export async function readParameters(paths: ParameterPaths): Promise<LooseParameters> {
  const { parameters, publicKey, importToken, consoleZip } = paths
  const forms = [parameters, publicKey ?? importToken, consoleZip].filter((path) => path !== undefined)
  if (forms.length !== 1) {
    throw new KeyferryError("ERR_USAGE", "give the import parameters in one form", {
      hint: "give --parameters FILE, or --public-key FILE with --import-token FILE, or --console-zip FILE",
    })
  }
  if (parameters !== undefined) return decodeParameters((await read(parameters)).toString("utf8"), parameters)
  if (consoleZip !== undefined) return await unzipped(consoleZip)
  if (publicKey === undefined || importToken === undefined) {
    throw new KeyferryError("ERR_USAGE", "--public-key and --import-token go together")
  }
  return loose(await read(publicKey), await read(importToken))
}

/** Reads a whole file that the operator named. */
export async function read(path: string): Promise<Buffer> {
  try {
    return await readFile(path)
  } catch (cause) {
    const { code = "", message } = cause as NodeJS.ErrnoException
    throw new KeyferryError("ERR_INPUT_UNREADABLE", `cannot read ${path}`, { cause, causes: [{ code, message }] })
  }
}

const loose = (publicKey: Uint8Array, importToken: Uint8Array): LooseParameters => ({
  keyId: null,
  publicKey: fromText(publicKey),
  importToken: fromText(importToken),
  parametersValidTo: null,
  wrappingAlgorithm: null,
  wrappingKeySpec: null,
  keySpec: null,
})

/** `aws … --query PublicKey --output text` leaves base64 where the binary file should be; both are taken. */
function fromText(bytes: Uint8Array): Uint8Array {
  const text = Buffer.from(bytes).toString("latin1").trim()
  return /^[A-Za-z0-9+/\r\n]{64,}={0,2}$/.test(text)
    ? Uint8Array.from(Buffer.from(text, "base64"))
    : Uint8Array.from(bytes)
}

/** The console's names changed over time; a readme may lie beside the two files. */
const ZIP_NAMES = {
  publicKey: /(^|\/)(WrappingPublicKey\.bin|wrappingKey_[^/]+)$/,
  importToken: /(^|\/)(ImportToken\.bin|importToken_[^/]+)$/,
}

/** More than any console zip; a larger one is something else. */
const MAX_ZIP_BYTES = 1024 * 1024

async function unzipped(path: string): Promise<LooseParameters> {
  const { unzipSync } = await import("fflate")
  const archive = await read(path)
  const invalid = (why: string, cause?: unknown): KeyferryError =>
    new KeyferryError("ERR_TRANSFER_INVALID", `${path} ${why}`, { cause })
  if (archive.length > MAX_ZIP_BYTES) throw invalid("is too large for a zip of the AWS console")
  let files: Record<string, Uint8Array>
  try {
    files = unzipSync(archive, { filter: ({ originalSize }) => originalSize <= MAX_ZIP_BYTES })
  } catch (cause) {
    throw invalid("is no zip file", cause)
  }
  const only = (pattern: RegExp, title: string): Uint8Array => {
    const [file, second] = Object.entries(files).filter(([name]) => pattern.test(name))
    if (file === undefined || second !== undefined) throw invalid(`does not hold exactly one ${title}`)
    return file[1]
  }
  return loose(only(ZIP_NAMES.publicKey, "wrapping public key"), only(ZIP_NAMES.importToken, "import token"))
}
