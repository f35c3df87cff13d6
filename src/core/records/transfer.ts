import { DEFAULT_WRAPPING_KEY_SPEC } from "../manifest/key-settings.js"
import { KeyferryError } from "../base/error.js"
import { rfc3339 } from "../base/expiry.js"
import type { KeySpec, WrappingKeySpec } from "../key/key-spec.js"
import type { WrappedKeyMaterial } from "../key/wrapping.js"
import { Secret } from "../base/secret.js"
import type { SourceKey } from "../key/source-key.js"
import type { KeyAttributes } from "../key/key-attributes.js"
import type { WrappingAlgorithm } from "../key/wrapping-algorithm.js"
import { type ImportParameters, parseWrappingKey, wrappingKeySpecOf } from "../key/wrapping-key.js"

/** What the files hold that travel between an online host and a host with the token (store/transfer reads and writes them). */

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

/**
 * Completes loose parameters with what the command line said, and checks the wrapping key (invariant I3).
 *
 * @throws ERR_USAGE for what is missing or contradicts, ERR_WRAPPING_KEY_INVALID
 */
export function completeParameters(
  loose: LooseParameters,
  flags: {
    readonly keyId?: string | undefined
    readonly wrappingAlgorithm?: WrappingAlgorithm | undefined
    readonly wrappingKeySpec?: WrappingKeySpec | undefined
  },
): ImportParameters {
  const wrappingAlgorithm = agree("--wrapping-algorithm", flags.wrappingAlgorithm, loose.wrappingAlgorithm)
  if (wrappingAlgorithm === null) {
    throw new KeyferryError("ERR_USAGE", "these parameters do not say for which wrapping algorithm they were made", {
      hint: "give --wrapping-algorithm as it was given to GetParametersForImport",
    })
  }
  const keyId = flags.keyId ?? loose.keyId
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
    agree("--wrapping-key-spec", flags.wrappingKeySpec, loose.wrappingKeySpec) ?? wrappingKeySpecOf(loose.publicKey)
  const wrappingKey = parseWrappingKey(loose.publicKey, spec ?? DEFAULT_WRAPPING_KEY_SPEC)
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

/**
 * KMS keeps no other key spec in a key than the one it was made for: what was fetched for one is of no use to another.
 *
 * @throws ERR_KMS_KEY_MISMATCH
 */
export function refuseOtherKeySpec({ keySpec, keyId }: LooseParameters, other: KeySpec, key: string): void {
  if (keySpec === null || keySpec === other) return
  throw new KeyferryError(
    "ERR_KMS_KEY_MISMATCH",
    `the parameters are for a KMS key of ${keySpec}, and ${key} is ${other}`,
    {
      key: keyId ?? key,
      hint: "name the source key that belongs to this KMS key, or fetch parameters for a KMS key of this key spec",
    },
  )
}

/** Whether the 24 hours of import parameters are over. On a host without KMS that is a guess: KMS judges (invariant I11). */
export function areExpired({ parametersValidTo }: Pick<ImportParameters, "parametersValidTo">, now: Date): boolean {
  return parametersValidTo !== null && parametersValidTo <= now
}

/** @throws ERR_IMPORT_TOKEN_EXPIRED where KMS' time is past the end of the parameters */
export function refuseExpired(parameters: ImportParameters, now: Date): void {
  if (!areExpired(parameters, now)) return
  throw new KeyferryError("ERR_IMPORT_TOKEN_EXPIRED", endedText(parameters), { key: parameters.keyArn })
}

export function endedText({ parametersValidTo }: Pick<ImportParameters, "parametersValidTo">): string {
  return `the parameters were valid until ${parametersValidTo === null ? "" : rfc3339(parametersValidTo)}`
}

function agree<T extends string>(flag: string, flagged: T | undefined, inFile: T | null): T | null {
  if (flagged !== undefined && inFile !== null && flagged !== inFile) {
    throw new KeyferryError("ERR_USAGE", `${flag} ${flagged} contradicts the parameters, which are for ${inFile}`)
  }
  return flagged ?? inFile
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

export function base64(data: Uint8Array): string {
  return Buffer.from(data).toString("base64")
}
