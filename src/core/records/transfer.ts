import { DEFAULT_WRAPPING_KEY_SPEC } from "../manifest/key-settings.js"
import { KeyferryError } from "../base/error.js"
import { rfc3339 } from "../base/expiry.js"
import { isKeySpec, isWrappingKeySpec, type KeySpec, type WrappingKeySpec } from "../key/key-spec.js"
import type { WrappedKeyMaterial } from "../key/wrapping.js"
import { Secret } from "../base/secret.js"
import type { SourceKey } from "../key/source-key.js"
import type { KeyAttributes } from "../key/key-attributes.js"
import { isWrappingAlgorithm, type WrappingAlgorithm } from "../key/wrapping-algorithm.js"
import { type ImportParameters, parseWrappingKey, sha256, wrappingKeySpecOf } from "../key/wrapping-key.js"

/**
 * The files that travel between an online host and a host with the token.
 *
 * A parameters file is the JSON of GetParametersForImport with AWS' names (binary in base64), so that keyferry reads
 * what `aws kms get-parameters-for-import` prints; keyferry's own adds what that lacks.
 */
interface ParametersFile {
  readonly KeyId: string
  readonly PublicKey: string
  readonly ImportToken: string
  readonly ParametersValidTo: string | null
  readonly WrappingAlgorithm: WrappingAlgorithm
  readonly WrappingKeySpec: WrappingKeySpec
  readonly WrappingKeyFingerprint: string
  readonly KeySpec: KeySpec
  readonly Name: string | null
}

/** What stands in parameters, whichever of the three forms they came in; `null` is not known. */
export interface LooseParameters {
  readonly keyId: string | null
  readonly publicKey: Uint8Array
  readonly importToken: Uint8Array
  readonly parametersValidTo: Date | null
  readonly wrappingAlgorithm: WrappingAlgorithm | null
  readonly wrappingKeySpec: WrappingKeySpec | null
  readonly keySpec: KeySpec | null
}

/** Writes a parameters file. */
export function encodeParameters(parameters: ImportParameters, keySpec: KeySpec, name: string | null): string {
  const file: ParametersFile = {
    KeyId: parameters.keyArn,
    PublicKey: base64(parameters.wrappingKey.spki),
    ImportToken: base64(parameters.importToken.reveal()),
    ParametersValidTo: parameters.parametersValidTo === null ? null : rfc3339(parameters.parametersValidTo),
    WrappingAlgorithm: parameters.wrappingAlgorithm,
    WrappingKeySpec: parameters.wrappingKeySpec,
    WrappingKeyFingerprint: parameters.wrappingKey.fingerprint,
    KeySpec: keySpec,
    Name: name,
  }
  return `${JSON.stringify(file, null, 2)}\n`
}

/**
 * Reads a parameters file of keyferry or of the AWS CLI.
 *
 * @throws ERR_TRANSFER_INVALID naming the file and the field
 */
export function decodeParameters(json: string, path: string): LooseParameters {
  const fields = jsonObject(json, path)
  const algorithm = optionalText(fields, "WrappingAlgorithm", path)
  if (algorithm !== null && !isWrappingAlgorithm(algorithm)) throw badField(path, "WrappingAlgorithm")
  const spec = optionalText(fields, "WrappingKeySpec", path)
  if (spec !== null && !isWrappingKeySpec(spec)) throw badField(path, "WrappingKeySpec")
  const keySpec = optionalText(fields, "KeySpec", path)
  if (keySpec !== null && !isKeySpec(keySpec)) throw badField(path, "KeySpec")
  const publicKey = bytes(fields, "PublicKey", path)
  const fingerprint = optionalText(fields, "WrappingKeyFingerprint", path)
  if (fingerprint !== null && fingerprint !== sha256(publicKey)) throw badField(path, "WrappingKeyFingerprint")
  return {
    keyId: text(fields, "KeyId", path),
    publicKey,
    importToken: bytes(fields, "ImportToken", path),
    parametersValidTo: time(fields, "ParametersValidTo", path),
    wrappingAlgorithm: algorithm,
    wrappingKeySpec: spec,
    keySpec,
  }
}

