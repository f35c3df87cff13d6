import { generateKeyPairSync, randomBytes } from "node:crypto"
import { expect } from "chai"
import { completeParameters } from "#src/core/records/transfer.js"
import { sha256 } from "#src/core/key/wrapping-key.js"
import { decodeParameters, encodeParameters } from "#src/store/transfer/parameters-file.js"
import { expectCode } from "#test/support/expect-code.js"

const ARN = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
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

describe("a parameters file", () => {
  it("is the AWS CLI's JSON", () => {
    const loose = decodeParameters(awsJson(), "p.json")
    expect(loose).to.deep.include({ keyId: ARN, wrappingAlgorithm: null, wrappingKeySpec: null, keySpec: null })
    expect(Buffer.from(loose.importToken).equals(token)).to.equal(true)
    expect(loose.parametersValidTo?.toISOString()).to.equal("2026-11-22T10:00:00.000Z")
  })

  it("may hold epoch seconds, which the AWS CLI prints where so configured", () => {
    const { parametersValidTo } = decodeParameters(awsJson({ ParametersValidTo: 1795341600.5 }), "p")
    expect(parametersValidTo?.getTime()).to.equal(1795341600500)
  })

  it("comes back as keyferry wrote it", () => {
    const said = { wrappingAlgorithm: "RSAES_OAEP_SHA_1" } as const
    const parameters = completeParameters(decodeParameters(awsJson(), "p"), said)
    const loose = decodeParameters(encodeParameters(parameters, "SYMMETRIC_DEFAULT", "payments"), "p")
    expect(loose.keySpec).to.equal("SYMMETRIC_DEFAULT")
    const again = completeParameters(loose, {})
    expect(again.wrappingAlgorithm).to.equal("RSAES_OAEP_SHA_1")
    expect(again.wrappingKey.fingerprint).to.equal(sha256(spki))
    expect(again.keyArn).to.equal(ARN)
  })

  const PEM = Buffer.from("-----BEGIN PUBLIC KEY-----\n").toString("base64")
  const damaged: [name: string, json: string, field: string][] = [
    ["no JSON", "{", "p.json"],
    ["a list", "[]", "p.json"],
    ["two key IDs", awsJson({}).replace("{", '{"KeyId":"1234abcd-12ab-34cd-56ef-1234567890ab",'), "KeyId"],
    ["two import tokens", awsJson({}).replace("{", '{"ImportToken":"QUFB",'), '"ImportToken" twice'],
    ["a key that is no base64", awsJson({ PublicKey: "***" }), "PublicKey"],
    ["base64 of another alphabet", awsJson({ PublicKey: "_-_-" }), "PublicKey"],
    ["no import token", awsJson({ ImportToken: "" }), "ImportToken"],
    ["an import token of white space", awsJson({ ImportToken: " \n" }), "ImportToken"],
    ["an import token that is too long", awsJson({ ImportToken: "QUFB".repeat(2100) }), "ImportToken"],
    ["the public key as the import token", awsJson({ ImportToken: spki.toString("base64") }), "ImportToken"],
    ["PEM as the import token", awsJson({ ImportToken: PEM }), "ImportToken"],
    ["no key ID", awsJson({ KeyId: null }), "KeyId"],
    ["a key ID that is none", awsJson({ KeyId: "x;touch y" }), "KeyId"],
    ["an alias for a key ID", awsJson({ KeyId: "alias/payments" }), "KeyId"],
    ["a time that is none", awsJson({ ParametersValidTo: "tomorrow" }), "ParametersValidTo"],
    ["a time beyond all times", awsJson({ ParametersValidTo: 1e300 }), "ParametersValidTo"],
    ["an unknown algorithm", awsJson({ WrappingAlgorithm: "RSAES_PKCS1_V1_5" }), "WrappingAlgorithm"],
    ["an unknown key spec", awsJson({ KeySpec: "AES_128" }), "KeySpec"],
    ["a fingerprint of another key", awsJson({ WrappingKeyFingerprint: sha256(token) }), "WrappingKeyFingerprint"],
  ]
  for (const [name, json, field] of damaged)
    it(`is refused with ${name}`, async () => {
      const error = await expectCode("ERR_TRANSFER_INVALID", () => decodeParameters(json, "p.json"))
      expect(error.message).to.include("p.json").and.include(field)
    })
})
