import { errorOf, KeyferryError } from "../core/base/error.js"
import { rfc3339 } from "../core/base/expiry.js"
import type { KeyRotation } from "../core/key/rotation.js"
import type { Kms } from "../core/ports/kms.js"
import { Secret } from "../core/base/secret.js"
import { parseWrappingKey } from "../core/key/wrapping-key.js"
import { ANSWERS } from "./answer.js"
import { ofOtherKey, otherThan } from "./call.js"
import { Entries, paged } from "./listing.js"
import type { Session } from "./session.js"

/** Most entries a page of ListKeyRotations. */
const PAGE = { rotations: 1000 }
/** A key has at most 26 materials. */
const MOST_PAGES = 50
/** Import parameters are valid for 24 hours; an hour more is a clock of theirs. */
const LONGEST_VALID_MS = 25 * 3_600_000

interface OfKey {
  readonly KeyId?: string | undefined
}

interface OfMaterial extends OfKey {
  readonly KeyMaterialId?: string | undefined
}

/** Key material: imported, deleted, rotated. */
export function materialOperations({
  call,
  serverTime,
}: Session): Pick<
  Kms,
  | "getParametersForImport"
  | "importKeyMaterial"
  | "deleteImportedKeyMaterial"
  | "listKeyRotations"
  | "rotateKeyOnDemand"
  | "keyRotationStatus"
