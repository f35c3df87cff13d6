import { createHmac, createPublicKey, generateKeyPairSync, randomBytes } from "node:crypto"
import { expect } from "chai"
import type { Kms } from "#src/core/ports/kms.js"
import { sha256 } from "#src/core/key/wrapping-key.js"
import { expectCode } from "#test/support/expect-code.js"
import { type LocalKmsProcess, startLocalKms } from "#test/support/local-kms.js"
import { wrapAes, wrapOaep } from "#test/support/openssl.js"
import { awsEnvironment, openAt, SYMMETRIC } from "../support/aws-environment.js"

describe("openKms, against the local KMS", () => {
  awsEnvironment()
  let local: LocalKmsProcess
  let kms: Kms & Disposable
  before(async () => {
    local = await startLocalKms()
    kms = (await openAt(local)).kms
  })
  after(async () => {
    kms[Symbol.dispose]()
    await local.stop()
  })

  /** A new key with the given material in it, wrapped by OpenSSL. */
  const imported = async (request: Parameters<Kms["createKey"]>[0], material: Uint8Array) => {
    const { key } = await kms.createKey(request)
    const parameters = await kms.getParametersForImport(key.keyArn, "RSAES_OAEP_SHA_256", "RSA_3072")
    const wrapped = wrapOaep(parameters.wrappingKey.spki, material, "sha256")
    const validTo = new Date(Math.ceil(Date.now() / 1000) * 1000 + 3_600_000)
    const result = await kms.importKeyMaterial(key.keyArn, parameters.importToken, wrapped, { validTo })
    return { key, parameters, wrapped, validTo, result }
  }

  it("asks who it is", async () => {
    expect(await kms.callerIdentity())
      .to.have.property("account")
      .that.matches(/^\d{12}$/)
  })

  it("creates a key and describes it by ID, ARN and alias", async () => {
    const { key, requestId } = await kms.createKey({
      ...SYMMETRIC,
      description: "payments",
      tags: { "keyferry:name": "payments" },
    })
    expect(key).to.include({
      keyState: "PendingImport",
      origin: "EXTERNAL",
      keySpec: "SYMMETRIC_DEFAULT",
      multiRegion: false,
    })
    expect(key).to.include({ validTo: null, expirationModel: null, currentKeyMaterialId: null, deletionDate: null })
    expect(requestId).to.match(/^[0-9a-f-]{36}$/)
    await kms.createAlias("alias/payments", key.keyId)
    for (const id of [key.keyId, key.keyArn, "alias/payments"]) expect(await kms.describeKey(id)).to.deep.equal(key)
    await expectCode("ERR_KMS_ALIAS_TAKEN", () => kms.createAlias("alias/payments", key.keyId))
    await kms.tagResource(key.keyArn, { "keyferry:source": "0a" })
    expect(await kms.listResourceTags(key.keyId)).to.deep.equal({
      "keyferry:name": "payments",
      "keyferry:source": "0a",
    })
  })

  it("lends a wrapping key and takes material", async () => {
    const { key, parameters, wrapped, validTo, result } = await imported(SYMMETRIC, randomBytes(32))
    expect(parameters.wrappingKey.spec).to.equal("RSA_3072")
    expect(parameters.wrappingKey.fingerprint).to.equal(sha256(parameters.wrappingKey.spki))
    expect(parameters.parametersValidTo).to.be.instanceOf(Date)
    expect(JSON.stringify(parameters.importToken)).to.equal('"[secret]"')
    expect(result.keyMaterialId).to.match(/^[0-9a-f]{64}$/)
    const described = await kms.describeKey(key.keyArn)
    expect(described).to.include({ keyState: "Enabled", currentKeyMaterialId: result.keyMaterialId })
    expect(described.validTo).to.deep.equal(validTo)
    expect(await kms.listKeyRotations(key.keyArn)).to.deep.equal([
      {
        keyMaterialId: result.keyMaterialId,
        importState: "IMPORTED",
        keyMaterialState: "CURRENT",
        expirationModel: "KEY_MATERIAL_EXPIRES",
        validTo,
        rotationDate: null,
        rotationType: null,
      },
    ])
    const again = { validTo: null, importType: "EXISTING_KEY_MATERIAL", keyMaterialId: result.keyMaterialId! } as const
    expect(await kms.importKeyMaterial(key.keyArn, parameters.importToken, wrapped, again)).to.include({
      keyMaterialId: result.keyMaterialId,
    })
    expect((await kms.describeKey(key.keyArn)).expirationModel).to.equal("KEY_MATERIAL_DOES_NOT_EXPIRE")
  })

  it("refuses other material and another key's import token", async () => {
    const { key, parameters } = await imported(SYMMETRIC, randomBytes(32))
    const wrapped = wrapOaep(parameters.wrappingKey.spki, randomBytes(32), "sha256")
    await expectCode("ERR_KMS_KEY_MATERIAL", () =>
      kms.importKeyMaterial(key.keyArn, parameters.importToken, wrapped, { validTo: null }),
    )
    const other = await kms.createKey(SYMMETRIC)
    const error = await expectCode("ERR_KMS_IMPORT_TOKEN", () =>
      kms.importKeyMaterial(other.key.keyArn, parameters.importToken, wrapped, { validTo: null }),
    )
    expect(error.key).to.equal(other.key.keyArn)
    expect(error.causes[0]?.code).to.equal("InvalidImportTokenException")
    expect(error.causes[0]?.message).to.match(/\(request ID [0-9a-f-]{36}\)$/)
    await expectCode("ERR_KMS_CIPHERTEXT", () =>
      kms.importKeyMaterial(key.keyArn, parameters.importToken, wrapped.fill(1, 0, 9), { validTo: null }),
    )
  })

  it("refuses parameters that have expired", async () => {
    const { key } = await kms.createKey(SYMMETRIC)
    const parameters = await kms.getParametersForImport(key.keyArn, "RSAES_OAEP_SHA_1", "RSA_2048")
    const wrapped = wrapOaep(parameters.wrappingKey.spki, randomBytes(32), "sha1")
    await local.clock.advance(25 * 3600)
    const error = await expectCode("ERR_IMPORT_TOKEN_EXPIRED", () =>
      kms.importKeyMaterial(key.keyArn, parameters.importToken, wrapped, { validTo: null }),
    )
    expect(error.retry).to.equal("new-parameters")
    await local.clock.set(new Date())
  })

  it("shows the public key of a pair", async () => {
    const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 })
    const { key } = await kms.createKey({ ...SYMMETRIC, keySpec: "RSA_2048", keyUsage: "SIGN_VERIFY" })
    const { wrappingKey, importToken } = await kms.getParametersForImport(
      key.keyArn,
      "RSA_AES_KEY_WRAP_SHA_256",
      "RSA_4096",
    )
    const aesKey = randomBytes(32)
    const wrapped = Buffer.concat([
      wrapOaep(wrappingKey.spki, aesKey, "sha256"),
      wrapAes(aesKey, privateKey.export({ format: "der", type: "pkcs8" })),
    ])
    const { keyMaterialId } = await kms.importKeyMaterial(key.keyArn, importToken, wrapped, { validTo: null })
    expect(keyMaterialId).to.equal(null)
    const spki = await kms.getPublicKey(key.keyArn)
    expect(createPublicKey({ key: Buffer.from(spki), format: "der", type: "spki" }).equals(publicKey)).to.equal(true)
  })

  it("compares a MAC", async () => {
    const secret = randomBytes(32)
    const request = { ...SYMMETRIC, keySpec: "HMAC_256", keyUsage: "GENERATE_VERIFY_MAC" } as const
    const { key } = await imported(request, secret)
    const message = randomBytes(32)
    const mac = createHmac("sha256", secret).update(message).digest()
    expect(await kms.verifyMac(key.keyArn, message, mac, "HMAC_SHA_256")).to.equal(true)
    expect(await kms.verifyMac(key.keyArn, message, mac.fill(0, 0, 4), "HMAC_SHA_256")).to.equal(false)
    await expectCode("ERR_KMS_REFUSED", () => kms.verifyMac(key.keyArn, message, mac, "HMAC_SHA_999"))
  })

  it("lists all keys, page by page", async () => {
    const ids = new Set<string>()
    for await (const { keyId } of kms.listKeys()) ids.add(keyId)
    const { key } = await kms.createKey(SYMMETRIC)
    const after: string[] = []
    for await (const { keyId } of kms.listKeys()) after.push(keyId)
    expect(new Set(after)).to.deep.equal(ids.add(key.keyId))
  })

  const refusals: [name: string, code: Parameters<typeof expectCode>[0], run: () => unknown][] = [
    ["an unknown key", "ERR_KMS_KEY_NOT_FOUND", () => kms.describeKey("00000000-0000-0000-0000-000000000000")],
    ["an unknown alias", "ERR_KMS_KEY_NOT_FOUND", () => kms.describeKey("alias/none")],
    ["an ill-formed alias", "ERR_KMS_ALIAS", () => kms.createAlias("payments", "00000000-0000-0000-0000-000000000000")],
    [
      "an algorithm that does not go with the key spec",
      "ERR_ALGORITHM_NOT_ALLOWED",
      async () => {
        const { key } = await kms.createKey(SYMMETRIC)
        await kms.getParametersForImport(key.keyArn, "RSA_AES_KEY_WRAP_SHA_256", "RSA_4096")
      },
    ],
    [
      "a key without material",
      "ERR_KMS_KEY_STATE",
      async () => {
        const { key } = await kms.createKey({ ...SYMMETRIC, keySpec: "RSA_2048", keyUsage: "SIGN_VERIFY" })
        await kms.getPublicKey(key.keyArn)
      },
    ],
    [
      "a time of expiry that has passed",
      "ERR_EXPIRY_INVALID",
      async () => {
        const { key } = await kms.createKey(SYMMETRIC)
        const { importToken } = await kms.getParametersForImport(key.keyArn, "RSAES_OAEP_SHA_256", "RSA_2048")
        await kms.importKeyMaterial(key.keyArn, importToken, randomBytes(256), { validTo: new Date(0) })
      },
    ],
  ]
  for (const [name, code, run] of refusals) {
    it(`says what is wrong with ${name}`, async () => {
      await expectCode(code, run)
    })
  }
})
