import { constants, createPublicKey, privateDecrypt, publicEncrypt } from "node:crypto"
import { KEY_SPECS } from "../protocol/key-spec.js"
import { ENCRYPTION_ALGORITHMS, requireAlgorithm } from "../crypto/algorithms.js"
import { type EncryptionContext, materialOf, seal, unseal } from "../crypto/ciphertext.js"
import { findKey } from "../state/find-key.js"
import { requireState } from "../state/key-state.js"
import { privateKeyOf } from "../crypto/key-object.js"
import { currentMaterial } from "../state/material.js"
import { type Context, KEY_ID, operation, requireUsage, USE_FIELDS, used, useOperation } from "./operation.js"
import { documented, recorded } from "../protocol/refusal.js"
import { blob, oneOf, required, textMap } from "../protocol/request.js"
import type { Key } from "../state/state.js"

type Algorithm = (typeof ENCRYPTION_ALGORITHMS)[number]
type RsaAlgorithm = Exclude<Algorithm, "SYMMETRIC_DEFAULT" | "SM2PKE">

const ALGORITHM = oneOf(ENCRYPTION_ALGORITHMS)
const CIPHERTEXT = required(blob({ max: 6144 }))
const PLAINTEXT = required(blob({ max: 4096 }))

const OAEP: Readonly<Record<RsaAlgorithm, { readonly oaepHash: string; readonly bytes: number }>> = {
  RSAES_OAEP_SHA_1: { oaepHash: "sha1", bytes: 20 },
  RSAES_OAEP_SHA_256: { oaepHash: "sha256", bytes: 32 },
}
const padding = constants.RSA_PKCS1_OAEP_PADDING

interface Encryption {
  readonly algorithm: Algorithm
  readonly context: EncryptionContext
}

/** Asymmetric keys take none, or an empty one. */
function refuseContext(context: EncryptionContext): void {
  if (Object.keys(context ?? {}).length > 0) throw recorded.noContext()
}

/** @throws what KMS answers to Encrypt */
export function encryptWith(key: Key, { algorithm, context }: Encryption, plaintext: Buffer): Buffer {
  requireAlgorithm(key, algorithm)
  if (algorithm === "SYMMETRIC_DEFAULT") {
    const material = currentMaterial(key)
    if (material === undefined) throw recorded.pendingImport(key.arn)
    return seal({ key, material }, plaintext, context)
  }
  refuseContext(context)
  const { oaepHash, bytes } = OAEP[algorithm]
  // RFC 8017 section 7.1.1
  const capacity = KEY_SPECS[key.keySpec].bits / 8 - 2 * bytes - 2
  if (plaintext.length > capacity) {
    throw documented.invalid(
      `Algorithm ${algorithm} and key spec ${key.keySpec} cannot encrypt data larger than ${capacity} bytes.`,
    )
  }
  return publicEncrypt({ key: createPublicKey(privateKeyOf(key)), padding, oaepHash }, plaintext)
}

interface Opened {
  readonly key: Key
  readonly plaintext: Buffer
  /** Symmetric keys only. */
  readonly keyMaterialId: string | undefined
}

interface Opening {
  readonly ciphertext: Buffer
  readonly algorithm: Algorithm
  readonly context: EncryptionContext
  /** Optional for symmetric keys, whose ciphertext names the material. */
  readonly keyId: string | undefined
}

function open(context: Context, opening: Opening, operationName: string): Opened {
  const { ciphertext, algorithm, keyId } = opening
  const named = keyId === undefined ? undefined : findKey(context, keyId, "aliases")
  if (algorithm !== "SYMMETRIC_DEFAULT") {
    if (named === undefined) throw recorded.noKeyId()
    refuseContext(opening.context)
    requireState(named, "use")
    requireUsage(named, "ENCRYPT_DECRYPT", operationName)
    return openRsa(named, ciphertext, algorithm)
  }
  if (named !== undefined) {
    requireState(named, "use")
    if (named.keyUsage === "GENERATE_VERIFY_MAC") throw recorded.wrongKey()
    requireUsage(named, "ENCRYPT_DECRYPT", operationName)
  }
  const sealed = materialOf(context.region, ciphertext)
  const key = findKey(context, sealed.key.id, "no-aliases")
  if (named !== undefined && named !== key) throw recorded.wrongKey()
  requireState(key, "use")
  const plaintext = unseal(sealed, ciphertext, opening.context)
  return { key, plaintext, keyMaterialId: sealed.material.id }
}

