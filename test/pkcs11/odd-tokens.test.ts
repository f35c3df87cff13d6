import { expect } from "chai"
import { parseTokenUri } from "#src/core/token/token-uri.js"
import { inspectToken } from "#src/pkcs11/session/inspect.js"
import { expectCode } from "#test/support/expect-code.js"
import { lyingToken } from "#test/support/liar.js"
import { addSofthsmToken, type TestToken } from "#test/support/tokens.js"
import { newKey, open, softhsm } from "../support/token-fixture.js"

/** SoftHSM behind a module that makes it odd in ways that the standard allows, or that some vendor has. */
describe("an odd token", () => {
  let odd: TestToken

  before(() => {
    const real = softhsm()
    addSofthsmToken(real, "same")
    addSofthsmToken(real, "same")
    odd = lyingToken(real)
    Object.assign(process.env, odd.env)
  })
  afterEach(() => {
    delete process.env["LIAR"]
    delete process.env["LIAR_SERIAL"]
  })

  describe("that nothing but its slot tells from another", () => {
    const uri = (selectors: string): string => `pkcs11:${selectors}?module-path=${odd.module}`
    const rows: readonly (readonly [what: string, serial: string, selectors: string])[] = [
      ["no serial, chosen by label", "", "token=same"],
      ["no serial, chosen by manufacturer", "", "manufacturer=SoftHSM%20project"],
      ["no serial, the URI chooses none", "", ""],
      ["one serial for all, as a clone has", "0000000000000001", "token=same"],
    ]
    for (const [what, serial, selectors] of rows) {
      it(`is named by slot-id, and opens as the hint says: ${what}`, async () => {
        process.env["LIAR_SERIAL"] = serial
        const { hint, message } = await expectCode("ERR_TOKEN_AMBIGUOUS", () =>
          inspectToken(parseTokenUri(uri(selectors))),
        )
        expect(message).to.match(/slot-id \d+/)
        const advised = [...hint.matchAll(/(?:\S+;)?slot-id=\d+/g)].map(([text]) => text)
        expect(advised.length, hint).to.be.at.least(2)
        const twins: string[] = []
        for (const text of advised) {
          const chosen = uri(selectors === "" ? text : `${selectors};${text}`)
          const { info } = inspectToken(parseTokenUri(chosen))
          expect(info.serial).to.equal(serial)
          if (info.label === "same") twins.push(chosen)
        }
        const [first = "", second = ""] = twins
        const template = newKey({ custody: "token" })
        await using one = await open({ ...odd, uri: first })
        await using other = await open({ ...odd, uri: second })
        const key = await one.generateSourceKey(template)
        expect(await other.findSourceKeys({ id: template.id })).to.deep.equal([])
        expect(await one.findSourceKeys({ id: template.id })).to.deep.equal([key])
        await one.destroySourceKey(key)
      })
    }

    it("is named by what does tell it, where something does", async () => {
      const { hint } = await expectCode("ERR_TOKEN_AMBIGUOUS", () => inspectToken(parseTokenUri(uri("token=same"))))
      expect(hint).to.equal("add serial= to the token URI so that one token fits")
    })
  })
})
