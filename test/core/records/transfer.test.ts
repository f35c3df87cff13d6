import { expect } from "chai"
import { generateKeyPairSync, randomBytes } from "node:crypto"
import {
  completeParameters,
  decodeBundle,
  decodeParameters,
  encodeBundle,
  encodeParameters,
  sameKey,
} from "#src/core/records/transfer.js"
import { sha256 } from "#src/core/key/wrapping-key.js"
import { expectCode } from "#test/support/expect-code.js"

const ARN = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
const now = new Date("2026-11-21T10:00:00Z")
const spki = generateKeyPairSync("rsa", { modulusLength: 2048 }).publicKey.export({ format: "der", type: "spki" })
const token = randomBytes(300)

/** What `aws kms get-parameters-for-import` prints. */
const awsJson = (changed: object = {}): string =>
  JSON.stringify({
    KeyId: ARN,
    ImportToken: token.toString("base64"),
    PublicKey: spki.toString("base64"),
    ParametersValidTo: "2026-11-22T10:00:00+00:00",
    ...changed,
  })

describe("import parameters in files", () => {
  it("reads the AWS CLI's JSON and wants the algorithm that it lacks", async () => {
    const loose = decodeParameters(awsJson(), "p.json")
    await expectCode("ERR_USAGE", () => completeParameters(loose, {}, now))
    const parameters = completeParameters(loose, { wrappingAlgorithm: "RSAES_OAEP_SHA_256" }, now)
    expect(parameters.keyArn).to.equal(ARN)
    expect(parameters.wrappingKeySpec).to.equal("RSA_2048")
    expect(Buffer.from(parameters.importToken.reveal()).equals(token)).to.equal(true)
  })

  it("takes epoch seconds, which the AWS CLI prints where so configured", () => {
    expect(decodeParameters(awsJson({ ParametersValidTo: 1795341600.5 }), "p").parametersValidTo?.getTime()).to.equal(
      1795341600500,
    )
  })

  it("writes and reads its own form", () => {
    const parameters = completeParameters(
      decodeParameters(awsJson(), "p"),
      { wrappingAlgorithm: "RSAES_OAEP_SHA_1" },
      now,
    )
    const again = completeParameters(
      decodeParameters(encodeParameters(parameters, "SYMMETRIC_DEFAULT", "payments"), "p"),
      {},
      now,
    )
    expect(again.wrappingAlgorithm).to.equal("RSAES_OAEP_SHA_1")
    expect(again.wrappingKey.fingerprint).to.equal(sha256(spki))
    expect(again.keyArn).to.equal(ARN)
  })

  const damaged: [what: string, json: string][] = [
    ["no JSON", "{"],
    ["a list", "[]"],
    ["a key that is no base64", awsJson({ PublicKey: "***" })],
    ["no import token", awsJson({ ImportToken: "" })],
    ["no key ID", awsJson({ KeyId: null })],
    ["a time that is none", awsJson({ ParametersValidTo: "tomorrow" })],
    ["an unknown algorithm", awsJson({ WrappingAlgorithm: "RSAES_PKCS1_V1_5" })],
    ["a fingerprint of another key", awsJson({ WrappingKeyFingerprint: sha256(token) })],
  ]
  for (const [what, json] of damaged)
    it(`refuses ${what}`, () => expectCode("ERR_TRANSFER_INVALID", () => decodeParameters(json, "p.json")))

  const said = { wrappingAlgorithm: "RSAES_OAEP_SHA_256" } as const
  it("refuses parameters of another key", () =>
    expectCode("ERR_TRANSFER_INVALID", () =>
      completeParameters(
        decodeParameters(awsJson(), "p"),
        { ...said, keyId: ARN.replace("1234abcd", "9999abcd") },
        now,
      ),
    ))
  it("refuses an expired import token", () =>
    expectCode("ERR_IMPORT_TOKEN_EXPIRED", () =>
      completeParameters(decodeParameters(awsJson(), "p"), said, new Date("2026-11-22T10:00:00Z")),
    ))
  it("refuses a wrapping key of another size than asked", () =>
    expectCode("ERR_WRAPPING_KEY_INVALID", () =>
      completeParameters(decodeParameters(awsJson(), "p"), { ...said, wrappingKeySpec: "RSA_4096" }, now),
    ))
  it("refuses a contradiction", () =>
    expectCode("ERR_USAGE", () =>
      completeParameters(decodeParameters(awsJson({ WrappingAlgorithm: "RSAES_OAEP_SHA_1" }), "p"), said, now),
    ))
  it("never shows the import token", () => {
    const parameters = completeParameters(decodeParameters(awsJson(), "p"), said, now)
    expect(JSON.stringify(parameters)).not.to.contain(token.toString("base64").slice(0, 16))
  })
})

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
      attributes: {},
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
})

describe("sameKey", () => {
  const id = ARN.split("/")[1]!
  const cases: [string, string, boolean][] = [
    [ARN, ARN, true],
    [ARN, id, true],
    [id, ARN, true],
    [ARN, ARN.replace("us-east-1", "us-west-2"), false],
    [id, id.replace("1", "2"), false],
  ]
  for (const [a, b, expected] of cases) it(`${a} ~ ${b}`, () => expect(sameKey(a, b)).to.equal(expected))
})
