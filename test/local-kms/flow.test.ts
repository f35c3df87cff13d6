import { randomBytes } from "node:crypto"
import {
  CreateKeyCommand,
  DecryptCommand,
  DescribeKeyCommand,
  EncryptCommand,
  GetParametersForImportCommand,
  ImportKeyMaterialCommand,
  type KMSClient,
} from "@aws-sdk/client-kms"
import { expect } from "chai"
import { kmsClient, type LocalKmsProcess, startLocalKms } from "#test/support/local-kms.js"
import { wrapOaep } from "#test/support/openssl.js"

describe("local KMS: the main flow", () => {
  let kms: LocalKmsProcess
  let client: KMSClient
  before(async () => {
    kms = await startLocalKms()
    client = kmsClient(kms)
  })
  after(() => kms.stop())

  it("takes a symmetric key that OpenSSL wrapped and uses it", async () => {
    const { KeyMetadata: made } = await client.send(new CreateKeyCommand({ Origin: "EXTERNAL" }))
    expect(made).to.include({ KeyState: "PendingImport", Enabled: false, Origin: "EXTERNAL" })
    const KeyId = made?.KeyId
    const parameters = await client.send(
      new GetParametersForImportCommand({
        KeyId,
        WrappingAlgorithm: "RSAES_OAEP_SHA_256",
        WrappingKeySpec: "RSA_2048",
      }),
    )
    const { KeyMaterialId } = await client.send(
      new ImportKeyMaterialCommand({
        KeyId,
        ImportToken: parameters.ImportToken,
        EncryptedKeyMaterial: wrapOaep(parameters.PublicKey!, randomBytes(32), "sha256"),
        ExpirationModel: "KEY_MATERIAL_DOES_NOT_EXPIRE",
      }),
    )
    const { KeyMetadata: imported } = await client.send(new DescribeKeyCommand({ KeyId }))
    expect(imported).to.include({ KeyState: "Enabled", Enabled: true, CurrentKeyMaterialId: KeyMaterialId })
    const { CiphertextBlob } = await client.send(new EncryptCommand({ KeyId, Plaintext: Buffer.from("plaintext") }))
    expect(Buffer.from(CiphertextBlob!).subarray(5, 37).toString("hex")).to.equal(KeyMaterialId)
    const { Plaintext } = await client.send(new DecryptCommand({ CiphertextBlob }))
    expect(Buffer.from(Plaintext!).toString()).to.equal("plaintext")
  })
})
