import { createHash, randomBytes } from "node:crypto"
import type { EncryptionAlgorithmSpec, KMS, MacAlgorithmSpec, SigningAlgorithmSpec } from "@aws-sdk/client-kms"
import { expect } from "chai"
import type { KeySpec } from "#src/core/key/key-spec.js"
import { kmsClient, type LocalKmsProcess, startLocalKms } from "#test/support/local-kms.js"
import { openssl } from "#test/support/openssl.js"
import {
  createKey,
  importedKey,
  importMaterial,
  makeMaterial,
  makePkcs8,
  refusalOf,
  spkiOf,
} from "../support/local-kms-fixture.js"

const RSA_SIGNING = ["RSASSA_PKCS1_V1_5", "RSASSA_PSS"].flatMap((scheme) =>
  ["SHA_256", "SHA_384", "SHA_512"].map((hash) => `${scheme}_${hash}` as SigningAlgorithmSpec),
)

const SIGNING: readonly [KeySpec, readonly SigningAlgorithmSpec[]][] = [
  ["RSA_2048", RSA_SIGNING],
  ["RSA_3072", ["RSASSA_PSS_SHA_512"]],
  ["RSA_4096", ["RSASSA_PKCS1_V1_5_SHA_384"]],
  ["ECC_NIST_P256", ["ECDSA_SHA_256"]],
  ["ECC_NIST_P384", ["ECDSA_SHA_384"]],
  ["ECC_NIST_P521", ["ECDSA_SHA_512"]],
  ["ECC_SECG_P256K1", ["ECDSA_SHA_256"]],
  ["ECC_NIST_EDWARDS25519", ["ED25519_SHA_512"]],
]

const MESSAGE = Buffer.from("a message that is signed")

/** What `openssl pkeyutl` needs to sign or verify as the algorithm says. */
function pkeyutlInput(algorithm: SigningAlgorithmSpec) {
  if (algorithm.startsWith("ED25519")) return { input: MESSAGE, flags: ["-rawin"] }
  const hash = `sha${algorithm.slice(-3)}`
  const pss = ["-pkeyopt", "rsa_padding_mode:pss", "-pkeyopt", "rsa_pss_saltlen:digest"]
  const flags = ["-pkeyopt", `digest:${hash}`, ...(algorithm.includes("PSS") ? pss : [])]
  return { input: createHash(hash).update(MESSAGE).digest(), flags }
}

function opensslSign(pkcs8: Buffer, algorithm: SigningAlgorithmSpec): Buffer {
  using tool = openssl()
  const { input, flags } = pkeyutlInput(algorithm)
  tool.write("key.der", pkcs8)
  tool.write("input", input)
  return tool.run("pkeyutl", "-sign", "-keyform", "DER", "-inkey", "key.der", "-in", "input", ...flags)
}

/** Throws if OpenSSL does not accept the signature. */
function opensslVerify(spki: Buffer, algorithm: SigningAlgorithmSpec, signature: Uint8Array): void {
  using tool = openssl()
  const { input, flags } = pkeyutlInput(algorithm)
  tool.write("public.der", spki)
  tool.write("input", input)
  tool.write("signature", signature)
  const key = ["-pubin", "-keyform", "DER", "-inkey", "public.der"]
  tool.run("pkeyutl", "-verify", ...key, "-in", "input", "-sigfile", "signature", ...flags)
}

