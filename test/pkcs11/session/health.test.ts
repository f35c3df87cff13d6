import { renameSync } from "node:fs"
import { join } from "node:path"
import { generateKeyPairSync } from "node:crypto"
import { expect } from "chai"
import type { Token } from "#src/core/ports/token.js"
import { parseWrappingKey } from "#src/core/key/wrapping-key.js"
import { expectCode } from "#test/support/expect-code.js"
import { newCustodyKey, newKey, open, sealedMaterialOf, softhsm } from "../../support/token-fixture.js"

const wrappingKey = parseWrappingKey(
  generateKeyPairSync("rsa", { modulusLength: 2048 }).publicKey.export({ format: "der", type: "spki" }),
  "RSA_2048",
)

describe("a token that goes away under its sessions", () => {
  const there = join(softhsm().dir, "tokens")
  const away = join(softhsm().dir, "away")

  it("is called unavailable, not empty; nothing is lost, and the next run works on", async () => {
    const made = newCustodyKey()
    const stored = newKey({ custody: "token" })
    const material = await (async () => {
      await using token = await open(softhsm())
      const custodyKey = await token.generateCustodyKey(made)
      const key = await token.generateSourceKey(stored)
      const other = await token.generateSourceKey(newKey({ keySpec: "HMAC_256" }))
      const sealed = await sealedMaterialOf(token, other, custodyKey)
      const request = { wrappingAlgorithm: "RSAES_OAEP_SHA_1", wrappingKeySpec: "RSA_2048" } as const
      const [capability] = await token.selfTest([{ keySpec: "SYMMETRIC_DEFAULT", ...request }])
      // what asks the token for what it keeps, one way each
      const work: Readonly<Record<string, (of: Token) => Promise<unknown>>> = {
        search: (of) => of.search({ label: stored.label }),
        findKeys: (of) => of.findKeys({ id: stored.id }),
        findCustodyKeys: (of) => of.findCustodyKeys(made.owner),
        wrap: (of) => of.wrap(key, wrappingKey, capability!),
        seal: (of) => of.seal(key, custodyKey),
        unseal: (of) => of.unseal(sealed),
        lock: (of) => of.lock(key),
        relabel: (of) => of.relabel(key, { id: key.id, label: `${key.label}1` }),
        generate: (of) => of.generateSourceKey(newKey({ custody: "token" })),
        destroy: (of) => of.destroySourceKey(key),
        destroyCustodyKey: (of) => of.destroyCustodyKey(custodyKey),
      }
      renameSync(there, away)
      try {
        for (const [name, run] of Object.entries(work)) {
          const error = await expectCode("ERR_TOKEN_UNAVAILABLE", () => run(token))
          expect(error.retry, name).to.equal("later")
        }
      } finally {
        renameSync(away, there)
      }
      return sealed
    })()

    await using token = await open(softhsm())
    const [key] = await token.findSourceKeys({ id: stored.id })
    expect(key).to.include({ label: stored.label, custody: "token" })
    await token.destroySourceKey(await token.unseal(material))
    await token.destroySourceKey(key!)
    const [custodyKey] = await token.findCustodyKeys(made.owner)
    await token.destroyCustodyKey(custodyKey!)
  })
})
