import { createHash, createPublicKey, type KeyObject } from "node:crypto"
import { KeyferryError } from "../base/error.js"
import type { Secret } from "../base/secret.js"
import { WRAPPING_KEY_SPECS, type WrappingKeySpec } from "./key-spec.js"
import type { WrappingAlgorithm } from "./wrapping-algorithm.js"

/** The RSA public key that KMS lends for one import, checked by {@link parseWrappingKey}. */
export interface WrappingKey {
  readonly spec: WrappingKeySpec
  /** SubjectPublicKeyInfo, DER. */
  readonly spki: Uint8Array
  /** Big-endian, without leading zero: exactly `modulusBits / 8` bytes. */
  readonly modulus: Uint8Array
  /** Big-endian: 01 00 01. */
  readonly publicExponent: Uint8Array
  readonly fingerprint: string
}

/** The answer of GetParametersForImport, its wrapping key checked; valid for 24 hours, for one KMS key. */
export interface ImportParameters {
  /** ARN, or ID where the parameters came as loose files. */
  readonly keyArn: string
  readonly wrappingAlgorithm: WrappingAlgorithm
  readonly wrappingKeySpec: WrappingKeySpec
  readonly wrappingKey: WrappingKey
  readonly importToken: Secret<Uint8Array>
  readonly parametersValidTo: Date | null
  readonly requestId: string | null
}

/** `sha256:<hex>` of some bytes: how digests and fingerprints are written everywhere. */
export function sha256(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`
}

/**
 * Checks the wrapping public key of GetParametersForImport before anything is wrapped under it (invariant I3): the
 * SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7) parses to the last byte, is rsaEncryption, has the modulus length of
 * `spec` and the exponent 65537.
 *
 * @throws ERR_WRAPPING_KEY_INVALID
 */
export function parseWrappingKey(spki: Uint8Array, spec: WrappingKeySpec): WrappingKey {
  const invalid = (reason: string, cause?: unknown): KeyferryError =>
    new KeyferryError("ERR_WRAPPING_KEY_INVALID", `the wrapping public key ${reason}`, { cause })

  let key: KeyObject
  try {
    key = createPublicKey({ key: Buffer.from(spki), format: "der", type: "spki" })
  } catch (cause) {
    throw invalid("is not a SubjectPublicKeyInfo in DER", cause)
  }
  if (key.asymmetricKeyType !== "rsa") throw invalid(`is ${key.asymmetricKeyType ?? "unknown"}, not rsa`)
  // OpenSSL parses leniently; writing it out again finds trailing bytes and encodings that are not DER
  if (!key.export({ format: "der", type: "spki" }).equals(spki)) {
    throw invalid("has bytes after its end, or is not encoded as DER")
  }
  const { modulusBits } = WRAPPING_KEY_SPECS[spec]
  const { modulusLength, publicExponent } = key.asymmetricKeyDetails ?? {}
  if (modulusLength !== modulusBits) throw invalid(`has ${modulusLength ?? 0} bits, not the ${modulusBits} of ${spec}`)
  if (publicExponent !== 65537n) throw invalid(`has the public exponent ${String(publicExponent)}, not 65537`)

  const jwk = key.export({ format: "jwk" })
  return {
    spec,
    spki: Uint8Array.from(spki),
    modulus: Uint8Array.from(Buffer.from(jwk.n ?? "", "base64url")),
    publicExponent: Uint8Array.of(1, 0, 1),
    fingerprint: sha256(spki),
  }
}

/** The wrapping key spec of a public key that came without one (a loose file); undefined if it is none. */
export function wrappingKeySpecOf(spki: Uint8Array): WrappingKeySpec | undefined {
  try {
    const bits = createPublicKey({ key: Buffer.from(spki), format: "der", type: "spki" }).asymmetricKeyDetails
      ?.modulusLength
    const spec = Object.entries(WRAPPING_KEY_SPECS).find(([, { modulusBits }]) => modulusBits === bits)
    return spec?.[0] as WrappingKeySpec | undefined
  } catch {
    return undefined
  }
}
