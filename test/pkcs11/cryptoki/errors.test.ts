import { expect } from "chai"
import pkcs11js from "pkcs11js"
import { KeyferryError } from "#src/core/base/error.js"
import { ckrName } from "#src/pkcs11/cryptoki/ckr.js"
import { attempt, ckrOf, failureText, refusalOf, tokenError } from "#src/pkcs11/cryptoki/errors.js"
import { expectCode } from "#test/support/expect-code.js"

describe("return values", () => {
  const cases: [value: number, name: string][] = [
    [0x6a, "CKR_KEY_UNEXTRACTABLE"],
    // newer than what pkcs11js knows
    [0x1b, "CKR_ACTION_PROHIBITED"],
    [0x140, "CKR_CURVE_NOT_SUPPORTED"],
    [0xce534351, "CKR_0xce534351"],
  ]
  for (const [value, name] of cases) {
    it(`${value} is ${name}`, () => {
      expect(ckrName(value)).to.equal(name)
    })
  }
})

describe("tokenError", () => {
  const shapes: [what: string, error: Error][] = [
    ["a Pkcs11Error", new pkcs11js.Pkcs11Error("CKR_KEY_UNEXTRACTABLE:106", 106, "C_WrapKey")],
    ["the plain Error of C_CreateObject", new Error("CKR_KEY_UNEXTRACTABLE:106")],
  ]
  for (const [what, error] of shapes) {
    it(`reads ${what}`, () => {
      const stated = tokenError("C_WrapKey", error)
      expect(stated).to.be.instanceOf(KeyferryError)
      expect(stated).to.include({ code: "ERR_KEY_NOT_EXTRACTABLE", cause: error })
      expect((stated as KeyferryError).causes).to.deep.equal([{ code: "CKR_KEY_UNEXTRACTABLE", message: "C_WrapKey" }])
      expect(ckrOf(stated)).to.equal("CKR_KEY_UNEXTRACTABLE")
      expect(failureText(stated)).to.equal("C_WrapKey: CKR_KEY_UNEXTRACTABLE")
    })
  }

  it("keeps the number of a value that pkcs11js calls vendor defined", () => {
    const stated = tokenError("C_GenerateKeyPair", new pkcs11js.Pkcs11Error("CKR_VENDOR_DEFINED:320", 320, ""))
    expect(ckrOf(stated)).to.equal("CKR_CURVE_NOT_SUPPORTED")
  })

  it("lets what did not come from the token pass", () => {
    const error = new TypeError("no")
    expect(tokenError("C_WrapKey", error)).to.equal(error)
    expect(() =>
      attempt("C_Login", () => {
        throw error
      }),
    ).to.throw(TypeError)
    expect(() => refusalOf(error)).to.throw(TypeError)
  })

  it("tells a refusal from a token that is gone", async () => {
    const of = (name: string, value: number): unknown => tokenError("C_WrapKey", new Error(`${name}:${value}`))
    expect(refusalOf(of("CKR_KEY_NOT_WRAPPABLE", 0x69)).code).to.equal("ERR_TOKEN_OTHER")
    await expectCode("ERR_TOKEN_UNAVAILABLE", () => refusalOf(of("CKR_SESSION_HANDLE_INVALID", 0xb3)))
    await expectCode("ERR_TOKEN_UNAVAILABLE", () => refusalOf(of("CKR_DEVICE_REMOVED", 0x32)))
  })
})
