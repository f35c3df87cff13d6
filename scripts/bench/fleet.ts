import { constants, publicEncrypt, createPublicKey, randomBytes, randomUUID } from "node:crypto"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { labelOf, newSourceKeyId } from "#src/core/key/source-key.js"
import { fileTexts } from "#src/store/files/file-texts.js"
import { storedInventory } from "#src/store/records/inventory.js"
import { storedVault } from "#src/store/records/vault.js"
import { kmsClient, type LocalKmsProcess } from "#test/support/local-kms.js"
import type { TestToken } from "#test/support/tokens.js"
import { measured } from "./command.js"

const AT_ONCE = 8
const OWNER = "bench"
const nameOf = (index: number): string => `planned-${index}`

/** Keys that are there and well: a manifest, a state directory, and what KMS holds. */
export interface Fleet {
  readonly keyArns: readonly string[]
  /** Of the commands that look at it. */
  readonly env: Readonly<Record<string, string | undefined>>
  /** Adds keys until there are so many; gives the manifest of those. */
  growTo(count: number): Promise<string>
  /** Deletes all material from KMS, as another client does, but the first key's, which the token alone knows. */
  lose(): Promise<void>
  /** Imports it again. */
  restore(): Promise<void>
}

/** One key is provisioned for real; its records are repeated for keys that KMS holds as well. */
export async function fleetOf(kms: LocalKmsProcess, token: TestToken, folder: string): Promise<Fleet> {
  const env = { ...kms.env, ...token.env, AWS_ENDPOINT_URL: undefined, KEYFERRY_STATE_DIR: join(folder, "state") }
  await measured(["apply", "--config", config(kms, token, folder, 1)], env)
  const inventory = storedInventory(fileTexts(join(folder, "state")))
  const vault = storedVault(fileTexts(join(folder, "state")))
  const entry = await inventory.get(nameOf(0), "here")
  const sealed = entry && (await vault.get(entry.source.id))
  const [record] = entry?.imports ?? []
  if (entry?.keyArn == null || sealed === undefined || record === undefined)
    throw new Error("the first key is not there")
  const keyArns = [entry.keyArn]
  const validTo = new Date(record.validTo ?? "")
  const sdk = kmsClient(kms)
  const materials = new Map<string, Buffer>()
  const importMaterial = async (KeyId: string, material: Buffer): Promise<string> => {
    const spec = { WrappingAlgorithm: "RSAES_OAEP_SHA_256", WrappingKeySpec: "RSA_2048" } as const
    const { PublicKey, ImportToken } = await sdk.getParametersForImport({ KeyId, ...spec })
    const key = createPublicKey({ key: Buffer.from(PublicKey ?? []), format: "der", type: "spki" })
    const padding = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: "sha256" }
    const EncryptedKeyMaterial = publicEncrypt({ key, ...padding }, material)
    const { KeyMaterialId = "" } = await sdk.importKeyMaterial({
      KeyId,
      ImportToken,
      EncryptedKeyMaterial,
      ValidTo: validTo,
    })
    return KeyMaterialId
  }
  const addKey = async (index: number): Promise<void> => {
    const name = nameOf(index)
    const id = newSourceKeyId()
    const label = labelOf({ owner: OWNER, name, generation: 0 })
    const requestId = randomUUID()
    const tags = {
      "keyferry:owner": OWNER,
      "keyferry:name": name,
      "keyferry:source": id,
      "keyferry:request": requestId,
    }
    const Tags = Object.entries(tags).map(([TagKey, TagValue]) => ({ TagKey, TagValue }))
    const { KeyMetadata } = await sdk.createKey({ Origin: "EXTERNAL", Tags })
    const KeyId = KeyMetadata?.Arn ?? ""
    const material = randomBytes(32)
    const keyMaterialId = await importMaterial(KeyId, material)
    materials.set(KeyId, material)
    const source = { ...entry.source, id, label }
    const imports = [{ ...record, keyMaterialId }]
    await inventory.put({ ...entry, name, requestId, keyArn: KeyId, source, imports })
    await vault.put({ ...sealed, name, id, label })
    keyArns[index] = KeyId
  }
  return {
    keyArns,
    env,
    async growTo(count) {
      const missing = Array.from({ length: count - keyArns.length }, (_, offset) => keyArns.length + offset)
      await atOnce(missing.map((index) => () => addKey(index)))
      return config(kms, token, folder, count)
    },
    lose: () => atOnce([...materials.keys()].map((KeyId) => () => sdk.deleteImportedKeyMaterial({ KeyId }))),
    restore: () =>
      atOnce(
        [...materials].map(
          ([keyArn, material]) =>
            () =>
              importMaterial(keyArn, material),
        ),
      ),
  }
}

function config(kms: LocalKmsProcess, token: TestToken, folder: string, keys: number): string {
  const path = join(folder, `keyferry-${keys}.yaml`)
  const names = Array.from({ length: keys }, (_, index) => nameOf(index))
  const lines = [
    "version: 1",
    `id: ${OWNER}`,
    "tokens:",
    `  primary: { uri: ${JSON.stringify(token.uri.replace(/&pin-source=[^&]*/, ""))}, pin: { file: ${token.pinFile} } }`,
    `targets:\n  here: { region: us-east-1, endpoint: ${JSON.stringify(kms.endpoint)} }`,
    "keys:",
    ...names.map((name) => `  ${name}:\n    keySpec: SYMMETRIC_DEFAULT\n    expiresIn: 90d`),
  ]
  writeFileSync(path, `${lines.join("\n")}\n`)
  return path
}

/** Does all of it, a few at a time. */
export async function atOnce(work: readonly (() => Promise<unknown>)[]): Promise<void> {
  const queue = [...work]
  const worker = async (): Promise<void> => {
    for (let next = queue.pop(); next !== undefined; next = queue.pop()) await next()
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
}
