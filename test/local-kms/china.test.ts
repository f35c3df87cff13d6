import { constants, createPublicKey, publicEncrypt, randomBytes } from "node:crypto"
import type { AlgorithmSpec, KMS } from "@aws-sdk/client-kms"
import { expect } from "chai"
import { kmsClient, type LocalKmsProcess, startLocalKms } from "#test/support/local-kms.js"

const REGION = "cn-north-1"

describe("the local KMS of a China Region", () => {
  let local: LocalKmsProcess
  let client: KMS
  before(async () => {
    local = await startLocalKms({ regions: [REGION] })
    client = kmsClient(local, REGION)
  })
  after(async () => {
    client.destroy()
    await local.stop()
  })

  const parameters = (KeyId: string, WrappingAlgorithm: AlgorithmSpec) =>
    client.getParametersForImport({ KeyId, WrappingAlgorithm, WrappingKeySpec: "RSA_4096" })

  async function importBytes(length: number) {
    const { KeyMetadata } = await client.createKey({ Origin: "EXTERNAL" })
    const KeyId = KeyMetadata?.Arn ?? ""
    const { PublicKey = new Uint8Array(), ImportToken } = await parameters(KeyId, "RSAES_OAEP_SHA_256")
    const key = createPublicKey({ key: Buffer.from(PublicKey), format: "der", type: "spki" })
    const padding = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: "sha256" }
    const EncryptedKeyMaterial = publicEncrypt({ key, ...padding }, randomBytes(length))
    const ExpirationModel = "KEY_MATERIAL_DOES_NOT_EXPIRE"
    await client.importKeyMaterial({ KeyId, ImportToken, EncryptedKeyMaterial, ExpirationModel })
    return KeyId
  }

  it("is of partition aws-cn, and takes 128 bits for SYMMETRIC_DEFAULT, which is SM4 there", async () => {
    const KeyId = await importBytes(16)
    expect(KeyId).to.match(/^arn:aws-cn:kms:cn-north-1:/)
    const { CiphertextBlob } = await client.encrypt({ KeyId, Plaintext: Buffer.from("text") })
    const { Plaintext } = await client.decrypt({ CiphertextBlob })
    expect(Buffer.from(Plaintext ?? []).toString()).to.equal("text")
    const refusal = await importBytes(32).catch((error: unknown) => error)
    expect(refusal).to.include({ name: "InvalidCiphertextException" })
  })

  it("knows no RSA_AES_KEY_WRAP", async () => {
    const { KeyMetadata } = await client.createKey({ Origin: "EXTERNAL", KeySpec: "RSA_2048", KeyUsage: "SIGN_VERIFY" })
    const refusal = await parameters(KeyMetadata?.Arn ?? "", "RSA_AES_KEY_WRAP_SHA_256").catch(
      (error: unknown) => error,
    )
    expect(refusal).to.include({ name: "ValidationException" })
  })
})
