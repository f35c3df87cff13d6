import { expect } from "chai"
import { parseTokenUri } from "#src/core/token/token-uri.js"
import { inspectToken, openModule } from "#src/pkcs11/session/inspect.js"
import { describeSlots, type SlotDescription } from "#src/pkcs11/session/slots.js"
import { expectCode } from "#test/support/expect-code.js"
import { addSofthsmToken } from "#test/support/tokens.js"
import { nss, open, softhsm, uriOf } from "../../support/token-fixture.js"

function slots(): readonly SlotDescription[] {
  using module = openModule(uriOf(softhsm()))
  return describeSlots(module)
}

describe("choosing a token", () => {
  it("lists the slots, with and without a token that can be used", () => {
    const { label } = softhsm()
    const found = slots().find(({ token }) => token?.label === label)
    expect(found?.flags).to.include.members(["login required", "user PIN set", "initialised"])
    const empty = slots().find(({ token }) => token?.label === "")
    expect(empty?.flags).not.to.include("initialised")
  })

  it("says what a token is before any login", () => {
    const { info, pin, profile, mechanisms } = inspectToken(uriOf(nss()))
    expect(info).to.include({ label: "NSS Certificate DB", manufacturer: "Mozilla Foundation" })
    expect(pin).to.deep.equal({ loginRequired: true, enteredAtToken: false, refusal: null, warning: null })
    expect(profile).to.equal("nss")
    const oaep = mechanisms.find(({ name }) => name === "CKM_RSA_PKCS_OAEP")
    expect(oaep?.uses).to.include("wrap")
  })

  const choose = (selectors: string): unknown =>
    inspectToken(parseTokenUri(`pkcs11:${selectors}?module-path=${encodeURIComponent(softhsm().module)}`))

  it("names what is there when none fits", async () => {
    const error = await expectCode("ERR_TOKEN_NOT_FOUND", () => choose("token=nobody"))
    expect(error.message).to.include(`"${softhsm().label}"`)
  })

  it("wants every selector to fit", async () => {
    const token = encodeURIComponent(softhsm().label)
    choose(`token=${token};manufacturer=SoftHSM%20project;model=SoftHSM%20v2`)
    await expectCode("ERR_TOKEN_NOT_FOUND", () => choose(`token=${token};model=SoftHSM%20v3`))
    await expectCode("ERR_TOKEN_NOT_FOUND", () => choose(`token=${token};slot-id=77`))
    await expectCode("ERR_TOKEN_NOT_FOUND", () => choose(`token=${token.toUpperCase()}`))
  })

  it("tells a slot whose token is not initialised", async () => {
    const empty = slots().find(({ token }) => token?.label === "")!
    await expectCode("ERR_TOKEN_UNINITIALIZED", () => choose(`slot-id=${empty.slotId};manufacturer=SoftHSM%20project`))
  })

  it("refuses to choose between two, and takes one that serial= names", async () => {
    const one = addSofthsmToken(softhsm(), "twin")
    addSofthsmToken(softhsm(), "twin")
    const error = await expectCode("ERR_TOKEN_AMBIGUOUS", () => choose("token=twin"))
    const twins = slots().filter(({ token }) => token?.label === "twin")
    expect(twins).to.have.lengthOf(2)
    for (const { token } of twins) {
      expect(error.message).to.include(token!.serial)
      await using opened = await open({
        ...one,
        uri: `pkcs11:token=twin;serial=${token!.serial}?module-path=${one.module}`,
      })
      expect(opened.info.serial).to.equal(token!.serial)
    }
  })
})
