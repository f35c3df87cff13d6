import { expect } from "chai"
import type { TokenInfo } from "#src/core/token/token-info.js"
import { MECHANISMS } from "#src/pkcs11/cryptoki/mechanisms.js"
import { generic } from "#src/pkcs11/profile/generic.js"
import { profileDigest, profileOf, TOKEN_PROFILES } from "#src/pkcs11/profile/profiles.js"

const info = (fields: Partial<TokenInfo>): TokenInfo => ({
  label: "",
  serial: "",
  manufacturer: "",
  model: "",
  firmwareVersion: "0.0",
  library: "",
  ...fields,
})

describe("token profiles", () => {
  const cases: [fields: Partial<TokenInfo>, family: string][] = [
    [{ manufacturer: "SoftHSM project", model: "SoftHSM v2" }, "softhsm2"],
    [{ manufacturer: "Mozilla Foundation" }, "nss"],
    [{ manufacturer: "IBM Corp.", model: "IBM SoftTok" }, "opencryptoki"],
    [{ manufacturer: "SafeNet" }, "luna"],
    [{ manufacturer: "nCipher Corp. Ltd" }, "nshield"],
    [{ manufacturer: "Infineon", library: "TPM2.0 Cryptoki 0.0" }, "tpm2"],
    [{ manufacturer: "somebody new" }, "generic"],
    [{}, "generic"],
  ]
  for (const [fields, family] of cases) {
    it(`${JSON.stringify(fields)} is ${family}`, () => {
      expect(profileOf(info(fields)).family).to.equal(family)
    })
  }

  it("name each family once, with known mechanisms, and the generic one matches anything", () => {
    const families = TOKEN_PROFILES.map(({ family }) => family)
    expect(new Set(families).size).to.equal(families.length)
    expect(TOKEN_PROFILES.at(-1)).to.equal(generic)
    for (const profile of TOKEN_PROFILES) {
      expect(profile.kwp.length).to.be.greaterThan(0)
      for (const name of profile.kwp) expect(MECHANISMS).to.have.property(name)
      expect(profile.source).not.to.equal("")
    }
  })

  it("have a digest that changes with any column", () => {
    const changed = { ...generic, notes: ["something else"] }
    expect(profileDigest(changed)).not.to.equal(profileDigest(generic))
    expect(new Set(TOKEN_PROFILES.map(profileDigest)).size).to.equal(TOKEN_PROFILES.length)
  })
})
