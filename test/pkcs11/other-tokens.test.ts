import { expect } from "chai"
import { KEY_SPEC_NAMES, KEY_SPECS } from "#src/core/key/key-spec.js"
import { kmsAllows } from "#src/core/key/wrapping-algorithm.js"
import { opencryptokiToken, type TestToken, tpm2Module } from "#test/support/tokens.js"
import { ALL_REQUESTS } from "../support/token-fixture.js"
import { inProcess } from "../support/in-token-process.js"

describe("openCryptoki 3.8.1", () => {
  let token: TestToken
  before(() => {
    token = opencryptokiToken()
  })
  after(() => token.remove())

  it("carries symmetric and HMAC keys by OAEP, and says why not the rest", () => {
    const [outcome] = inProcess(token, {
      pins: [token.pin],
      requests: ALL_REQUESTS,
      probeCustody: ["SYMMETRIC_DEFAULT"],
      generate: KEY_SPEC_NAMES.filter((spec) => KEY_SPECS[spec].family !== "rsa"),
    })
    expect(outcome).to.include({ code: "ok", warnings: 0 })
    for (const verdict of outcome!.verdicts) {
      const { keySpec, wrappingAlgorithm, wrappingKeySpec, usable, reason } = verdict
      if (!kmsAllows(keySpec, wrappingAlgorithm, wrappingKeySpec)) continue
      const { family } = KEY_SPECS[keySpec]
      const carried = family === "aes" || (family === "hmac" && keySpec !== "HMAC_224")
      expect(usable, `${keySpec} ${wrappingAlgorithm}: ${reason}`).to.equal(carried)
      if (keySpec === "HMAC_224") expect(reason).to.include("the token cannot compute HMAC_SHA_224")
      if (family === "ec" || family === "edwards") expect(reason).to.equal("cannot generate: CKR_MECHANISM_INVALID")
      if (family === "rsa") expect(reason).to.include("the token has no CKM_AES_KEY_WRAP_KWP")
    }
    expect(outcome!.facts).to.include({ extractableFalseRefusesWrap: true, sensitiveOneWay: true })
    // CKA_WRAP_WITH_TRUSTED is unknown, and an imported key claims to have been sensitive always
    expect(outcome!.facts).to.include({ wrapWithTrustedEnforced: null, provenanceHonest: false })
    // it has no RFC 5649 to seal by
    const sealing = outcome!.sealing.SYMMETRIC_DEFAULT
    expect(sealing).to.include({ possible: false, enforced: false, mechanism: null })
    expect(sealing?.reason).to.include("CKM_AES_KEY_WRAP_KWP")
    expect(outcome!.custodyKey).to.equal("ERR_CUSTODY_REFUSED")
    for (const [keySpec, code] of Object.entries(outcome!.generated)) {
      const pair = KEY_SPECS[keySpec as keyof typeof KEY_SPECS].proof === "public-key"
      expect(code, keySpec).to.equal(pair ? "ERR_KEY_SPEC_UNSUPPORTED" : "ok")
    }
  })

  it("is never brought to lock its PIN: a wrong one is given twice at most, and then none at all", () => {
    const wrong = "00000000"
    const outcomes = inProcess(token, { pins: [wrong, wrong, wrong, token.pin] })
    expect(outcomes.map(({ code }) => code)).to.deep.equal([
      "ERR_TOKEN_PIN_INCORRECT",
      "ERR_TOKEN_PIN_INCORRECT",
      "ERR_TOKEN_PIN_FINAL_TRY",
      "ERR_TOKEN_PIN_FINAL_TRY",
    ])
    expect(outcomes.map(({ pinEvents }) => pinEvents)).to.deep.equal([["read", "refused"], ["read", "refused"], [], []])
    expect(outcomes.map(({ warnings }) => warnings)).to.deep.equal([0, 1, 0, 0])
    expect(outcomes[0]?.causes).to.deep.equal(["C_Login: CKR_PIN_INCORRECT"])
    expect(outcomes[2]?.flags).to.include("last try for the user PIN")
  })
})

describe("tpm2-pkcs11 without a token", () => {
  it("is refused with what there is", () => {
    const token = tpm2Module()
    try {
      const [outcome] = inProcess(token, { pins: ["1234"] })
      expect(outcome).to.deep.include({ pinEvents: [], verdicts: [] })
      expect(outcome?.code).to.be.oneOf(["ERR_MODULE_UNUSABLE", "ERR_TOKEN_NOT_FOUND", "ERR_TOKEN_UNINITIALIZED"])
    } finally {
      token.remove()
    }
  })
})
