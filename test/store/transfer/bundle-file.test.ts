import { generateKeyPairSync, randomBytes } from "node:crypto"
import { expect } from "chai"
import { sha256 } from "#src/core/key/wrapping-key.js"
import { decodeBundle, encodeBundle } from "#src/store/transfer/bundle-file.js"
import { expectCode } from "#test/support/expect-code.js"
import { TOKEN_KEY_ATTRIBUTES } from "#test/support/key-attributes.js"

const ARN = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
const spki = generateKeyPairSync("rsa", { modulusLength: 2048 }).publicKey.export({ format: "der", type: "spki" })
const token = randomBytes(300)

describe("bundle", () => {
  const ciphertext = randomBytes(256)
  const bundle = {
    version: 1,
    name: "payments",
    generation: 0,
    keySpec: "SYMMETRIC_DEFAULT",
    keyId: ARN,
    wrappingAlgorithm: "RSAES_OAEP_SHA_1",
    wrappingKeySpec: "RSA_2048",
    wrapPath: "oaep",
    mechanisms: ["CKM_RSA_PKCS_OAEP"],
    wrappingKeyFingerprint: sha256(spki),
    importTokenDigest: sha256(token),
    encryptedKeyMaterialDigest: sha256(ciphertext),
    token: { label: "t", serial: "1", manufacturer: "m", model: "x", firmwareVersion: "1.0", library: "l 1.0" },
    sourceKey: {
      id: "00",
      label: "keyferry/keyferry/payments/0",
      custody: "token",
      kcv: null,
      publicKeyFingerprint: null,
      attributes: TOKEN_KEY_ATTRIBUTES,
    },
    proof: null,
  }
  const encoded = (changed: object = {}): string => encodeBundle({ ...bundle, ...changed } as never)

  it("comes back as it was written", () => expect(decodeBundle(encoded(), "b", ciphertext)).to.deep.equal(bundle))
  it("refuses another ciphertext", () =>
    expectCode("ERR_TRANSFER_INVALID", () => decodeBundle(encoded(), "b", randomBytes(256))))
  for (const field of Object.keys(bundle).filter((name) => name !== "proof")) {
    it(`refuses a bundle without ${field}`, () =>
      expectCode("ERR_TRANSFER_INVALID", () => decodeBundle(encoded({ [field]: undefined }), "b", ciphertext)))
  }
  it("refuses half a proof", () =>
    expectCode("ERR_TRANSFER_INVALID", () => decodeBundle(encoded({ proof: { nonce: "00" } }), "b", ciphertext)))

  const { sourceKey } = bundle
  const pair = { keySpec: "ECC_NIST_P256", proof: { publicKey: spki.toString("base64") } }
  const controls = "\u001b[31mx"
  const has = (changed: object) => ({ sourceKey: { ...sourceKey, ...changed } })
  const hasAttribute = (changed: object) => has({ attributes: { ...TOKEN_KEY_ATTRIBUTES, ...changed } })
  const untrue: [name: string, changed: object, field: string][] = [
    ["an empty token", { token: {} }, "token"],
    ["a path that is none", { wrapPath: "bogus" }, "wrapPath"],
    ["the path of another algorithm", { wrapPath: "composed" }, "wrapPath"],
    ["a custody that is none", { sourceKey: { ...sourceKey, custody: "bogus" } }, "sourceKey.custody"],
    ["custody sealed of an object of the token", has({ custody: "sealed" }), "sourceKey"],
    ["custody session of an object of the token", has({ custody: "session" }), "sourceKey"],
    ["custody token of a session object", hasAttribute({ token: false }), "sourceKey"],
    ["a key that could not be wrapped", hasAttribute({ extractable: false }), "sourceKey"],
    ["a label of control characters", has({ label: controls }), "sourceKey"],
    ["a label whose owner is none", has({ label: `keyferry/${controls}/payments/0` }), "sourceKey"],
    ["a foreign label that is not the name", has({ label: "other" }), "sourceKey"],
    ["an attribute of control characters", hasAttribute({ keyType: controls }), "sourceKey.attributes.keyType"],
    ["a check value that is none", has({ kcv: controls }), "sourceKey.kcv"],
    ["words of control characters", has({ unenforced: controls }), "sourceKey.unenforced"],
    ["a serial of control characters", { token: { ...bundle.token, serial: "x\n\u0000" } }, "token.serial"],
    ["what turns the direction of writing", { token: { ...bundle.token, label: "\u202ex" } }, "token.label"],
    ["a serial longer than PKCS #11 has", { token: { ...bundle.token, serial: "1".repeat(17) } }, "token.serial"],
    ["an attribute that is none", { sourceKey: { ...sourceKey, attributes: {} } }, "sourceKey.attributes"],
    ["a mechanism that is none", { mechanisms: ["CKM_\u001b[31m"] }, "mechanisms[0]"],
    ["no mechanism", { mechanisms: [] }, "mechanisms"],
    ["a generation of a fraction", { generation: 0.5 }, "generation"],
    ["a name that is none", { name: "../payments" }, "name"],
    ["a digest that is none", { importTokenDigest: "sha256:00" }, "importTokenDigest"],
    ["a field that is not its own", { extra: true }, "extra"],
    ["another version", { version: 2 }, "version"],
    ["a proof of another kind of key", { proof: { nonce: "00", mac: "00" } }, "proof"],
    ["a pair without its public key", { keySpec: "ECC_NIST_P256" }, "proof"],
    [
      "the public key of another pair",
      { ...pair, sourceKey: { ...sourceKey, publicKeyFingerprint: sha256(token) } },
      "proof",
    ],
  ]
  for (const [name, changed, field] of untrue) {
    it(`refuses ${name}`, async () => {
      const error = await expectCode("ERR_TRANSFER_INVALID", () => decodeBundle(encoded(changed), "b", ciphertext))
      expect(error.message).to.include(field)
    })
  }
  it("takes a pair with its public key", () => {
    const whole = { ...pair, sourceKey: { ...sourceKey, publicKeyFingerprint: sha256(spki) } }
    expect(decodeBundle(encoded(whole), "b", ciphertext).proof).to.deep.equal(pair.proof)
  })
})
