import { expect } from "chai"
import pkcs11js from "pkcs11js"
import { KeyferryError } from "#src/core/base/error.js"
import { openToken } from "#src/pkcs11/token.js"
import { expectCode } from "#test/support/expect-code.js"
import type { TestToken } from "#test/support/tokens.js"
import { memoryCache, newKey, nss, open, pinOf, softhsm, uriOf } from "../../support/token-fixture.js"

describe("login", () => {
  for (const [name, make] of [
    ["SoftHSM", softhsm],
    ["NSS", nss],
  ] as const) {
    const openWith = (token: TestToken, pin: ReturnType<typeof pinOf>) =>
      openToken({ uri: uriOf(token), pin, cache: memoryCache() })

    it(`presents a wrong PIN to ${name} once, records it and closes everything`, async () => {
      const token = make()
      const pin = pinOf("wrong-pin")
      const error = await expectCode("ERR_TOKEN_PIN_INCORRECT", () => openWith(token, pin))
      expect(error.causes).to.deep.equal([{ code: "CKR_PIN_INCORRECT", message: "C_Login" }])
      expect(pin.events.map((event) => event.split(" ")[0])).to.deep.equal(["read", "refused"])
      expect(JSON.stringify(error) + error.message + String(error.stack)).not.to.include("wrong-pin")
      expect(isInitialised(token)).to.equal(false)
    })

    it(`logs in to ${name} once for all sessions, and says that the PIN was taken`, async () => {
      const token = make()
      const pin = pinOf(token.pin)
      await using opened = await openWith(token, pin)
      expect(pin.events).to.deep.equal([`read ${opened.info.serial}`, `taken ${opened.info.serial}`])
      await Promise.all(Array.from({ length: 10 }, () => opened.findSourceKeys()))
      expect(pin.events).to.have.lengthOf(2)
    })
  }

  it("stops where the PIN source does, and closes everything", async () => {
    const pin = {
      ...pinOf(""),
      read: () => Promise.reject(new KeyferryError("ERR_TOKEN_PIN_REFUSED_BEFORE", "refused before")),
    }
    await expectCode("ERR_TOKEN_PIN_REFUSED_BEFORE", () =>
      openToken({ uri: uriOf(softhsm()), pin, cache: memoryCache() }),
    )
    expect(isInitialised(softhsm())).to.equal(false)
  })

  it("takes a token that this process is logged in to already", async () => {
    await using first = await open(softhsm())
    const pin = pinOf("not even read")
    await using second = await openToken({ uri: uriOf(softhsm()), pin, cache: memoryCache() })
    expect(pin.events).to.deep.equal([])
    const key = await first.generateSourceKey(newKey())
    expect(await second.findSourceKeys({ id: key.id })).to.deep.equal([key])
  })
})

function isInitialised({ module }: TestToken): boolean {
  const lib = new pkcs11js.PKCS11()
  lib.load(module)
  try {
    // NSS answers questions at any time, but opens no session
    const [slot] = lib.C_GetSlotList(false)
    lib.C_CloseSession(lib.C_OpenSession(slot!, 6))
    return true
  } catch {
    return false
  }
}
