import { expect } from "chai"
import fc from "fast-check"
import { identityOf, isName, labelOf, newSourceKeyId, proofUsages } from "#src/core/key/source-key.js"

const RUNS = { numRuns: process.env["SLOW"] === "1" ? 10_000 : 200 }

const first = Array.from("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
const name = fc
  .tuple(fc.constantFrom(...first), fc.string({ unit: fc.constantFrom(...first, ".", "_", "-"), maxLength: 62 }))
  .map(([head, tail]) => head + tail)

describe("core/source-key: usages", () => {
  it("lets a MAC key sign in the token, which its proof needs, and no other key", () => {
    expect(proofUsages("HMAC_256")).to.deep.equal(["sign"])
    expect(proofUsages("SYMMETRIC_DEFAULT")).to.deep.equal([])
    expect(proofUsages("ECC_NIST_P384")).to.deep.equal([])
  })
})

describe("core/source-key: labels", () => {
  it("writes keyferry/<owner>/<name>/<generation>", () => {
    expect(labelOf({ owner: "byok-prod", name: "payments", generation: 3 })).to.equal("keyferry/byok-prod/payments/3")
  })

  it("reads back every label that it writes", () => {
    fc.assert(
      fc.property(name, name, fc.nat(), (owner, key, generation) => {
        expect(identityOf(labelOf({ owner, name: key, generation }))).to.deep.equal({ owner, name: key, generation })
      }),
      RUNS,
    )
  })

  const foreign = [
    "",
    "payments",
    "keyferry",
    "keyferry/payments",
    "keyferry/byok/payments",
    "keyferry/byok/payments/",
    "keyferry/byok/payments/-1",
    "keyferry/byok/payments/1.5",
    "keyferry/byok/payments/x",
    // another spelling of a generation would be a second label of the same key
    "keyferry/byok/payments/01",
    "keyferry/byok/payments/0/0",
    "keyferry//payments/0",
    "keyferry/byok//0",
    "Keyferry/byok/payments/0",
    " keyferry/byok/payments/0",
    "keyferry/byok/payments/0 ",
    "keyferry/byok/payments/0\n",
    "keyferry-self-test",
    "keyferry-ephemeral",
  ]
  for (const label of foreign) {
    it(`leaves ${JSON.stringify(label)} to others`, () => expect(identityOf(label)).to.equal(undefined))
  }
})

describe("core/source-key: names", () => {
  it("takes what labels, tags and file names can hold", () => {
    fc.assert(fc.property(name, isName), RUNS)
  })

  for (const text of ["", ".", "..", "-x", "_x", ".x", "a/b", "a b", "a\n", "a\0", "é", "a".repeat(64)]) {
    it(`refuses ${JSON.stringify(text.length > 20 ? `${text.length} letters` : text)}`, () =>
      expect(isName(text)).to.equal(false))
  }
})

describe("core/source-key: CKA_ID", () => {
  it("is 16 bytes in hex, and another each time", () => {
    const ids = Array.from({ length: 50 }, newSourceKeyId)
    expect(ids.every((id) => /^[0-9a-f]{32}$/.test(id))).to.equal(true)
    expect(new Set(ids).size).to.equal(ids.length)
  })
})
