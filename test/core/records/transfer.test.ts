import { generateKeyPairSync, randomBytes } from "node:crypto"
import { expect } from "chai"
import {
  areExpired,
  completeParameters,
  type LooseParameters,
  refuseExpired,
  refuseOtherKeySpec,
  sameKey,
} from "#src/core/records/transfer.js"
import { expectCode } from "#test/support/expect-code.js"

const ARN = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
const spki = generateKeyPairSync("rsa", { modulusLength: 2048 }).publicKey.export({ format: "der", type: "spki" })
const token = randomBytes(300)

const LOOSE: LooseParameters = {
  keyId: ARN,
  publicKey: spki,
  importToken: token,
  parametersValidTo: new Date("2026-11-22T10:00:00Z"),
  wrappingAlgorithm: null,
  wrappingKeySpec: null,
  keySpec: null,
}

const said = { wrappingAlgorithm: "RSAES_OAEP_SHA_256" } as const

describe("completeParameters", () => {
  it("wants the algorithm that the AWS CLI's JSON lacks", async () => {
    await expectCode("ERR_USAGE", () => completeParameters(LOOSE, {}))
    const parameters = completeParameters(LOOSE, said)
    expect(parameters.keyArn).to.equal(ARN)
    expect(parameters.wrappingKeySpec).to.equal("RSA_2048")
    expect(Buffer.from(parameters.importToken.reveal()).equals(token)).to.equal(true)
  })
  it("wants a KMS key", () => expectCode("ERR_USAGE", () => completeParameters({ ...LOOSE, keyId: null }, said)))
  it("refuses parameters of another key", () =>
    expectCode("ERR_TRANSFER_INVALID", () =>
      completeParameters(LOOSE, { ...said, keyId: ARN.replace("1234abcd", "9999abcd") }),
    ))
  it("leaves the 24 hours to who knows KMS' time", async () => {
    const parameters = completeParameters(LOOSE, said)
    const end = new Date("2026-11-22T10:00:00Z")
    expect(areExpired(parameters, new Date(end.getTime() - 1))).to.equal(false)
    expect(() => refuseExpired(parameters, new Date(end.getTime() - 1))).to.not.throw()
    await expectCode("ERR_IMPORT_TOKEN_EXPIRED", () => refuseExpired(parameters, end))
  })
  it("refuses a wrapping key of another size than asked", () =>
    expectCode("ERR_WRAPPING_KEY_INVALID", () => completeParameters(LOOSE, { ...said, wrappingKeySpec: "RSA_4096" })))
  it("refuses a contradiction", () =>
    expectCode("ERR_USAGE", () => completeParameters({ ...LOOSE, wrappingAlgorithm: "RSAES_OAEP_SHA_1" }, said)))
  it("refuses a source key of another key spec, where the parameters say theirs", async () => {
    const key = "arn:aws:kms:us-east-1:111122223333:key/source"
    expect(() => refuseOtherKeySpec(LOOSE, "HMAC_256", key)).not.to.throw()
    expect(() => refuseOtherKeySpec({ ...LOOSE, keySpec: "HMAC_256" }, "HMAC_256", key)).not.to.throw()
    const error = await expectCode("ERR_KMS_KEY_MISMATCH", () =>
      refuseOtherKeySpec({ ...LOOSE, keySpec: "HMAC_384" }, "HMAC_256", key),
    )
    expect(error.key).to.equal(ARN)
  })
  it("never shows the import token", () => {
    const parameters = completeParameters(LOOSE, said)
    expect(JSON.stringify(parameters)).not.to.contain(token.toString("base64").slice(0, 16))
  })
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
