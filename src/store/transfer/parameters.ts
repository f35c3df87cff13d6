import { KeyferryError } from "../../core/base/error.js"
import type { LooseParameters } from "../../core/records/transfer.js"
import { importTokenFault } from "./import-token.js"
import { readInput, readTextInput } from "./input.js"
import { decodeParameters } from "./parameters-file.js"

/** The three forms in which import parameters come as files. */
export interface ParameterPaths {
  /** Of keyferry, or the JSON of `aws kms get-parameters-for-import`. */
  readonly parameters?: string | undefined
  /** DER, with `importToken`. */
  readonly publicKey?: string | undefined
  readonly importToken?: string | undefined
  /** From the AWS console. */
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
  if (parameters !== undefined) return decodeParameters(await readTextInput(parameters), parameters)
  if (consoleZip !== undefined) {
    const { readConsoleZip } = await import("./console-zip.js")
    const zip = await readConsoleZip(await readInput(consoleZip), consoleZip)
    const paths = {
      publicKey: `${consoleZip}: the wrapping public key`,
      importToken: `${consoleZip}: the import token`,
    }
    return loose(zip, paths)
  }
  if (publicKey === undefined || importToken === undefined) {
    throw new KeyferryError("ERR_USAGE", "--public-key and --import-token go together")
  }
  const pair = { publicKey: await readInput(publicKey), importToken: await readInput(importToken) }
  return loose(pair, { publicKey, importToken })
}

type Pair<T> = Readonly<Record<"publicKey" | "importToken", T>>

/** The two files, with the words that name each. */
function loose(files: Pair<Uint8Array>, paths: Pair<string>): LooseParameters {
  const publicKey = binary(files.publicKey, paths.publicKey)
  const importToken = binary(files.importToken, paths.importToken)
  const fault = importTokenFault(importToken, publicKey)
  if (fault !== null) {
    throw new KeyferryError("ERR_TRANSFER_INVALID", `${paths.importToken} ${fault}`, {
      hint: "give the ImportToken of the same answer of GetParametersForImport as the public key",
    })
  }
  return {
    keyId: null,
    publicKey,
    importToken,
    parametersValidTo: null,
    wrappingAlgorithm: null,
    wrappingKeySpec: null,
    keySpec: null,
  }
}

const PRINTABLE = /^[\t\r\n\x20-\x7e]*$/
const BASE64 = /^[A-Za-z0-9+/\s]+={0,2}$/

/**
 * The bytes of a file that should be binary: `aws … --query PublicKey --output text` leaves base64 in it, with
 * `--output json` in quotes; all three are taken. Text that is nothing of the kind is refused, since nothing could tell
 * before ImportKeyMaterial that it is no import token.
 */
function binary(bytes: Uint8Array, path: string): Uint8Array {
  if (bytes.length === 0) throw new KeyferryError("ERR_TRANSFER_INVALID", `${path} is empty`)
  const text = Buffer.from(bytes).toString("latin1").trim()
  if (!PRINTABLE.test(text)) return Uint8Array.from(bytes)
  const unquoted = /^"(.*)"$/s.exec(text)?.[1] ?? text
  const decoded = BASE64.test(unquoted) ? Buffer.from(unquoted, "base64") : Buffer.alloc(0)
  if (decoded.length > 0 && sameBase64(decoded, unquoted)) return Uint8Array.from(decoded)
  throw new KeyferryError("ERR_TRANSFER_INVALID", `${path} is text, and neither binary nor base64`, {
    hint: "write it as KMS gave it: aws kms get-parameters-for-import … --query ImportToken --output text | base64 -d",
  })
}

/** Buffer passes over what is not base64; writing it again finds that. */
function sameBase64(decoded: Buffer, text: string): boolean {
  return decoded.toString("base64").replace(/=+$/, "") === text.replace(/\s/g, "").replace(/=+$/, "")
}
