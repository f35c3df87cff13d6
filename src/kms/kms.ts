import {
  CreateAliasCommand,
  CreateKeyCommand,
  DescribeKeyCommand,
  GetParametersForImportCommand,
  GetPublicKeyCommand,
  ImportKeyMaterialCommand,
  ListKeyRotationsCommand,
  ListKeysCommand,
  ListResourceTagsCommand,
  type MacAlgorithmSpec,
  TagResourceCommand,
  VerifyMacCommand,
} from "@aws-sdk/client-kms"
import { errorOf, KeyferryError } from "../core/error.js"
import type { KeyRotation, Kms } from "../core/ports.js"
import { Secret } from "../core/secret.js"
import { parseWrappingKey } from "../core/wrapping-key.js"
import { createdKey, keyDescription, required, requiredBytes, sameKey } from "./answer.js"
import { caller, type KmsCall, paged } from "./call.js"
import { type KmsOptions, openClients } from "./client.js"
import { watchServerTime } from "./server-time.js"

/** Most entries a page (ListKeys, ListResourceTags, ListKeyRotations). */
const PAGE = { keys: 1000, tags: 50, rotations: 1000 }
/** GetParametersForImport: ImportToken and PublicKey. */
const MOST_BYTES = { importToken: 6144, publicKey: 4096 }
const GET_PUBLIC_KEY_MOST_BYTES = 8192

/**
 * Opens KMS in one account and Region. Nothing is sent until a method is called; disposing it closes its connections.
 *
 * @throws ERR_KMS_REGION_MISSING, ERR_KMS_ENDPOINT_REFUSED, ERR_INPUT_UNREADABLE
 */
export async function openKms(
  options: KmsOptions & { readonly onCall?: (call: KmsCall) => void },
): Promise<Kms & Disposable> {
  const { region, endpoint, kms: client, sts } = await openClients(options)
  const call = caller(options.onCall)
  const serverTime = watchServerTime(client)

  return {
    region,
    endpoint,
    serverTime,

    async callerIdentity() {
      const operation = "sts:GetCallerIdentity"
      const output = await call({ operation, input: {} }, async () => {
        const { GetCallerIdentityCommand } = await import("@aws-sdk/client-sts")
        return (await sts()).send(new GetCallerIdentityCommand({}))
      })
      return {
        account: required(output.Account, operation, "Account"),
        arn: required(output.Arn, operation, "Arn"),
      }
    },

    async createKey({ keySpec, keyUsage, description, multiRegion, tags }) {
      const input = {
        Origin: "EXTERNAL",
        KeySpec: keySpec,
        KeyUsage: keyUsage,
        ...(description === null ? {} : { Description: description }),
        ...(multiRegion ? { MultiRegion: true } : {}),
        Tags: tagList(tags),
      } as const
      const output = await call({ operation: "CreateKey", input }, () => client.send(new CreateKeyCommand(input)))
      return { key: createdKey(output.KeyMetadata), requestId: output.$metadata.requestId ?? null }
    },

    async describeKey(keyId) {
      const input = { KeyId: keyId }
      const output = await call({ operation: "DescribeKey", input, keyId }, () =>
        client.send(new DescribeKeyCommand(input)),
      )
      return keyDescription(output.KeyMetadata, "DescribeKey")
    },

    async *listKeys() {
      const pages = paged("ListKeys", (marker) => {
        const input = { Limit: PAGE.keys, ...marker }
        return call({ operation: "ListKeys", input }, () => client.send(new ListKeysCommand(input)))
      })
      for await (const { Keys = [] } of pages) {
        for (const { KeyId, KeyArn } of Keys) {
          yield { keyId: required(KeyId, "ListKeys", "KeyId"), keyArn: required(KeyArn, "ListKeys", "KeyArn") }
        }
      }
    },

    async listResourceTags(keyId) {
      const pages = paged("ListResourceTags", (marker) => {
        const input = { KeyId: keyId, Limit: PAGE.tags, ...marker }
        return call({ operation: "ListResourceTags", input, keyId }, () =>
          client.send(new ListResourceTagsCommand(input)),
        )
      })
      const tags: Record<string, string> = {}
      for await (const { Tags = [] } of pages) {
        for (const { TagKey, TagValue } of Tags) {
          tags[required(TagKey, "ListResourceTags", "TagKey")] = TagValue ?? ""
        }
      }
      return tags
    },

    async tagResource(keyId, tags) {
      const input = { KeyId: keyId, Tags: tagList(tags) }
      await call({ operation: "TagResource", input, keyId }, () => client.send(new TagResourceCommand(input)))
    },

    async createAlias(alias, keyId) {
      const input = { AliasName: alias, TargetKeyId: keyId }
      await call({ operation: "CreateAlias", input, keyId: alias }, () => client.send(new CreateAliasCommand(input)))
    },

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
      const output = await call({ operation, input, keyId: keyArn }, () =>
        client.send(new ImportKeyMaterialCommand(input)),
      )
      // before June 2025 KMS answered nothing, and so do emulators of that time
      if (output.KeyId !== undefined) sameKey(output.KeyId, keyArn, operation)
      return { keyMaterialId: output.KeyMaterialId ?? null, requestId: output.$metadata.requestId ?? null }
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
            validTo: entry.ValidTo ?? null,
          })
        }
      }
      return rotations
    },

    async getPublicKey(keyArn) {
      const operation = "GetPublicKey"
      const input = { KeyId: keyArn }
      const output = await call({ operation, input, keyId: keyArn }, () => client.send(new GetPublicKeyCommand(input)))
      if (output.KeyId !== undefined) sameKey(output.KeyId, keyArn, operation)
      return requiredBytes(output.PublicKey, { operation, name: "PublicKey", most: GET_PUBLIC_KEY_MOST_BYTES })
    },

    async verifyMac(keyArn, message, mac, algorithm) {
      const operation = "VerifyMac"
      const input = { KeyId: keyArn, Message: message, Mac: mac, MacAlgorithm: algorithm as MacAlgorithmSpec }
      try {
        const output = await call({ operation, input, keyId: keyArn }, () => client.send(new VerifyMacCommand(input)))
        return required(output.MacValid, operation, "MacValid")
      } catch (error) {
        if (error instanceof KeyferryError && error.causes[0]?.code === "KMSInvalidMacException") return false
        throw error
      }
    },

    [Symbol.dispose]() {
      client.destroy()
    },
  }
}

function tagList(tags: Readonly<Record<string, string>>): { TagKey: string; TagValue: string }[] {
  return Object.entries(tags).map(([TagKey, TagValue]) => ({ TagKey, TagValue }))
}
