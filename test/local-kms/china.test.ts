import { constants, createPublicKey, generateKeyPairSync, publicEncrypt, randomBytes } from "node:crypto"
import type { AlgorithmSpec, KeyUsageType, KMS } from "@aws-sdk/client-kms"
import { expect } from "chai"
import { refusalOf, wrapWith } from "../support/local-kms-fixture.js"
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

  it("imports SM2, shows its public key, and says what it does not have", async () => {
    const made = (KeyUsage: KeyUsageType) => client.createKey({ Origin: "EXTERNAL", KeySpec: "SM2", KeyUsage })
    const [signer, agreement, encrypting] = await Promise.all(
      (["SIGN_VERIFY", "KEY_AGREEMENT", "ENCRYPT_DECRYPT"] as const).map(async (usage) => {
        const { KeyMetadata } = await made(usage)
        return KeyMetadata?.Arn ?? ""
      }),
    )
    const pair = generateKeyPairSync("ec", { namedCurve: "SM2" })
    const material = pair.privateKey.export({ format: "der", type: "pkcs8" })
    for (const KeyId of [signer, agreement, encrypting]) {
      const { PublicKey = new Uint8Array(), ImportToken } = await parameters(KeyId ?? "", "RSAES_OAEP_SHA_256")
      const wrapped = wrapWith("RSAES_OAEP_SHA_256", PublicKey, material)
      const ExpirationModel = "KEY_MATERIAL_DOES_NOT_EXPIRE"
      await client.importKeyMaterial({ KeyId, ImportToken, EncryptedKeyMaterial: wrapped, ExpirationModel })
      const shown = await client.getPublicKey({ KeyId })
      expect(shown).to.include({ KeySpec: "SM2" })
      expect(Buffer.from(shown.PublicKey ?? [])).to.deep.equal(pair.publicKey.export({ format: "der", type: "spki" }))
    }
    const Message = Buffer.from("text")
    const PublicKey = pair.publicKey.export({ format: "der", type: "spki" })
    const wanting: readonly (readonly [what: string, call: () => Promise<unknown>])[] = [
      ["SM2DSA", () => client.sign({ KeyId: signer, Message, SigningAlgorithm: "SM2DSA" })],
      ["SM2PKE", () => client.encrypt({ KeyId: encrypting, Plaintext: Message, EncryptionAlgorithm: "SM2PKE" })],
      ["SM2PKE", () => parameters(signer ?? "", "SM2PKE")],
      ["SM2", () => client.deriveSharedSecret({ KeyId: agreement, KeyAgreementAlgorithm: "ECDH", PublicKey })],
    ]
    for (const [what, call] of wanting) {
      const refusal = await refusalOf(call())
      expect([refusal.name, refusal.message.includes(what)], what).to.deep.equal([
        "UnsupportedOperationException",
        true,
      ])
    }
    const ecdsa = client.sign({ KeyId: signer, Message, SigningAlgorithm: "ECDSA_SHA_256" })
    expect((await refusalOf(ecdsa)).name).to.equal("InvalidKeyUsageException")
    const otherCurve = generateKeyPairSync("ec", { namedCurve: "P-256" })
    const { PublicKey: lent = new Uint8Array(), ImportToken } = await parameters(signer ?? "", "RSAES_OAEP_SHA_256")
    const p256 = wrapWith("RSAES_OAEP_SHA_256", lent, otherCurve.privateKey.export({ format: "der", type: "pkcs8" }))
    const ExpirationModel = "KEY_MATERIAL_DOES_NOT_EXPIRE"
    const input = { KeyId: signer, ImportToken, EncryptedKeyMaterial: p256, ExpirationModel } as const
    expect((await refusalOf(client.importKeyMaterial(input))).name).to.equal("InvalidCiphertextException")
  })

  it("knows no RSA_AES_KEY_WRAP", async () => {
    const { KeyMetadata } = await client.createKey({ Origin: "EXTERNAL", KeySpec: "RSA_2048", KeyUsage: "SIGN_VERIFY" })
    const refusal = await parameters(KeyMetadata?.Arn ?? "", "RSA_AES_KEY_WRAP_SHA_256").catch(
      (error: unknown) => error,
    )
    expect(refusal).to.include({ name: "ValidationException" })
  })
})
