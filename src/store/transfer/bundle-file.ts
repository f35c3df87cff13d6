import * as z from "zod"
import { KeyferryError } from "../../core/base/error.js"
import { isPrintable } from "../../core/base/printable.js"
import { CUSTODY_NAMES } from "../../core/key/custody.js"
import { isKeyId, parseKeyArn } from "../../core/key/key-arn.js"
import { KEY_SPEC_NAMES, KEY_SPECS, WRAPPING_KEY_SPEC_NAMES } from "../../core/key/key-spec.js"
import { identityOf, isName } from "../../core/key/source-key.js"
import { kmsAllows, WRAPPING_ALGORITHM_NAMES, WRAPPING_ALGORITHMS } from "../../core/key/wrapping-algorithm.js"
import { sha256 } from "../../core/key/wrapping-key.js"
import type { Bundle } from "../../core/records/transfer.js"
import { attributes, digest, token, wrapPath } from "../records/inventory-schema.js"
import { base64Text, parsedJson } from "./json-input.js"

const hex = z.string().regex(/^([0-9a-f]{2})+$/, "is not hex")

/** Text of at most so many characters, as PKCS #11 v3.1 section 3.2 has them of a token, that shows as it is. */
const line = (most: number) =>
  z
    .string()
    .refine(isPrintable, "holds characters that do not show")
    .refine((text) => Array.from(text).length <= most, `is longer than ${most} characters`)

/** Longer than any name of a constant, and than any sentence of keyferry on what a token does not enforce. */
const [MOST_OF_NAME, MOST_OF_WORDS] = [64, 4096]

const bundleToken = token.extend({
  label: line(32),
  serial: line(16),
  manufacturer: line(32),
  model: line(16),
  firmwareVersion: line(8),
  // a description of 32 characters with its version
  library: line(48),
})

const bundleAttributes = attributes.extend({
  class: line(MOST_OF_NAME),
  keyType: line(MOST_OF_NAME),
  keyGenMechanism: line(MOST_OF_NAME).nullable(),
})

const proof = z.union(
  [z.strictObject({ publicKey: base64Text }), z.strictObject({ nonce: hex, mac: hex })],
  "is neither a public key nor a nonce with its MAC",
)

const bundleSchema = z
  .strictObject({
    version: z.literal(1),
    name: z.string().refine(isName, "is not the name of a key"),
    generation: z.int().nonnegative(),
    keySpec: z.enum(KEY_SPEC_NAMES),
    keyId: z
      .string()
      .refine((text) => parseKeyArn(text) !== undefined || isKeyId(text), "is neither a key ARN nor a key ID"),
    wrappingAlgorithm: z.enum(WRAPPING_ALGORITHM_NAMES),
    wrappingKeySpec: z.enum(WRAPPING_KEY_SPEC_NAMES),
    wrapPath,
    mechanisms: z.array(z.string().regex(/^CKM_[A-Z0-9_]+$/, "is not the name of a mechanism")).min(1),
    wrappingKeyFingerprint: digest,
    importTokenDigest: digest,
    encryptedKeyMaterialDigest: digest,
    token: bundleToken,
    sourceKey: z.strictObject({
      id: hex,
      label: z.string(),
      custody: z.enum(CUSTODY_NAMES),
      unenforced: line(MOST_OF_WORDS).nullable().exactOptional(),
      kcv: hex.nullable(),
      publicKeyFingerprint: digest.nullable(),
      attributes: bundleAttributes,
    }),
    proof: proof.nullable(),
  })
  .check(({ value, issues }) => {
    const fault = contradiction(value)
    if (fault !== null) issues.push({ code: "custom", input: value, path: [fault.field], message: fault.reason })
  })

/** Fields that do not go together. */
function contradiction(bundle: Bundle): { readonly field: keyof Bundle; readonly reason: string } | null {
  const { wrappingAlgorithm, wrapPath: path, keySpec, sourceKey, name, generation } = bundle
  const identity = identityOf(sourceKey.label)
  // what has no label of keyferry's is named by its label
  const isOwn = identity === undefined ? sourceKey.label === name && generation === 0 : isName(identity.owner)
  if (!isOwn || (identity !== undefined && (identity.name !== name || identity.generation !== generation))) {
    return { field: "sourceKey", reason: "has a label of another name or generation" }
  }
  const isObject = sourceKey.custody === "token" || sourceKey.custody === "locked"
  if (sourceKey.attributes.token === !isObject) {
    return { field: "sourceKey", reason: `has custody ${sourceKey.custody}, which its attribute token denies` }
  }
  if (sourceKey.attributes.extractable !== true) {
    return { field: "sourceKey", reason: "is of a key that is not extractable, which nothing wraps" }
  }
  if (!kmsAllows(keySpec, wrappingAlgorithm, bundle.wrappingKeySpec)) {
    return { field: "wrappingAlgorithm", reason: `is none that KMS takes for ${keySpec} under this wrapping key` }
  }
  const isOaep = WRAPPING_ALGORITHMS[wrappingAlgorithm].scheme === "oaep"
  if (isOaep !== (path === "oaep")) return { field: "wrapPath", reason: `is no path of ${wrappingAlgorithm}` }
  const proven = bundle.proof === null ? "key-material-id" : "publicKey" in bundle.proof ? "public-key" : "mac"
  if (KEY_SPECS[keySpec].proof !== proven) return { field: "proof", reason: `is not that of a ${keySpec} key` }
  if (bundle.proof === null || !("publicKey" in bundle.proof)) return null
  const fingerprint = sha256(Buffer.from(bundle.proof.publicKey, "base64"))
  const { publicKeyFingerprint } = sourceKey
  if (publicKeyFingerprint === null || publicKeyFingerprint === fingerprint) return null
  return { field: "proof", reason: "is not the public key of sourceKey.publicKeyFingerprint" }
}

/** Writes a bundle. @throws ERR_TRANSFER_INVALID where {@link decodeBundle} would refuse it */
export function encodeBundle(bundle: Bundle): string {
  const json = `${JSON.stringify(bundle, null, 2)}\n`
  parsedJson(bundleSchema, json, "the bundle of this key")
  return json
}

/**
 * Reads a bundle and holds it against the ciphertext that it claims to describe.
 *
 * @throws ERR_TRANSFER_INVALID naming the file and the field
 */
export function decodeBundle(json: string, path: string, encryptedKeyMaterial: Uint8Array): Bundle {
  const bundle: Bundle = parsedJson(bundleSchema, json, path)
  if (bundle.encryptedKeyMaterialDigest === sha256(encryptedKeyMaterial)) return bundle
  throw new KeyferryError(
    "ERR_TRANSFER_INVALID",
    `${path} describes another ciphertext: encryptedKeyMaterialDigest differs`,
  )
}