/**
 * Completes loose parameters with what the command line said, and checks the wrapping key (invariant I3).
 *
 * @throws ERR_USAGE for what is missing or contradicts, ERR_WRAPPING_KEY_INVALID, ERR_IMPORT_TOKEN_EXPIRED
 */
export function completeParameters(
  loose: LooseParameters,
  said: {
    readonly keyId?: string | undefined
    readonly wrappingAlgorithm?: WrappingAlgorithm | undefined
    readonly wrappingKeySpec?: WrappingKeySpec | undefined
  },
  now: Date,
): ImportParameters {
  const wrappingAlgorithm = agree("--wrapping-algorithm", said.wrappingAlgorithm, loose.wrappingAlgorithm)
  if (wrappingAlgorithm === null) {
    throw new KeyferryError("ERR_USAGE", "these parameters do not say for which wrapping algorithm they were made", {
      hint: "give --wrapping-algorithm as it was given to GetParametersForImport",
    })
  }
  const keyId = said.keyId ?? loose.keyId
  if (keyId === null) {
    throw new KeyferryError("ERR_USAGE", "these parameters do not say for which KMS key they were made", {
      hint: "give --key-id",
    })
  }
  if (loose.keyId !== null && !sameKey(keyId, loose.keyId)) {
    throw new KeyferryError("ERR_TRANSFER_INVALID", `the parameters are for ${loose.keyId}, not for ${keyId}`, {
      key: keyId,
    })
  }
  const spec =
    agree("--wrapping-key-spec", said.wrappingKeySpec, loose.wrappingKeySpec) ?? wrappingKeySpecOf(loose.publicKey)
  const wrappingKey = parseWrappingKey(loose.publicKey, spec ?? DEFAULT_WRAPPING_KEY_SPEC)
  if (loose.parametersValidTo !== null && loose.parametersValidTo <= now) {
    throw new KeyferryError(
      "ERR_IMPORT_TOKEN_EXPIRED",
      `the parameters were valid until ${rfc3339(loose.parametersValidTo)}`,
      { key: keyId },
    )
  }
  return {
    keyArn: loose.keyId ?? keyId,
    wrappingAlgorithm,
    wrappingKeySpec: wrappingKey.spec,
    wrappingKey,
    importToken: new Secret(loose.importToken),
    parametersValidTo: loose.parametersValidTo,
    requestId: null,
  }
}

function agree<T extends string>(flag: string, said: T | undefined, found: T | null): T | null {
  if (said !== undefined && found !== null && said !== found) {
    throw new KeyferryError("ERR_USAGE", `${flag} ${said} contradicts the parameters, which are for ${found}`)
  }
  return said ?? found
}

/** Whether two names, each a key ID or a key ARN, can be of one key. */
export function sameKey(a: string, b: string): boolean {
  const id = (name: string): string => name.slice(name.lastIndexOf("/") + 1)
  return a.startsWith("arn:") && b.startsWith("arn:") ? a === b : id(a) === id(b)
}

/**
 * What lies beside the ciphertext (`EncryptedKeyMaterial.bin.json`): whose material it is, how it was wrapped, and what
 * the online host needs to prove the import without a token.
 */
export interface Bundle {
  readonly version: 1
  readonly name: string
  readonly generation: number
  readonly keySpec: KeySpec
  readonly keyId: string
  readonly wrappingAlgorithm: WrappingAlgorithm
  readonly wrappingKeySpec: WrappingKeySpec
  readonly wrapPath: WrappedKeyMaterial["wrapPath"]
  readonly mechanisms: readonly string[]
  readonly wrappingKeyFingerprint: string
  readonly importTokenDigest: string
  readonly encryptedKeyMaterialDigest: string
  readonly token: Readonly<
    Record<"label" | "serial" | "manufacturer" | "model" | "firmwareVersion" | "library", string>
  >
  readonly sourceKey: Pick<SourceKey, "id" | "label" | "custody" | "unenforced" | "kcv" | "publicKeyFingerprint"> & {
    readonly attributes: KeyAttributes
  }
  /** SubjectPublicKeyInfo of a pair, base64; or a nonce with its MAC, hex; or null for symmetric keys. */
  readonly proof: { readonly publicKey: string } | { readonly nonce: string; readonly mac: string } | null
}