function openRsa(key: Key, ciphertext: Buffer, algorithm: Exclude<Algorithm, "SYMMETRIC_DEFAULT">): Opened {
  requireAlgorithm(key, algorithm)
  if (ciphertext.length !== KEY_SPECS[key.keySpec].bits / 8) throw recorded.invalidCiphertext()
  try {
    const { oaepHash } = OAEP[algorithm]
    const plaintext = privateDecrypt({ key: privateKeyOf(key), padding, oaepHash }, ciphertext)
    return { key, plaintext, keyMaterialId: undefined }
  } catch {
    throw recorded.invalidCiphertext()
  }
}

export const Encrypt = useOperation({
  name: "Encrypt",
  usage: "ENCRYPT_DECRYPT",
  request: { Plaintext: PLAINTEXT, EncryptionContext: textMap(), EncryptionAlgorithm: ALGORITHM },
  run(key, { Plaintext, EncryptionContext, EncryptionAlgorithm = "SYMMETRIC_DEFAULT" }) {
    const encryption = { algorithm: EncryptionAlgorithm, context: EncryptionContext }
    const CiphertextBlob = encryptWith(key, encryption, Plaintext)
    return { KeyId: key.arn, CiphertextBlob, EncryptionAlgorithm }
  },
})

export const Decrypt = operation({
  request: {
    CiphertextBlob: CIPHERTEXT,
    EncryptionContext: textMap(),
    KeyId: KEY_ID,
    EncryptionAlgorithm: ALGORITHM,
    ...USE_FIELDS,
  },
  run(context, request) {
    const { EncryptionAlgorithm = "SYMMETRIC_DEFAULT" } = request
    const opening = {
      ciphertext: request.CiphertextBlob,
      algorithm: EncryptionAlgorithm,
      context: request.EncryptionContext,
      keyId: request.KeyId,
    }
    const { key, plaintext, keyMaterialId } = open(context, opening, "Decrypt")
    if (request.DryRun === true) throw recorded.dryRun()
    used(key, "Decrypt", context)
    return { KeyId: key.arn, Plaintext: plaintext, EncryptionAlgorithm, KeyMaterialId: keyMaterialId }
  },
})

export const ReEncrypt = operation({
  request: {
    CiphertextBlob: CIPHERTEXT,
    SourceEncryptionContext: textMap(),
    SourceKeyId: KEY_ID,
    SourceEncryptionAlgorithm: ALGORITHM,
    DestinationKeyId: required(KEY_ID),
    DestinationEncryptionContext: textMap(),
    DestinationEncryptionAlgorithm: ALGORITHM,
    ...USE_FIELDS,
  },
  run(context, request) {
    const { SourceEncryptionAlgorithm: oldAlgorithm = "SYMMETRIC_DEFAULT" } = request
    const { DestinationEncryptionAlgorithm: newAlgorithm = "SYMMETRIC_DEFAULT" } = request
    const opening = {
      ciphertext: request.CiphertextBlob,
      algorithm: oldAlgorithm,
      context: request.SourceEncryptionContext,
      keyId: request.SourceKeyId,
    }
    const source = open(context, opening, "ReEncrypt")
    const key = findKey(context, request.DestinationKeyId, "aliases")
    requireState(key, "use")
    requireUsage(key, "ENCRYPT_DECRYPT", "ReEncrypt")
    const encryption = { algorithm: newAlgorithm, context: request.DestinationEncryptionContext }
    const CiphertextBlob = encryptWith(key, encryption, source.plaintext)
    if (request.DryRun === true) throw recorded.dryRun()
    for (const either of [source.key, key]) used(either, "ReEncrypt", context)
    return {
      CiphertextBlob,
      SourceKeyId: source.key.arn,
      KeyId: key.arn,
      SourceEncryptionAlgorithm: oldAlgorithm,
      DestinationEncryptionAlgorithm: newAlgorithm,
      SourceKeyMaterialId: source.keyMaterialId,
      DestinationKeyMaterialId: newAlgorithm === "SYMMETRIC_DEFAULT" ? currentMaterial(key)?.id : undefined,
    }
  },
})
