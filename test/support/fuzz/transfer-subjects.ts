import { createHash, generateKeyPairSync } from "node:crypto"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { isDeepStrictEqual } from "node:util"
import { unzipSync, zipSync } from "fflate"
import { parse, stringify } from "yaml"
import { loadManifest } from "#src/config/load.js"
import { readPin } from "#src/config/read-pin.js"
import { Secret } from "#src/core/base/secret.js"
import { parseWrappingKey, sha256 } from "#src/core/key/wrapping-key.js"
import { type Bundle, completeParameters } from "#src/core/records/transfer.js"
import { profileFamilies } from "#src/pkcs11/profiles.js"
import { decodeBundle, encodeBundle } from "#src/store/transfer/bundle-file.js"
import { readTextInput } from "#src/store/transfer/input.js"
import { encodeParameters } from "#src/store/transfer/parameters-file.js"
import { type ParameterPaths, readParameters } from "#src/store/transfer/parameters.js"
import { EXAMPLE } from "../config-example.js"
import type { Subject } from "./subject.js"
import { TOKEN_KEY_ATTRIBUTES } from "#test/support/key-attributes.js"

const KEY_ARN = "arn:aws:kms:us-east-1:111122223333:key/11111111-2222-3333-4444-555555555555"
const ALGORITHM = "RSAES_OAEP_SHA_256"
const SPKI = generateKeyPairSync("rsa", { modulusLength: 2048 }).publicKey.export({ format: "der", type: "spki" })
/** As long as KMS' own are; the same in each run. */
const IMPORT_TOKEN = Buffer.concat(
  Array.from({ length: 40 }, (_, index) => createHash("sha512").update(`${index}`).digest()),
)
const CIPHERTEXT = Buffer.alloc(256, 7)

export const CONFIGURATION = "the configuration file"

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64")
const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.from(a).equals(Buffer.from(b))
const file = (folder: string, name: string, bytes: Uint8Array): string => {
  const path = join(folder, name)
  writeFileSync(path, bytes)
  return path
}

/** In words which field differs; null for none. */
export function fieldOf(fields: Readonly<Record<string, readonly [accepted: unknown, said: unknown]>>): string | null {
  const different = Object.entries(fields).find(([, [accepted, said]]) => !isDeepStrictEqual(accepted, said))
  return different === undefined ? null : `${different[0]} is ${JSON.stringify(different[1]).slice(0, 300)}`
}

async function complete(paths: ParameterPaths) {
  const loose = await readParameters(paths)
  const flags = { keyId: loose.keyId ?? KEY_ARN, wrappingAlgorithm: loose.wrappingAlgorithm ?? ALGORITHM } as const
  return { loose, ...completeParameters(loose, flags) }
}

/** What a field of base64 says, white space passed over. */
const bytesOf = (field: unknown): string =>
  typeof field === "string" ? base64(Buffer.from(field.replace(/\s/g, ""), "base64")) : "none"
const timeOf = (field: unknown): number | null => {
  if (field === null || field === undefined) return null
  return typeof field === "number" ? new Date(field * 1000).getTime() : Date.parse(field as string)
}

async function readParametersFile(bytes: Uint8Array, folder: string): Promise<string | null> {
  const { loose, ...parameters } = await complete({ parameters: file(folder, "p.json", bytes) })
  const said = JSON.parse(Buffer.from(bytes).toString()) as Record<string, unknown>
  return fieldOf({
    KeyId: [parameters.keyArn, said["KeyId"]],
    PublicKey: [base64(parameters.wrappingKey.spki), bytesOf(said["PublicKey"])],
    ImportToken: [base64(parameters.importToken.reveal()), bytesOf(said["ImportToken"])],
    WrappingAlgorithm: [loose.wrappingAlgorithm, said["WrappingAlgorithm"] ?? null],
    WrappingKeySpec: [loose.wrappingKeySpec, said["WrappingKeySpec"] ?? null],
    KeySpec: [loose.keySpec, said["KeySpec"] ?? null],
    ParametersValidTo: [loose.parametersValidTo?.getTime() ?? null, timeOf(said["ParametersValidTo"])],
  })
}

const parameters = {
  keyArn: KEY_ARN,
  wrappingAlgorithm: ALGORITHM,
  wrappingKeySpec: "RSA_2048",
  wrappingKey: parseWrappingKey(SPKI, "RSA_2048"),
  importToken: new Secret<Uint8Array>(IMPORT_TOKEN),
  parametersValidTo: new Date("2026-12-01T00:00:00Z"),
  requestId: null,
} as const

