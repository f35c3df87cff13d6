import { expect } from "chai"
import type { EnforcementFacts } from "#src/core/key/custody.js"
import type { TestToken } from "#test/support/tokens.js"
import { memoryCache, nss, open, softhsm } from "../../support/token-fixture.js"

/** What was measured of each token (docs/tokens.md). */
const MEASURED: readonly [name: string, make: () => TestToken, facts: EnforcementFacts][] = [
  [
    "SoftHSM",
    softhsm,
    {
      extractableFalseRefusesWrap: true,
      extractableOneWay: true,
      sensitiveOneWay: true,
      wrapWithTrustedEnforced: true,
      provenanceHonest: true,
      tokenObjectsKept: true,
      tokenObjectFlaw: null,
    },
  ],
  [
    "NSS",
    nss,
    {
      extractableFalseRefusesWrap: false,
      extractableOneWay: false,
      sensitiveOneWay: true,
      wrapWithTrustedEnforced: false,
      provenanceHonest: false,
      tokenObjectsKept: true,
      tokenObjectFlaw: null,
    },
  ],
]

describe("the custody probe", () => {
  for (const [name, make, expected] of MEASURED) {
    it(`finds what ${name} enforces, and leaves no object`, async () => {
      await using token = await open(make())
      const { facts, verdicts } = await token.probeCustody()
      expect(facts).to.deep.equal(expected)
      const enforced = Object.fromEntries(verdicts.map((verdict) => [verdict.custody, verdict.enforced]))
      expect(enforced).to.deep.equal({
        sealed: expected.extractableFalseRefusesWrap,
        token: true,
        locked: expected.extractableFalseRefusesWrap,
        session: true,
      })
    })
  }

  it("remembers by what a key spec is sealed, and asks again when told to", async () => {
    const cache = memoryCache()
    const keySpecs = ["HMAC_256"] as const
    {
      await using first = await open(softhsm(), { cache })
      expect((await first.probeCustody({ keySpecs })).sealing.HMAC_256).to.include({ possible: true })
    }
    for (const [key, text] of cache.entries) {
      const memory = JSON.parse(text) as { readonly sealing?: Readonly<Record<string, object>> }
      const sealing = {
        ...memory.sealing,
        HMAC_256: { possible: false, mechanism: null, shortScalars: false, reason: "not today" },
      }
      cache.entries.set(key, JSON.stringify({ ...memory, sealing }))
    }
    await using token = await open(softhsm(), { cache })
    const possible = async (fresh: boolean) =>
      (await token.probeCustody({ fresh, keySpecs })).sealing.HMAC_256?.possible
    expect(await possible(false), "remembered").to.equal(false)
    expect(await possible(true)).to.equal(true)
    expect(await possible(false), "remembered anew").to.equal(true)
  })

  it("remembers facts beside verdicts, and asks again when told to", async () => {
    const cache = memoryCache()
    const request = { keySpec: "HMAC_256", wrappingAlgorithm: "RSAES_OAEP_SHA_1", wrappingKeySpec: "RSA_2048" } as const
    {
      await using first = await open(softhsm(), { cache })
      await first.selfTest([request])
      await first.probeCustody()
    }
    for (const [key, value] of cache.entries) {
      cache.entries.set(key, value.replace('"provenanceHonest":true', '"provenanceHonest":null'))
    }
    await using token = await open(softhsm(), { cache })
    expect((await token.probeCustody()).facts.provenanceHonest).to.equal(null)
    expect((await token.probeCustody({ fresh: true })).facts.provenanceHonest).to.equal(true)
    expect((await token.probeCustody()).facts.provenanceHonest).to.equal(true)
    expect([...cache.entries.values()].join()).to.include("HMAC_256 RSAES_OAEP_SHA_1 RSA_2048")
  })
})
