import { crc32 } from "node:zlib"
import { fromBufferPromise, type ZipFile } from "yauzl"
import { KeyferryError } from "../../core/base/error.js"

/** The two files that the AWS console's zip of import parameters holds. */
export interface ConsoleZip {
  readonly publicKey: Uint8Array
  readonly importToken: Uint8Array
}

/** The console's names changed over time; a readme may lie beside the two files. */
const NAMES: Readonly<Record<keyof ConsoleZip, RegExp>> = {
  publicKey: /(^|\/)(WrappingPublicKey\.bin|wrappingKey_[^/]+)$/,
  importToken: /(^|\/)(ImportToken\.bin|importToken_[^/]+)$/,
}

const WORDS: Readonly<Record<keyof ConsoleZip, string>> = {
  publicKey: "wrapping public key",
  importToken: "import token",
}

const MEMBERS = Object.entries(NAMES) as readonly (readonly [keyof ConsoleZip, RegExp])[]

/** A wrapping public key and an import token have at most 6,144 bytes each; in base64 a third more. */
const MAX_MEMBER_BYTES = 16 * 1024

/** A readme and folders besides; an archive of more is something else. */
const MAX_MEMBERS = 100

/**
 * Unpacks wrapping public key and import token, and nothing else.
 *
 * @throws ERR_TRANSFER_INVALID
 */
export async function readConsoleZip(archive: Buffer, path: string): Promise<ConsoleZip> {
  let members: Map<keyof ConsoleZip, Uint8Array>
  try {
    const zip = await fromBufferPromise(archive, { lazyEntries: true, validateEntrySizes: true })
    members = await unpacked(zip, path)
  } catch (cause) {
    if (cause instanceof KeyferryError) throw cause
    throw invalid(path, faultOf(cause), cause)
  }
  const publicKey = members.get("publicKey")
  const importToken = members.get("importToken")
  if (publicKey === undefined) throw invalid(path, "holds no wrapping public key")
  if (importToken === undefined) throw invalid(path, "holds no import token")
  return { publicKey, importToken }
}

/** What yauzl says of an archive that is whole, and that it does not take. */
const FAULTS: readonly (readonly [said: RegExp, fault: string])[] = [
  [/^(absolute path|invalid relative path): /, "holds a member whose name leads out of the archive: "],
  [/^invalid characters in fileName: /, "holds a member whose name has a backslash: "],
  [/^entry is encrypted.*|^strong encryption.*/, "is encrypted, and the console's zip is not"],
  [/^unsupported compression method: /, "is compressed by a method that the console does not use: "],
  [/^multi-disk zip files.*/, "is one part of several"],
]

function faultOf(cause: unknown): string {
  const message = cause instanceof Error ? cause.message : ""
  const [said, fault] = FAULTS.find(([pattern]) => pattern.test(message)) ?? []
  return said === undefined || fault === undefined ? "is no zip file, or is damaged" : message.replace(said, fault)
}

async function unpacked(zip: ZipFile, path: string): Promise<Map<keyof ConsoleZip, Uint8Array>> {
  const members = new Map<keyof ConsoleZip, Uint8Array>()
  if (zip.entryCount > MAX_MEMBERS) throw invalid(path, `has ${zip.entryCount} members, and a console zip has two`)
  for await (const entry of zip.eachEntry()) {
    const member = MEMBERS.find(([, pattern]) => pattern.test(entry.fileName))?.[0]
    if (member === undefined) continue
    if (members.has(member)) throw invalid(path, `holds two files for the ${WORDS[member]}`)
    if (entry.uncompressedSize > MAX_MEMBER_BYTES) {
      throw invalid(path, `holds ${entry.fileName} of ${entry.uncompressedSize} bytes, too many for what it should be`)
    }
    const pieces: Uint8Array[] = []
    for await (const piece of await zip.openReadStreamPromise(entry)) pieces.push(piece as Uint8Array)
    const bytes = Buffer.concat(pieces)
    if (crc32(bytes) !== entry.crc32) throw invalid(path, `is damaged: the checksum of ${entry.fileName} is wrong`)
    members.set(member, Uint8Array.from(bytes))
  }
  return members
}

function invalid(path: string, fault: string, cause?: unknown): KeyferryError {
  return new KeyferryError("ERR_TRANSFER_INVALID", `${path} ${fault}`, { cause })
}