> {
  return {
    async getParametersForImport(keyArn, wrappingAlgorithm, wrappingKeySpec) {
      const operation = "GetParametersForImport"
      const input = { KeyId: keyArn, WrappingAlgorithm: wrappingAlgorithm, WrappingKeySpec: wrappingKeySpec }
      const contradiction = ({ KeyId }: OfKey): string | null => ofOtherKey(KeyId, keyArn)
      const request = { operation, input, keyId: keyArn, answer: ANSWERS.GetParametersForImport, contradiction }
      const { answer, requestId } = await call(request)
      const { ParametersValidTo: parametersValidTo = null } = answer
      try {
        const wrappingKey = parseWrappingKey(answer.PublicKey, wrappingKeySpec)
        refuseOtherThanADay(parametersValidTo, serverTime())
        return {
          keyArn: answer.KeyId,
          wrappingAlgorithm,
          wrappingKeySpec,
          wrappingKey,
          importToken: new Secret(answer.ImportToken),
          parametersValidTo,
          requestId,
        }
      } catch (error) {
        throw errorOf(error, keyArn)
      }
    },

    async importKeyMaterial(keyArn, importToken, encryptedKeyMaterial, { validTo, importType, keyMaterialId }) {
      const operation = "ImportKeyMaterial"
      const input = {
        KeyId: keyArn,
        ImportToken: importToken.reveal(),
        EncryptedKeyMaterial: encryptedKeyMaterial,
        ...(validTo === null
          ? { ExpirationModel: "KEY_MATERIAL_DOES_NOT_EXPIRE" as const }
          : { ExpirationModel: "KEY_MATERIAL_EXPIRES" as const, ValidTo: validTo }),
        ...(importType === undefined ? {} : { ImportType: importType }),
        ...(keyMaterialId === undefined ? {} : { KeyMaterialId: keyMaterialId }),
      }
      const contradiction = ({ KeyId, KeyMaterialId }: OfMaterial): string | null =>
        ofOtherKey(KeyId, keyArn) ?? notPinned(KeyMaterialId, keyMaterialId)
      const request = { operation, input, keyId: keyArn, answer: ANSWERS.ImportKeyMaterial, contradiction }
      try {
        const { answer, requestId, keyExchange } = await call(request)
        return { keyMaterialId: answer.KeyMaterialId ?? null, requestId, keyExchange }
      } catch (error) {
        const associated = associatedId(error)
        if (associated === null) throw error
        return { keyMaterialId: associated, requestId: null, associated: true }
      }
    },

    async deleteImportedKeyMaterial(keyArn, keyMaterialId) {
      const operation = "DeleteImportedKeyMaterial"
      const input = { KeyId: keyArn, ...(keyMaterialId === null ? {} : { KeyMaterialId: keyMaterialId }) }
      const contradiction = ({ KeyId, KeyMaterialId }: OfMaterial): string | null =>
        ofOtherKey(KeyId, keyArn) ??
        (keyMaterialId === null ? null : otherThan("key material", KeyMaterialId, keyMaterialId))
      const request = { operation, input, keyId: keyArn, answer: ANSWERS.DeleteImportedKeyMaterial, contradiction }
      await call(request)
    },

    async listKeyRotations(keyArn) {
      const operation = "ListKeyRotations"
      const pages = paged({ operation, most: MOST_PAGES }, async (marker) => {
        const input = {
          KeyId: keyArn,
          IncludeKeyMaterial: "ALL_KEY_MATERIAL",
          Limit: PAGE.rotations,
          ...marker,
        } as const
        const contradiction = ({ Rotations }: { Rotations: readonly { keyName: string | undefined }[] }) =>
          Rotations.map(({ keyName }) => ofOtherKey(keyName, keyArn)).find((words) => words !== null) ?? null
        const request = { operation, input, keyId: keyArn, answer: ANSWERS.ListKeyRotations, contradiction }
        return (await call(request)).answer
      })
      const entries = new Entries(operation)
      const rotations: KeyRotation[] = []
      for await (const { Rotations } of pages) {
        for (const { rotation } of Rotations) {
          if (entries.isNew(rotation.keyMaterialId, rotation)) rotations.push(rotation)
        }
      }
      return rotations
    },

    async rotateKeyOnDemand(keyArn) {
      const input = { KeyId: keyArn }
      const contradiction = ({ KeyId }: OfKey): string | null => ofOtherKey(KeyId, keyArn)
      const answer = ANSWERS.RotateKeyOnDemand
      await call({ operation: "RotateKeyOnDemand", input, keyId: keyArn, answer, contradiction })
    },

    async keyRotationStatus(keyArn) {
      const input = { KeyId: keyArn }
      const contradiction = ({ KeyId }: OfKey): string | null => ofOtherKey(KeyId, keyArn)
      const { answer } = await call({
        operation: "GetKeyRotationStatus",
        input,
        keyId: keyArn,
        answer: ANSWERS.GetKeyRotationStatus,
        contradiction,
      })
      return { onDemandRotationStartDate: answer.OnDemandRotationStartDate ?? null }
    },
  }
}

/** An import that is pinned is of that material or of none that is known: then it proves nothing (invariant I10). */
function notPinned(answered: string | undefined, pinned: string | undefined): string | null {
  if (pinned === undefined || answered === pinned) return null
  return `names ${answered === undefined ? "no key material" : `key material ${answered}`}, where ${pinned} was imported`
}

/** Refuses parameters that KMS would not give: their end is past already, or further away than a day. */
function refuseOtherThanADay(end: Date | null, serverTime: Date | null): void {
  if (end === null || serverTime === null) return
  const lifeMs = end.getTime() - serverTime.getTime()
  if (lifeMs > 0 && lifeMs <= LONGEST_VALID_MS) return
  const message = `GetParametersForImport: the answer is valid until ${rfc3339(end)}, and not for a day`
  throw new KeyferryError("ERR_KMS_ANSWER", message)
}

/** KMS' words where material that is imported as new is the KMS key's already, as a lost answer leaves it. */
const ASSOCIATED = /\(id: ([0-9a-f]{64})\) being imported as NEW_KEY_MATERIAL is already associated/

function associatedId(error: unknown): string | null {
  const [cause] = error instanceof KeyferryError && error.code === "ERR_KMS_KEY_MATERIAL" ? error.causes : []
  return ASSOCIATED.exec(cause?.message ?? "")?.[1] ?? null
}
