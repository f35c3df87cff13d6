import { isWrappingKeySpec } from "../../core/key/key-spec.js"
import { GRANT_LIFETIME, openToken, sealToken } from "../crypto/import-token.js"
import { deleteMaterial, importMaterial, isSymmetric } from "../state/material.js"
import { keyOperation } from "./operation.js"
import { readPlaintext } from "../crypto/plaintext.js"
import { CHINA, isAsymmetric } from "../protocol/key-spec.js"
import { documented, recorded } from "../protocol/refusal.js"
import { blob, instant, oneOf, required, text } from "../protocol/request.js"
import { isPrimary, type Key, partitionOf } from "../state/state.js"
import { unwrap, WRAPPING_ALGORITHMS, wrappingAllowed } from "../crypto/unwrap.js"
import { spkiOf } from "../crypto/wrapping-keys.js"

const YEAR = 365 * 24 * 3600 * 1000
const KEY_MATERIAL_ID = text({ min: 64, max: 64, pattern: /^[a-f0-9]+$/ })

export const GetParametersForImport = keyOperation({
  state: "getParameters",
  request: {
    WrappingAlgorithm: required(oneOf(WRAPPING_ALGORITHMS)),
    WrappingKeySpec: required(oneOf(["RSA_2048", "RSA_3072", "RSA_4096", "SM2"])),
  },
  async run(
    key,
    { WrappingAlgorithm: algorithm, WrappingKeySpec: spec },
    { state, region, now, wrappingKeys, changes },
  ) {
    const isChina = partitionOf(region.name) === CHINA
    if (isChina && algorithm === "SM2PKE" && isAsymmetric(key.keySpec)) {
      throw documented.unsupported("the local KMS lends no SM2 wrapping keys: it does not have SM2PKE")
    }
    const isMissing = isChina && algorithm.startsWith("RSA_AES_KEY_WRAP")
    if (!isWrappingKeySpec(spec) || isMissing || !wrappingAllowed(key.keySpec, algorithm, spec)) {
      throw recorded.wrapping(algorithm, spec, key.keySpec)
    }
    const expiresAt = now + GRANT_LIFETIME
    const pair = await wrappingKeys.lend(region, spec, { now, until: expiresAt })
    // it has to outlive a restart
    changes.ofWrappingKey(region, pair)
    const grant = { keyArn: key.arn, wrappingKeyId: pair.id, algorithm, expiresAt }
    return {
      KeyId: key.arn,
      ImportToken: sealToken(state.secret, grant),
      PublicKey: spkiOf(pair),
      ParametersValidTo: expiresAt / 1000,
    }
  },
})

interface Expiry {
  readonly ExpirationModel: "KEY_MATERIAL_EXPIRES" | "KEY_MATERIAL_DOES_NOT_EXPIRE" | undefined
  readonly ValidTo: number | undefined
}

/** When the material dies; KMS cuts the date to whole seconds. */
function readExpiry({ ExpirationModel = "KEY_MATERIAL_EXPIRES", ValidTo }: Expiry, now: number): number | undefined {
  if (ExpirationModel === "KEY_MATERIAL_DOES_NOT_EXPIRE") {
    if (ValidTo !== undefined) throw recorded.validToSuperfluous()
    return undefined
  }
  if (ValidTo === undefined) throw recorded.validToMissing()
  const validTo = Math.floor(ValidTo / 1000) * 1000
  if (validTo <= now) throw recorded.validToPast()
  if (validTo >= now + YEAR) throw recorded.validToFar()
  return validTo
}

/** Members that only symmetric encryption keys take, with the names that KMS gives them in its answer. */
const SYMMETRIC_ONLY = {
  ImportType: "importType",
  KeyMaterialId: "keyMaterialId",
  KeyMaterialDescription: "keyMaterialDescription",
} as const

function checkFamily(key: Key, request: Readonly<Record<keyof typeof SYMMETRIC_ONLY, string | undefined>>): void {
  if (isSymmetric(key.keySpec)) {
    if (request.ImportType === "NEW_KEY_MATERIAL" && request.KeyMaterialId !== undefined) {
      throw recorded.idWithNewMaterial()
    }
    return
  }
  const names = Object.keys(SYMMETRIC_ONLY) as (keyof typeof SYMMETRIC_ONLY)[]
  const forbidden = names.find((name) => request[name] !== undefined)
  if (forbidden !== undefined) throw recorded.notForFamily(SYMMETRIC_ONLY[forbidden], key.keySpec)
}

function checkReplica(key: Key, request: Readonly<Record<keyof typeof SYMMETRIC_ONLY, string | undefined>>): void {
  if (isPrimary(key)) return
  if (request.ImportType === "NEW_KEY_MATERIAL") throw recorded.newMaterialOnReplica()
  if (request.KeyMaterialDescription !== undefined) throw recorded.descriptionOnReplica()
}

export const ImportKeyMaterial = keyOperation({
  state: "importMaterial",
  mutates: true,
  request: {
    ImportToken: required(blob({ max: 6144 })),
    EncryptedKeyMaterial: required(blob({ max: 6144 })),
    ValidTo: instant(),
    ExpirationModel: oneOf(["KEY_MATERIAL_EXPIRES", "KEY_MATERIAL_DOES_NOT_EXPIRE"]),
    ImportType: oneOf(["NEW_KEY_MATERIAL", "EXISTING_KEY_MATERIAL"]),
    KeyMaterialDescription: text({ min: 0, max: 256, pattern: /^[a-zA-Z0-9:/_\s.-]+$/ }),
    KeyMaterialId: KEY_MATERIAL_ID,
  },
  run(key, request, { state, region, now }) {
    checkFamily(key, request)
    checkReplica(key, request)
    const validTo = readExpiry(request, now)
    const grant = openToken(state.secret, request.ImportToken, key.arn, now)
    const wrappingKey = region.wrappingKeys.get(grant.wrappingKeyId)
    if (wrappingKey === undefined) throw recorded.invalidImportToken()
    const bytes = unwrap(wrappingKey, grant.algorithm, request.EncryptedKeyMaterial)
    const plaintext = readPlaintext(bytes, key.keySpec, partitionOf(region.name))
    const material = importMaterial(key, plaintext, {
      importType: request.ImportType,
      keyMaterialId: request.KeyMaterialId,
      description: request.KeyMaterialDescription,
      validTo,
    })
    return { KeyId: key.arn, KeyMaterialId: isSymmetric(key.keySpec) ? material.id : undefined }
  },
})

export const DeleteImportedKeyMaterial = keyOperation({
  state: "deleteMaterial",
  mutates: true,
  request: { KeyMaterialId: KEY_MATERIAL_ID },
  run(key, { KeyMaterialId }) {
    const symmetric = isSymmetric(key.keySpec)
    if (!symmetric && KeyMaterialId !== undefined) throw recorded.notForFamily("keyMaterialId", key.keySpec)
    const deleted = deleteMaterial(key, KeyMaterialId)
    return { KeyId: key.arn, KeyMaterialId: symmetric ? deleted?.id : undefined }
  },
})