describe("local KMS: using imported keys", () => {
  let kms: LocalKmsProcess
  let client: KMS
  before(async () => {
    kms = await startLocalKms()
    client = kmsClient(kms)
  })
  after(() => kms.stop())

  describe("signatures agree with OpenSSL", () => {
    for (const [keySpec, algorithms] of SIGNING) {
      it(`${keySpec}: ${algorithms.join(", ")}`, async () => {
        const pkcs8 = makePkcs8(keySpec)
        const KeyId = await importedKey(client, keySpec, pkcs8, "SIGN_VERIFY")
        for (const SigningAlgorithm of algorithms) {
          const forms = [{ Message: MESSAGE, MessageType: "RAW" as const }]
          const digest = { Message: pkeyutlInput(SigningAlgorithm).input, MessageType: "DIGEST" as const }
          const all = keySpec === "ECC_NIST_EDWARDS25519" ? forms : [...forms, digest]
          for (const form of all) {
            const request = { KeyId, SigningAlgorithm, ...form }
            const { Signature } = await client.sign(request)
            opensslVerify(spkiOf(pkcs8), SigningAlgorithm, Signature!)
            for (const signature of [Signature!, opensslSign(pkcs8, SigningAlgorithm)]) {
              expect((await client.verify({ ...request, Signature: signature })).SignatureValid).to.equal(true)
              const changed = Buffer.from(signature)
              changed[changed.length - 5]! ^= 1
              const refusal = await refusalOf(client.verify({ ...request, Signature: changed }))
              expect(refusal.name).to.equal("KMSInvalidSignatureException")
            }
          }
        }
      })
    }

    it("refuses another family's algorithm, a digest of another length, a digest for Ed25519", async () => {
      const p256 = await importedKey(client, "ECC_NIST_P256", makePkcs8("ECC_NIST_P256"), "SIGN_VERIFY")
      const edwards = await importedKey(client, "ECC_NIST_EDWARDS25519", makePkcs8("ECC_NIST_EDWARDS25519"))
      const sign = async (KeyId: string, SigningAlgorithm: SigningAlgorithmSpec, Message: Buffer) =>
        (await refusalOf(client.sign({ KeyId, SigningAlgorithm, Message, MessageType: "DIGEST" }))).name
      expect(await sign(p256, "ECDSA_SHA_384", randomBytes(48))).to.equal("InvalidKeyUsageException")
      expect(await sign(p256, "ECDSA_SHA_256", randomBytes(31))).to.equal("ValidationException")
      expect(await sign(edwards, "ED25519_SHA_512", randomBytes(64))).to.equal("ValidationException")
    })
  })

  describe("RSA encryption agrees with OpenSSL", () => {
    for (const [algorithm, hash, capacity] of [
      ["RSAES_OAEP_SHA_1", "sha1", 214],
      ["RSAES_OAEP_SHA_256", "sha256", 190],
    ] as const) {
      it(algorithm, async () => {
        const pkcs8 = makePkcs8("RSA_2048")
        const KeyId = await importedKey(client, "RSA_2048", pkcs8, "ENCRYPT_DECRYPT")
        const Plaintext = randomBytes(capacity)
        const EncryptionAlgorithm: EncryptionAlgorithmSpec = algorithm
        const { CiphertextBlob } = await client.encrypt({ KeyId, Plaintext, EncryptionAlgorithm })
        using tool = openssl()
        tool.write("key.der", pkcs8)
        tool.write("input", CiphertextBlob!)
        const padding = ["rsa_padding_mode:oaep", `rsa_oaep_md:${hash}`, `rsa_mgf1_md:${hash}`]
        const flags = padding.flatMap((option) => ["-pkeyopt", option])
        const opened = tool.run("pkeyutl", "-decrypt", "-keyform", "DER", "-inkey", "key.der", "-in", "input", ...flags)
        expect(opened).to.deep.equal(Plaintext)
        const answer = await client.decrypt({ KeyId, CiphertextBlob, EncryptionAlgorithm })
        expect(Buffer.from(answer.Plaintext!)).to.deep.equal(Plaintext)
        expect(answer).not.to.have.property("KeyMaterialId")

        const tooLong = client.encrypt({ KeyId, Plaintext: randomBytes(capacity + 1), EncryptionAlgorithm })
        expect((await refusalOf(tooLong)).name).to.equal("ValidationException")
        const other = EncryptionAlgorithm === "RSAES_OAEP_SHA_1" ? "RSAES_OAEP_SHA_256" : "RSAES_OAEP_SHA_1"
        const wrongHash = client.decrypt({ KeyId, CiphertextBlob, EncryptionAlgorithm: other })
        expect(await refusalOf(wrongHash)).to.deep.equal({ name: "InvalidCiphertextException", message: "" })
        expect((await refusalOf(client.encrypt({ KeyId, Plaintext }))).name).to.equal("InvalidKeyUsageException")
      })
    }
  })

  describe("shared secrets agree with OpenSSL", () => {
    for (const keySpec of ["ECC_NIST_P256", "ECC_NIST_P384", "ECC_NIST_P521"] as const) {
      it(keySpec, async () => {
        const [ours, theirs] = [makePkcs8(keySpec), makePkcs8(keySpec)]
        const KeyId = await importedKey(client, keySpec, ours, "KEY_AGREEMENT")
        const derive = (PublicKey: Buffer) =>
          client.deriveSharedSecret({ KeyId, KeyAgreementAlgorithm: "ECDH", PublicKey })
        const { SharedSecret, KeyOrigin } = await derive(spkiOf(theirs))
        using tool = openssl()
        tool.write("theirs.der", theirs)
        tool.write("ours.der", spkiOf(ours))
        const peer = ["-peerform", "DER", "-peerkey", "ours.der"]
        const expected = tool.run("pkeyutl", "-derive", "-keyform", "DER", "-inkey", "theirs.der", ...peer)
        expect(Buffer.from(SharedSecret!)).to.deep.equal(expected)
        expect(KeyOrigin).to.equal("EXTERNAL")

        for (const wrong of [
          spkiOf(makePkcs8("ECC_SECG_P256K1")),
          Buffer.concat([spkiOf(theirs), Buffer.of(0)]),
          theirs,
        ]) {
          expect((await refusalOf(derive(wrong))).name).to.equal("ValidationException")
        }
      })
    }
  })

  describe("MACs", () => {
    it("are verified and refused", async () => {
      const KeyId = await importedKey(client, "HMAC_384", makeMaterial("HMAC_384"))
      const request = { KeyId, Message: MESSAGE, MacAlgorithm: "HMAC_SHA_384" as MacAlgorithmSpec }
      const { Mac } = await client.generateMac(request)
      expect((await client.verifyMac({ ...request, Mac })).MacValid).to.equal(true)
      const wrong = client.verifyMac({ ...request, Mac: Mac!.subarray(0, -1) })
      expect((await refusalOf(wrong)).name).to.equal("KMSInvalidMacException")
      const other = client.generateMac({ ...request, MacAlgorithm: "HMAC_SHA_256" })
      expect((await refusalOf(other)).name).to.equal("InvalidKeyUsageException")
    })
  })

  describe("symmetric encryption", () => {
    let KeyId: string
    let id: string | undefined
    const Plaintext = Buffer.from("plaintext")
    before(async () => {
      KeyId = await createKey(client)
      id = await importMaterial(client, KeyId, makeMaterial("SYMMETRIC_DEFAULT"))
    })

    it("binds the encryption context, in whatever order", async () => {
      const { CiphertextBlob } = await client.encrypt({ KeyId, Plaintext, EncryptionContext: { a: "1", b: "2" } })
      expect(Buffer.from(CiphertextBlob!).subarray(5, 37).toString("hex")).to.equal(id)
      const answer = await client.decrypt({ CiphertextBlob, EncryptionContext: { b: "2", a: "1" } })
      expect(Buffer.from(answer.Plaintext!)).to.deep.equal(Plaintext)
      expect(answer).to.include({ KeyMaterialId: id, EncryptionAlgorithm: "SYMMETRIC_DEFAULT", KeyId })
      for (const EncryptionContext of [{ a: "1" }, { a: "1", b: "3" }, undefined]) {
        const refusal = await refusalOf(client.decrypt({ CiphertextBlob, EncryptionContext }))
        expect(refusal).to.deep.equal({ name: "InvalidCiphertextException", message: "" })
      }
    })

    it("refuses every changed byte and another key", async () => {
      const { CiphertextBlob } = await client.encrypt({ KeyId, Plaintext })
      for (const at of [0, 4, 5, 36, 37, 50, CiphertextBlob!.length - 1]) {
        const changed = Buffer.from(CiphertextBlob!)
        changed[at]! ^= 1
        expect((await refusalOf(client.decrypt({ CiphertextBlob: changed }))).name).to.equal(
          "InvalidCiphertextException",
        )
      }
      const other = await importedKey(client, "SYMMETRIC_DEFAULT", makeMaterial("SYMMETRIC_DEFAULT"))
      const refusal = await refusalOf(client.decrypt({ KeyId: other, CiphertextBlob }))
      expect(refusal.name).to.equal("IncorrectKeyException")
    })

    it("makes data keys, with and without plaintext", async () => {
      const whole = await client.generateDataKey({ KeyId, KeySpec: "AES_128" })
      expect(whole.Plaintext!.length).to.equal(16)
      expect(whole.KeyMaterialId).to.equal(id)
      const opened = await client.decrypt({ CiphertextBlob: whole.CiphertextBlob })
      expect(opened.Plaintext).to.deep.equal(whole.Plaintext)
      const half = await client.generateDataKeyWithoutPlaintext({ KeyId, NumberOfBytes: 64 })
      expect(half).not.to.have.property("Plaintext")
      expect((await client.decrypt({ CiphertextBlob: half.CiphertextBlob })).Plaintext!.length).to.equal(64)
      for (const wrong of [{}, { KeySpec: "AES_256" as const, NumberOfBytes: 32 }]) {
        expect((await refusalOf(client.generateDataKey({ KeyId, ...wrong }))).name).to.equal("ValidationException")
      }
    })

    it("re-encrypts to another key", async () => {
      const other = await importedKey(client, "SYMMETRIC_DEFAULT", makeMaterial("SYMMETRIC_DEFAULT"))
      const { CiphertextBlob } = await client.encrypt({ KeyId, Plaintext })
      const moved = await client.reEncrypt({ CiphertextBlob, DestinationKeyId: other, SourceKeyId: KeyId })
      expect(moved).to.include({ SourceKeyId: KeyId, KeyId: other, SourceKeyMaterialId: id })
      const opened = await client.decrypt({ CiphertextBlob: moved.CiphertextBlob, KeyId: other })
      expect(opened.KeyMaterialId).to.equal(moved.DestinationKeyMaterialId)
      expect(Buffer.from(opened.Plaintext!)).to.deep.equal(Plaintext)
    })

    it("answers a dry run with DryRunOperationException", async () => {
      expect((await refusalOf(client.encrypt({ KeyId, Plaintext, DryRun: true }))).name).to.equal(
        "DryRunOperationException",
      )
    })
  })

  describe("a key of another usage", () => {
    const cases: [operation: string, keySpec: KeySpec, call: (KeyId: string) => Promise<unknown>, name: string][] = [
      [
        "Sign",
        "SYMMETRIC_DEFAULT",
        (KeyId) => client.sign({ KeyId, Message: MESSAGE, SigningAlgorithm: "ECDSA_SHA_256" }),
        "InvalidKeyUsageException",
      ],
      ["Encrypt", "HMAC_256", (KeyId) => client.encrypt({ KeyId, Plaintext: MESSAGE }), "InvalidKeyUsageException"],
      [
        "GenerateMac",
        "SYMMETRIC_DEFAULT",
        (KeyId) => client.generateMac({ KeyId, Message: MESSAGE, MacAlgorithm: "HMAC_SHA_256" }),
        "InvalidKeyUsageException",
      ],
      ["GetPublicKey", "SYMMETRIC_DEFAULT", (KeyId) => client.getPublicKey({ KeyId }), "UnsupportedOperationException"],
      [
        "RotateKeyOnDemand",
        "HMAC_256",
        (KeyId) => client.rotateKeyOnDemand({ KeyId }),
        "UnsupportedOperationException",
      ],
    ]
    for (const [operation, keySpec, call, name] of cases) {
      it(`${operation} of ${keySpec}: ${name}`, async () => {
        const KeyId = await importedKey(client, keySpec, makeMaterial(keySpec))
        expect((await refusalOf(call(KeyId))).name).to.equal(name)
      })
    }
  })

  it("makes random bytes", async () => {
    expect((await client.generateRandom({ NumberOfBytes: 33 })).Plaintext!.length).to.equal(33)
  })
})
