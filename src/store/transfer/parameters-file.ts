import * as z from "zod"
import { rfc3339 } from "../../core/base/expiry.js"
import { KEY_SPEC_NAMES, type KeySpec, WRAPPING_KEY_SPEC_NAMES } from "../../core/key/key-spec.js"
import { isKeyId, parseKeyArn } from "../../core/key/key-arn.js"
import type { ImportParameters } from "../../core/key/wrapping-key.js"
import { WRAPPING_ALGORITHM_NAMES } from "../../core/key/wrapping-algorithm.js"
import { sha256 } from "../../core/key/wrapping-key.js"
import type { LooseParameters } from "../../core/records/transfer.js"
import { importTokenFault } from "./import-token.js"
import { base64Bytes, parsedJson } from "./json-input.js"

const keyName = z
  .string()
  .refine((text) => parseKeyArn(text) !== undefined || isKeyId(text), "is neither a key ARN nor a key ID")

/** The AWS CLI prints ISO 8601, or epoch seconds where so configured. */
const instant = z
  .union([z.iso.datetime({ offset: true }), z.number()], "is not a time")
  .transform((written) => new Date(typeof written === "number" ? written * 1000 : written))
  .refine((time) => !Number.isNaN(time.getTime()), "is not a time")

/**
 * The JSON of GetParametersForImport with AWS' names (binary in base64), as `aws kms get-parameters-for-import` prints
 * it; keyferry's own adds what that lacks. What else AWS may print some day is passed over.
 */
const parametersSchema = z
  .object({
    KeyId: keyName,
    PublicKey: base64Bytes,
    ImportToken: base64Bytes,
    ParametersValidTo: instant.nullish(),
    WrappingAlgorithm: z.enum(WRAPPING_ALGORITHM_NAMES).nullish(),
    WrappingKeySpec: z.enum(WRAPPING_KEY_SPEC_NAMES).nullish(),
    WrappingKeyFingerprint: z.string().nullish(),
    KeySpec: z.enum(KEY_SPEC_NAMES).nullish(),
    Name: z.string().nullish(),
  })
  .refine(
    ({ WrappingKeyFingerprint, PublicKey }) =>
      WrappingKeyFingerprint == null || WrappingKeyFingerprint === sha256(PublicKey),
    { path: ["WrappingKeyFingerprint"], message: "is not that of PublicKey" },
  )
  .check(({ value, issues }) => {
    // what is no base64 has no bytes
    if (issues.length > 0) return
    const fault = importTokenFault(value.ImportToken, value.PublicKey)
    if (fault !== null) issues.push({ code: "custom", input: null, path: ["ImportToken"], message: fault })
  })

/** Writes a parameters file. @throws ERR_TRANSFER_INVALID where {@link decodeParameters} would refuse it */
export function encodeParameters(parameters: ImportParameters, keySpec: KeySpec, name: string | null): string {
  const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64")
  const file: Record<keyof z.input<typeof parametersSchema>, string | null> = {
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
  const json = `${JSON.stringify(file, null, 2)}\n`
  parsedJson(parametersSchema, json, "the parameters of KMS")
  return json
}

/**
 * Reads a parameters file of keyferry or of the AWS CLI.
 *
 * @throws ERR_TRANSFER_INVALID naming the file and the field
 */
export function decodeParameters(json: string, path: string): LooseParameters {
  const file = parsedJson(parametersSchema, json, path)
  return {
    keyId: file.KeyId,
    publicKey: file.PublicKey,
    importToken: file.ImportToken,
    parametersValidTo: file.ParametersValidTo ?? null,
    wrappingAlgorithm: file.WrappingAlgorithm ?? null,
    wrappingKeySpec: file.WrappingKeySpec ?? null,
    keySpec: file.KeySpec ?? null,
  }
}