export function encodeBundle(bundle: Bundle): string {
  return `${JSON.stringify(bundle, null, 2)}\n`
}

/**
 * Reads a bundle and holds it against the ciphertext that it claims to describe.
 *
 * @throws ERR_TRANSFER_INVALID naming the file and the field
 */
export function decodeBundle(json: string, path: string, encryptedKeyMaterial: Uint8Array): Bundle {
  const fields = jsonObject(json, path)
  if (fields["version"] !== 1) throw badField(path, "version")
  for (const field of [
    "name",
    "keyId",
    "wrapPath",
    "wrappingKeyFingerprint",
    "importTokenDigest",
    "encryptedKeyMaterialDigest",
  ]) {
    text(fields, field, path)
  }
  if (!isKeySpec(text(fields, "keySpec", path))) throw badField(path, "keySpec")
  if (!isWrappingAlgorithm(text(fields, "wrappingAlgorithm", path))) throw badField(path, "wrappingAlgorithm")
  if (!isWrappingKeySpec(text(fields, "wrappingKeySpec", path))) throw badField(path, "wrappingKeySpec")
  if (!Number.isInteger(fields["generation"])) throw badField(path, "generation")
  if (!Array.isArray(fields["mechanisms"])) throw badField(path, "mechanisms")
  const source = nested(fields, "sourceKey", path)
  for (const field of ["id", "label", "custody"]) text(source, field, path)
  nested(source, "attributes", path)
  nested(fields, "token", path)
  if (fields["proof"] !== null) {
    const proof = nested(fields, "proof", path)
    const needed = "publicKey" in proof ? ["publicKey"] : ["nonce", "mac"]
    for (const field of needed) text(proof, field, path)
  }
  if (fields["encryptedKeyMaterialDigest"] !== sha256(encryptedKeyMaterial)) {
    throw new KeyferryError(
      "ERR_TRANSFER_INVALID",
      `${path} describes another ciphertext: encryptedKeyMaterialDigest differs`,
    )
  }
  return fields as unknown as Bundle
}

type Fields = Readonly<Record<string, unknown>>

function badField(path: string, field: string): KeyferryError {
  return new KeyferryError("ERR_TRANSFER_INVALID", `${path}: ${field} is missing or not what it should be`)
}

function jsonObject(json: string, path: string): Fields {
  let value: unknown
  try {
    value = JSON.parse(json)
  } catch {
    // the parser's own words would quote what it read, which may be an import token
    throw new KeyferryError("ERR_TRANSFER_INVALID", `${path} is not JSON`)
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new KeyferryError("ERR_TRANSFER_INVALID", `${path} is not a JSON object`)
  }
  return value as Fields
}

function nested(fields: Fields, field: string, path: string): Fields {
  const value = fields[field]
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw badField(path, field)
  return value as Fields
}

function text(fields: Fields, field: string, path: string): string {
  const value = fields[field]
  if (typeof value !== "string" || value === "") throw badField(path, field)
  return value
}

function optionalText(fields: Fields, field: string, path: string): string | null {
  return fields[field] === undefined || fields[field] === null ? null : text(fields, field, path)
}

function bytes(fields: Fields, field: string, path: string): Uint8Array {
  const encoded = text(fields, field, path).replace(/\s/g, "")
  const decoded = Buffer.from(encoded, "base64")
  // Buffer skips what is not base64; writing it again finds that
  if (decoded.length === 0 || decoded.toString("base64").replace(/=+$/, "") !== encoded.replace(/=+$/, ""))
    throw badField(path, field)
  return Uint8Array.from(decoded)
}

/** The AWS CLI prints ISO 8601, or epoch seconds where so configured. */
function time(fields: Fields, field: string, path: string): Date | null {
  const value = fields[field]
  if (value === undefined || value === null) return null
  const at = typeof value === "number" ? new Date(value * 1000) : new Date(text(fields, field, path))
  if (Number.isNaN(at.getTime())) throw badField(path, field)
  return at
}

export function base64(data: Uint8Array): string {
  return Buffer.from(data).toString("base64")
}
