import { expect } from "chai"
import type { WrapCapability } from "#src/core/key/wrapping.js"
import { planOf } from "#src/pkcs11/wrap/wrap.js"
import { expectCode } from "#test/support/expect-code.js"

const OAEP: WrapCapability = {
  keySpec: "SYMMETRIC_DEFAULT",
  wrappingAlgorithm: "RSAES_OAEP_SHA_256",
  wrappingKeySpec: "RSA_4096",
  wrapPath: "oaep",
  mechanisms: ["CKM_RSA_PKCS_OAEP"],
  usable: true,
  shortScalars: false,
  reason: "proven",
}
const HYBRID = { ...OAEP, wrappingAlgorithm: "RSA_AES_KEY_WRAP_SHA_256" } as const
const KWP = ["CKM_AES_KEY_WRAP_KWP", "CKM_RSA_PKCS_OAEP"]

describe("planOf", () => {
  it("is the path that was proven", () => {
    expect(planOf(OAEP)).to.deep.equal({ algorithm: "RSAES_OAEP_SHA_256", path: "oaep", kwp: null })
    const native = { ...HYBRID, wrapPath: "native", mechanisms: ["CKM_RSA_AES_KEY_WRAP"] } as const
    expect(planOf(native)).to.deep.equal({ algorithm: "RSA_AES_KEY_WRAP_SHA_256", path: "native", kwp: null })
    const composed = { ...HYBRID, wrapPath: "composed", mechanisms: KWP } as const
    const plan = { algorithm: "RSA_AES_KEY_WRAP_SHA_256", path: "composed", kwp: "CKM_AES_KEY_WRAP_KWP" }
    expect(planOf(composed)).to.deep.equal(plan)
  })

  const unproven: readonly [string, Partial<WrapCapability>][] = [
    ["is not usable", { usable: false }],
    ["has no path", { wrapPath: null }],
    ["is composed with a mechanism that does not exist", { wrapPath: "composed", mechanisms: ["CKM_NOTHING"] }],
    ["is composed of nothing", { wrapPath: "composed", mechanisms: [] }],
    ["is composed and not usable", { wrapPath: "composed", mechanisms: KWP, usable: false }],
  ]
  for (const [title, difference] of unproven) {
    it(`is none where the verdict ${title}`, async () => {
      await expectCode("ERR_BUG", () => Promise.resolve().then(() => planOf({ ...OAEP, ...difference })))
    })
  }
})
