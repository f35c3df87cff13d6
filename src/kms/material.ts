import {
  DeleteImportedKeyMaterialCommand,
  GetKeyRotationStatusCommand,
  GetParametersForImportCommand,
  ImportKeyMaterialCommand,
  type ImportKeyMaterialCommandOutput,
  ListKeyRotationsCommand,
  RotateKeyOnDemandCommand,
} from "@aws-sdk/client-kms"
import { errorOf, KeyferryError } from "../core/base/error.js"
import type { KeyRotation } from "../core/key/rotation.js"
import type { Kms } from "../core/ports/kms.js"
import { Secret } from "../core/base/secret.js"
import { parseWrappingKey } from "../core/key/wrapping-key.js"
import { required, requiredBytes, sameKey } from "./answer.js"
import { paged } from "./call.js"
import type { Session } from "./session.js"

/** Most entries a page of ListKeyRotations. */
const PAGE = { rotations: 1000 }
/** GetParametersForImport: ImportToken and PublicKey. */
const MOST_BYTES = { importToken: 6144, publicKey: 4096 }

/** Key material: imported, deleted, rotated. */
export function materialOperations({
  client,
  call,
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
      const output = await call({ operation, input, keyId: keyArn }, () =>
        client.send(new GetParametersForImportCommand(input)),
      )
      const publicKey = { operation, name: "PublicKey", most: MOST_BYTES.publicKey }
      const importToken = { operation, name: "ImportToken", most: MOST_BYTES.importToken }
      try {
        return {
          keyArn: sameKey(required(output.KeyId, operation, "KeyId"), keyArn, operation),
          wrappingAlgorithm,
          wrappingKeySpec,
          wrappingKey: parseWrappingKey(requiredBytes(output.PublicKey, publicKey), wrappingKeySpec),
          importToken: new Secret(requiredBytes(output.ImportToken, importToken)),
          parametersValidTo: output.ParametersValidTo ?? null,
          requestId: output.$metadata.requestId ?? null,
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
      let output: ImportKeyMaterialCommandOutput
      try {
        output = await call({ operation, input, keyId: keyArn }, () => client.send(new ImportKeyMaterialCommand(input)))
      } catch (error) {
        const associated = associatedId(error)
        if (associated === null) throw error
        return { keyMaterialId: associated, requestId: null, associated: true }
      }
      // before June 2025 KMS answered nothing, and so do emulators of that time
      if (output.KeyId !== undefined) sameKey(output.KeyId, keyArn, operation)
      return { keyMaterialId: output.KeyMaterialId ?? null, requestId: output.$metadata.requestId ?? null }
    },

    async deleteImportedKeyMaterial(keyArn, keyMaterialId) {
      const input = { KeyId: keyArn, ...(keyMaterialId === null ? {} : { KeyMaterialId: keyMaterialId }) }
      await call({ operation: "DeleteImportedKeyMaterial", input, keyId: keyArn }, () =>
        client.send(new DeleteImportedKeyMaterialCommand(input)),
      )
    },

    async listKeyRotations(keyArn) {
      const operation = "ListKeyRotations"
      const pages = paged(operation, (marker) => {
        const input = {
          KeyId: keyArn,
          IncludeKeyMaterial: "ALL_KEY_MATERIAL",
          Limit: PAGE.rotations,
          ...marker,
        } as const
        return call({ operation, input, keyId: keyArn }, () => client.send(new ListKeyRotationsCommand(input)))
      })
      const rotations: KeyRotation[] = []
      for await (const { Rotations = [] } of pages) {
        for (const entry of Rotations) {
          rotations.push({
            keyMaterialId: required(entry.KeyMaterialId, operation, "KeyMaterialId"),
            importState: entry.ImportState ?? null,
            keyMaterialState: entry.KeyMaterialState ?? null,
            expirationModel: entry.ExpirationModel ?? null,
            validTo: entry.ValidTo ?? null,
            rotationDate: entry.RotationDate ?? null,
            rotationType: entry.RotationType ?? null,
          })
        }
      }
      return rotations
    },

    async rotateKeyOnDemand(keyArn) {
      const input = { KeyId: keyArn }
      await call({ operation: "RotateKeyOnDemand", input, keyId: keyArn }, () =>
        client.send(new RotateKeyOnDemandCommand(input)),
      )
    },

    async keyRotationStatus(keyArn) {
      const input = { KeyId: keyArn }
      const output = await call({ operation: "GetKeyRotationStatus", input, keyId: keyArn }, () =>
        client.send(new GetKeyRotationStatusCommand(input)),
      )
      return { onDemandRotationStartDate: output.OnDemandRotationStartDate ?? null }
    },
  }
}

/** KMS' words where material that is imported as new is the KMS key's already, as a lost answer leaves it. */
const ASSOCIATED = /\(id: ([0-9a-f]{64})\) being imported as NEW_KEY_MATERIAL is already associated/

function associatedId(error: unknown): string | null {
  const [cause] = error instanceof KeyferryError && error.code === "ERR_KMS_KEY_MATERIAL" ? error.causes : []
  return ASSOCIATED.exec(cause?.message ?? "")?.[1] ?? null
}
