import { execFile } from "node:child_process"
import { promisify } from "node:util"
import type { KMS } from "@aws-sdk/client-kms"
import { kmsClient, type LocalKmsProcess } from "../../support/local-kms.js"
import { type Region, REGIONS } from "./fleet.js"

const PLAINTEXT = Buffer.from("what was encrypted before")
const AT_A_TIME = 16

/** A KMS key in one Region as KMS has it. */
export interface KmsKey {
  readonly arn: string
  readonly region: Region
  readonly state: string
  /** Of each generation. */
  readonly materials: readonly string[]
}

/** What another client than keyferry sees and does in all Regions. */
export interface OtherClient extends Disposable {
  /** By ARN, sorted. */
  keys(): Promise<readonly KmsKey[]>
  /** Encrypts under the current material of each key. */
  encryptAll(keys: readonly KmsKey[]): Promise<readonly Uint8Array[]>
  /** ARNs of the keys under which a ciphertext is not decrypted to what it was made of. */
  undecryptable(keys: readonly KmsKey[], ciphertexts: readonly Uint8Array[]): Promise<readonly string[]>
  /** Deletes every material of each key; of the first so many keys by the AWS CLI, which takes a second each. */
  deleteAll(keys: readonly KmsKey[], byAwsCli: number): Promise<void>
}

export function otherClient(kms: LocalKmsProcess): OtherClient {
  const clients = new Map(REGIONS.map((region) => [region, kmsClient(kms, region)]))
  const of = ({ region }: Pick<KmsKey, "region">): KMS => {
    const client = clients.get(region)
    if (client === undefined) throw new Error(`no client in ${region}`)
    return client
  }
  return {
    async keys() {
      const found = await Promise.all(
        REGIONS.map(async (region) => {
          const sdk = of({ region })
          const arns: string[] = []
          let marker: string | undefined
          do {
            const page = await sdk.listKeys({ Limit: 1000, Marker: marker })
            arns.push(...(page.Keys ?? []).map(({ KeyArn = "" }) => KeyArn))
            marker = page.NextMarker
          } while (marker !== undefined)
          return await each(arns, async (arn): Promise<KmsKey> => {
            const { KeyMetadata } = await sdk.describeKey({ KeyId: arn })
            const { Rotations = [] } = await sdk.listKeyRotations({
              KeyId: arn,
              IncludeKeyMaterial: "ALL_KEY_MATERIAL",
            })
            const materials = Rotations.map(({ KeyMaterialId = "" }) => KeyMaterialId).sort()
            return { arn, region, state: KeyMetadata?.KeyState ?? "", materials }
          })
        }),
      )
      return found.flat().sort((a, b) => (a.arn < b.arn ? -1 : 1))
    },
    encryptAll: (keys) =>
      each(keys, async (key) => {
        const { CiphertextBlob } = await of(key).encrypt({ KeyId: key.arn, Plaintext: PLAINTEXT })
        return CiphertextBlob ?? new Uint8Array()
      }),
    async undecryptable(keys, ciphertexts) {
      const wrong = await each([...keys.entries()], async ([index, key]) => {
        const { Plaintext } = await of(key).decrypt({ KeyId: key.arn, CiphertextBlob: ciphertexts[index] })
        return PLAINTEXT.equals(Plaintext ?? new Uint8Array()) ? [] : [key.arn]
      })
      return wrong.flat()
    },
    async deleteAll(keys, byAwsCli) {
      // Debian's AWS CLI is older than material IDs: it deletes the only material that there is
      const chosen = keys.filter(({ materials }) => materials.length === 1).slice(0, byAwsCli)
      for (const { arn, region } of chosen) await deleteByAwsCli(kms, [region, arn])
      const others = keys.filter((key) => !chosen.includes(key))
      await each(others, async (key) => {
        for (const KeyMaterialId of key.materials) {
          await of(key).deleteImportedKeyMaterial({ KeyId: key.arn, KeyMaterialId })
        }
      })
    },
    [Symbol.dispose]() {
      for (const client of clients.values()) client.destroy()
    },
  }
}

async function deleteByAwsCli(kms: LocalKmsProcess, [region, arn]: [string, string]): Promise<void> {
  const place = ["--endpoint-url", kms.endpoint, "--region", region]
  const args = ["kms", "delete-imported-key-material", ...place, "--key-id", arn]
  const env = { ...kms.env, HOME: process.env["HOME"] ?? "/" }
  await promisify(execFile)("aws", args, { env })
}

/** So many at a time; outcomes in the order of the rows. */
async function each<T, R>(rows: readonly T[], work: (row: T) => Promise<R>): Promise<readonly R[]> {
  const done: R[] = []
  const remaining = rows.entries()
  const lane = async (): Promise<void> => {
    for (const [index, row] of remaining) done[index] = await work(row)
  }
  await Promise.all(Array.from({ length: AT_A_TIME }, lane))
  return done
}
