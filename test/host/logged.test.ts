import { expect } from "chai"
import type { Log } from "#src/core/ports/log.js"
import { parseTokenUri } from "#src/core/token/token-uri.js"
import { logCalls } from "#src/host/logged.js"
import { openToken } from "#src/pkcs11/token.js"
import { expectCode } from "#test/support/expect-code.js"
import { newKey, memoryCache, pinOf } from "#test/support/token-fixture.js"
import { sharedSofthsmToken } from "#test/support/tokens.js"

describe("a token whose calls are logged", () => {
  it("says in the log what was done, once each, and gives results and refusals as they are", async () => {
    const { uri, pin } = sharedSofthsmToken()
    await using token = await openToken({ uri: parseTokenUri(uri), pin: pinOf(pin), cache: memoryCache() })
    const events: { readonly name: string; readonly fields: Readonly<Record<string, unknown>> }[] = []
    const log: Log = { event: (name, fields) => void events.push({ name, fields }) }
    logCalls(token, log)
    const { id, label } = await token.generateSourceKey(newKey({ keySpec: "HMAC_256" }))
    const key = { id, label }
    expect(await token.findSourceKeys({ id })).to.have.length(1)
    await token.destroyCustodyKey(key)
    await expectCode("ERR_BUG", () =>
      token.generateSourceKey({ ...newKey({ keySpec: "HMAC_256" }), custody: "sealed" }),
    )
    expect(events.map(({ name }) => name)).to.deep.equal(["token.opened", "key.generated", "custody-key.destroyed"])
    expect(events[1]?.fields).to.include({ sourceKeyId: id, label, keySpec: "HMAC_256" })
    expect(events[1]?.fields["durationMs"]).to.be.a("number")
    expect(events[2]?.fields).to.deep.equal(key)
  })
})
