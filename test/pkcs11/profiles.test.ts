import { expect } from "chai"
import type { TokenInfo } from "#src/core/token/token-info.js"
import { MECHANISMS } from "#src/pkcs11/cryptoki/mechanisms.js"
import {
  GENERIC,
  profileDigest,
  profileFamilies,
  profileNamed,
  profileOf,
  TOKEN_PROFILES,
} from "#src/pkcs11/profiles.js"

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
    expect(families).to.deep.equal(profileFamilies())
    expect(TOKEN_PROFILES.at(-1)).to.equal(GENERIC)
    expect(GENERIC.match).to.deep.equal({})
  })

  for (const profile of TOKEN_PROFILES) {
    it(`${profile.family} is complete, and found by its name`, () => {
      expect(profileNamed(profile.family)).to.equal(profile)
      expect(Object.keys(profile).sort()).to.deep.equal(Object.keys(GENERIC).sort())
      for (const [column, cell] of Object.entries(profile)) expect(cell, column).not.to.equal(undefined)
      for (const column of ["title", "source"] as const) expect(profile[column], column).not.to.equal("")
      expect(profile.modulePath).to.match(/^\/.+\.so(\.\d+)?$/)
      expect(profile.notes).not.to.be.empty
      expect(profile.kwp).not.to.be.empty
      for (const name of profile.kwp) expect(MECHANISMS).to.have.property(name)
    })
  }

  it("are found by what the token says of itself, not by an empty field, and no family hides another", () => {
    for (const profile of TOKEN_PROFILES) {
      const fields = Object.fromEntries(Object.entries(profile.match).map(([field, [prefix = ""]]) => [field, prefix]))
      expect(profileOf(info(fields)), profile.family).to.equal(profile)
      expect(Object.values(profile.match).flat()).not.to.include("")
    }
  })

  it("have a digest that changes with any column", () => {
    const changed = { ...GENERIC, notes: ["something else"] }
    expect(profileDigest(changed)).not.to.equal(profileDigest(GENERIC))
    expect(new Set(TOKEN_PROFILES.map(profileDigest)).size).to.equal(TOKEN_PROFILES.length)
  })

  it("of an unknown name are none", () => {
    expect(profileNamed("")).to.equal(undefined)
    expect(profileNamed("constructor")).to.equal(undefined)
  })
})
