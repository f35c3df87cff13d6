import { expect } from "chai"
import { ENFORCEMENT_FACTS } from "#src/core/key/custody.js"
import { memoryOf, NOTHING } from "#src/pkcs11/probe/memory.js"

const OAEP = {
  wrapPath: "oaep",
  mechanisms: ["CKM_RSA_PKCS_OAEP"],
  usable: true,
  shortScalars: false,
  reason: "proven",
} as const
const NATIVE = { ...OAEP, wrapPath: "native", mechanisms: ["CKM_RSA_AES_KEY_WRAP"] } as const
const COMPOSED = {
  ...OAEP,
  wrapPath: "composed",
  mechanisms: ["CKM_AES_KEY_WRAP_KWP", "CKM_RSA_PKCS_OAEP"],
} as const
const UNUSABLE = { ...OAEP, wrapPath: null, mechanisms: [], usable: false } as const
const SHORT = { ...COMPOSED, usable: false, shortScalars: true } as const
const FACTS = { ...Object.fromEntries(ENFORCEMENT_FACTS.map((fact) => [fact, true])), tokenObjectFlaw: null }
const FEATURES = { notModifiable: true, allowedMechanisms: false, unwrapTemplate: true }
const SEALING = { possible: true, mechanism: "CKM_AES_KEY_WRAP_PAD", shortScalars: false, reason: "sealed and opened" }

describe("memoryOf", () => {
  it("is what the cache holds, where it is well-formed", () => {
    const memory = {
      wraps: { a: OAEP, b: NATIVE, c: COMPOSED, d: UNUSABLE, e: SHORT },
      custody: FACTS,
      sealing: { HMAC_256: SEALING, HMAC_384: { ...SEALING, possible: false, mechanism: null } },
      custodyKey: FEATURES,
    }
    expect(memoryOf(memory)).to.deep.equal(memory)
  })

  it("is nothing where it is no object", () => {
    for (const value of [null, undefined, 7, "wraps", [OAEP]]) expect(memoryOf(value)).to.deep.equal(NOTHING)
    expect(memoryOf({ wraps: [OAEP], sealing: [SEALING], custody: [], custodyKey: [] })).to.deep.equal(NOTHING)
  })

  const verdicts: readonly [string, object][] = [
    ["has no reason", { ...OAEP, reason: undefined }],
    ["does not say whether it shortens scalars", { ...OAEP, shortScalars: undefined }],
    ["is usable, and shortens scalars", { ...COMPOSED, shortScalars: true }],
    ["is neither usable nor not", { ...OAEP, usable: "yes" }],
    ["is not usable, and has a path", { ...OAEP, usable: false }],
    ["is not usable, and has mechanisms", { ...UNUSABLE, mechanisms: ["CKM_RSA_PKCS_OAEP"] }],
    ["is usable, and has no path", { ...UNUSABLE, usable: true }],
    ["has no list of mechanisms", { ...OAEP, mechanisms: "CKM_RSA_PKCS_OAEP" }],
    ["has a mechanism that does not exist", { ...COMPOSED, mechanisms: ["CKM_NOTHING", "CKM_RSA_PKCS_OAEP"] }],
    ["has a mechanism that is no text", { ...COMPOSED, mechanisms: [7, "CKM_RSA_PKCS_OAEP"] }],
    ["is OAEP by two mechanisms", { ...OAEP, mechanisms: COMPOSED.mechanisms }],
    ["is composed of one", { ...COMPOSED, mechanisms: OAEP.mechanisms }],
    ["is composed the other way round", { ...COMPOSED, mechanisms: COMPOSED.mechanisms.toReversed() }],
    ["is native by another mechanism", { ...NATIVE, mechanisms: OAEP.mechanisms }],
    ["is native by two", { ...NATIVE, mechanisms: ["CKM_RSA_AES_KEY_WRAP", "CKM_RSA_AES_KEY_WRAP"] }],
  ]
  for (const [title, verdict] of verdicts) {
    it(`has no verdict that ${title}`, () => {
      expect(memoryOf({ wraps: { a: OAEP, b: verdict } }).wraps).to.deep.equal({ a: OAEP })
    })
  }

  it("has no facts, features or findings that are half there", () => {
    const [fact = ""] = ENFORCEMENT_FACTS
    for (const custody of [
      { ...FACTS, [fact]: "true" },
      { ...FACTS, tokenObjectFlaw: 7 },
    ])
      expect(memoryOf({ custody }).custody).to.equal(null)
    expect(memoryOf({ custody: { ...FACTS, [fact]: null } }).custody).to.include({ [fact]: null })
    for (const feature of Object.keys(FEATURES))
      expect(memoryOf({ custodyKey: { ...FEATURES, [feature]: undefined } }).custodyKey, feature).to.equal(null)
    for (const difference of [
      { mechanism: null },
      { mechanism: "CKM_NOTHING" },
      { possible: false },
      { shortScalars: undefined },
      { reason: undefined },
    ])
      expect(memoryOf({ sealing: { HMAC_256: { ...SEALING, ...difference } } }).sealing).to.deep.equal({})
  })
})