const BUNDLE: Bundle = {
  version: 1,
  name: "payments",
  generation: 0,
  keySpec: "HMAC_256",
  keyId: KEY_ARN,
  wrappingAlgorithm: ALGORITHM,
  wrappingKeySpec: "RSA_2048",
  wrapPath: "oaep",
  mechanisms: ["CKM_RSA_PKCS_OAEP"],
  wrappingKeyFingerprint: sha256(SPKI),
  importTokenDigest: sha256(IMPORT_TOKEN),
  encryptedKeyMaterialDigest: sha256(CIPHERTEXT),
  token: { label: "t", serial: "1", manufacturer: "m", model: "m", firmwareVersion: "2.6", library: "l 1" },
  sourceKey: {
    id: "0a".repeat(16),
    label: "keyferry/keyferry/payments/0",
    custody: "token",
    unenforced: null,
    kcv: null,
    publicKeyFingerprint: null,
    attributes: {
      ...TOKEN_KEY_ATTRIBUTES,
      keyType: "CKK_GENERIC_SECRET",
      sign: true,
      keyGenMechanism: "CKM_GENERIC_SECRET_KEY_GEN",
    },
  },
  proof: { nonce: "0b".repeat(32), mac: "0c".repeat(32) },
}

/** Binary, or base64 of it as text, in quotes or not: what it then is. */
function looseBytes(bytes: Uint8Array): readonly Buffer[] {
  const text = Buffer.from(bytes).toString("latin1").trim()
  return [Buffer.from(bytes), Buffer.from(text.replace(/^"(.*)"$/s, "$1"), "base64")]
}

/** The files of the three steps, the configuration file, and the PIN. */
export const TRANSFER_SUBJECTS: readonly Subject[] = [
  {
    name: "parameters of keyferry",
    sample: Buffer.from(encodeParameters(parameters, "HMAC_256", "payments")),
    read: readParametersFile,
  },
  {
    name: "parameters of the AWS CLI",
    sample: Buffer.from(
      JSON.stringify({
        KeyId: KEY_ARN,
        ImportToken: base64(IMPORT_TOKEN),
        PublicKey: base64(SPKI),
        ParametersValidTo: 1_796_083_200.5,
      }),
    ),
    read: readParametersFile,
  },
  {
    name: "a wrapping public key",
    sample: SPKI,
    async read(bytes, folder) {
      const importToken = file(folder, "t.bin", IMPORT_TOKEN)
      const { wrappingKey } = await complete({ publicKey: file(folder, "k.bin", bytes), importToken })
      return looseBytes(bytes).some((said) => same(said, wrappingKey.spki)) ? null : "the key is another"
    },
  },
  {
    name: "an import token",
    sample: IMPORT_TOKEN,
    async read(bytes, folder) {
      const publicKey = file(folder, "k.bin", SPKI)
      const { importToken } = await complete({ publicKey, importToken: file(folder, "t.bin", bytes) })
      return looseBytes(bytes).some((said) => same(said, importToken.reveal())) ? null : "the token is another"
    },
  },
  {
    name: "the console's zip",
    sample: zipSync({
      "WrappingPublicKey.bin": SPKI,
      "ImportToken.bin": IMPORT_TOKEN,
      "README.txt": Buffer.from("read me"),
    }),
    async read(bytes, folder) {
      const { wrappingKey, importToken } = await complete({ consoleZip: file(folder, "c.zip", bytes) })
      const unpacked = unzipped(bytes)
      const isSame = (name: string, original: Uint8Array, accepted: Uint8Array): boolean =>
        same(original, accepted) || looseBytes(unpacked[name] ?? Buffer.alloc(0)).some((said) => same(said, accepted))
      if (!isSame("WrappingPublicKey.bin", SPKI, wrappingKey.spki)) return "the key is another"
      return isSame("ImportToken.bin", IMPORT_TOKEN, importToken.reveal()) ? null : "the token is another"
    },
  },
  {
    name: "a bundle",
    sample: Buffer.from(encodeBundle(BUNDLE)),
    async read(bytes, folder) {
      const path = file(folder, "b.json", bytes)
      const bundle = decodeBundle(await readTextInput(path), path, CIPHERTEXT)
      encodeBundle(bundle)
      return fieldOf({ bundle: [bundle, JSON.parse(Buffer.from(bytes).toString())] })
    },
  },
  {
    name: CONFIGURATION,
    sample: Buffer.from(EXAMPLE),
    async read(bytes, folder) {
      const manifest = await loadManifest(file(folder, "c.yaml", bytes), profileFamilies())
      const said = stringify(parse(Buffer.from(bytes).toString()), { version: "1.2" })
      return fieldOf({
        manifest: [manifest, await loadManifest(file(folder, "again.yaml", Buffer.from(said)), profileFamilies())],
      })
    },
  },
  {
    name: "a PIN file",
    sample: Buffer.from("pin-of-7351-ö\n"),
    async read(bytes, folder) {
      const path = file(folder, "pin", bytes)
      const pin = (await readPin({ kind: "file", path }, "t", { env: {}, warn: () => undefined })).reveal()
      // eslint-disable-next-line no-control-regex -- what must not be in it
      if (/[\u0000-\u001f\u007f\u009b\ufeff\ufffd]/.test(pin)) return "it has a control character"
      return same(Buffer.from(pin), Buffer.from(bytes.subarray(0, Buffer.byteLength(pin)))) &&
        /^\r?\n?$/.test(Buffer.from(bytes.subarray(Buffer.byteLength(pin))).toString("latin1"))
        ? null
        : "it is another"
    },
  },
]

function unzipped(bytes: Uint8Array): Readonly<Record<string, Uint8Array>> {
  try {
    return unzipSync(bytes)
  } catch {
    return {}
  }
}
