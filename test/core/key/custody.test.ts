import { expect } from "chai"
import {
  assessAttributes,
  type Custody,
  CUSTODY_NAMES,
  type CustodyVerdict,
  ENFORCEMENT_FACTS,
  type EnforcementFacts,
  judgeCustodies,
  judgeSealing,
  shortcomings,
} from "#src/core/key/custody.js"
import type { KeyAttributes } from "#src/core/key/key-attributes.js"
import { TOKEN_KEY_ATTRIBUTES } from "#test/support/key-attributes.js"

const HONEST: EnforcementFacts = {
  extractableFalseRefusesWrap: true,
  extractableOneWay: true,
  sensitiveOneWay: true,
  wrapWithTrustedEnforced: true,
  provenanceHonest: true,
  tokenObjectsKept: true,
  tokenObjectFlaw: null,
}

const verdictOn = (custody: Custody, facts: Partial<EnforcementFacts>): CustodyVerdict =>
  judgeCustodies({ ...HONEST, ...facts }).find((verdict) => verdict.custody === custody)!

describe("core/custody: judgeCustodies", () => {
  it("gives one verdict for each custody, in their order", () => {
    expect(judgeCustodies(HONEST).map(({ custody }) => custody)).to.deep.equal(CUSTODY_NAMES)
    expect(CUSTODY_NAMES).to.deep.equal(["sealed", "token", "locked", "session"])
  })

  // docs/custody.md: `token` and `session` keep an extractable key and promise its secrecy only
  const enforcedUnder: [what: string, facts: Partial<EnforcementFacts>, enforced: readonly Custody[]][] = [
    ["a token that keeps everything", {}, ["sealed", "token", "locked", "session"]],
    ["NSS, which wraps what is not extractable", { extractableFalseRefusesWrap: false }, ["token", "session"]],
    ["one that makes keys extractable again", { extractableOneWay: false }, ["token", "session"]],
    ["one that lets keys be read", { sensitiveOneWay: false }, []],
    ["one that cannot be asked about the wrap", { extractableFalseRefusesWrap: null }, ["token", "session"]],
    ["one that cannot be asked about secrecy", { sensitiveOneWay: null }, []],
    ["one without CKA_WRAP_WITH_TRUSTED", { wrapWithTrustedEnforced: null }, ["sealed", "token", "locked", "session"]],
    ["one that keeps session objects only", { tokenObjectsKept: false }, ["session"]],
    ["one that takes no token object", { tokenObjectsKept: null }, ["session"]],
    ["one that tells lies of provenance", { provenanceHonest: false }, ["sealed", "token", "locked", "session"]],
  ]
  for (const [what, facts, enforced] of enforcedUnder) {
    it(`of ${what}: ${enforced.join(", ") || "none"}`, () => {
      const verdicts = judgeCustodies({ ...HONEST, ...facts })
      expect(verdicts.filter((verdict) => verdict.enforced).map(({ custody }) => custody)).to.deep.equal(enforced)
    })
  }

  it("refuses sealed where the token seals no AES key, whatever it keeps", () => {
    const aes = { possible: false, enforced: false, mechanism: null, shortScalars: false, reason: "no RFC 5649" }
    const verdicts = judgeCustodies(HONEST, aes)
    expect(verdicts[0]).to.deep.equal({ custody: "sealed", enforced: false, reason: "no RFC 5649" })
    expect(verdicts.filter(({ enforced }) => enforced)).to.have.length(3)
    expect(judgeCustodies(HONEST, { ...aes, possible: true, enforced: true })).to.deep.equal(judgeCustodies(HONEST))
  })

  it("names every broken promise, and tells one that was not seen from one that was broken", () => {
    const wraps = verdictOn("locked", { extractableFalseRefusesWrap: false }).reason
    const changes = verdictOn("locked", { extractableOneWay: false }).reason
    const both = verdictOn("locked", { extractableFalseRefusesWrap: false, extractableOneWay: false }).reason
    expect(new Set([wraps, changes, both])).to.have.property("size", 3)
    expect(both.startsWith(wraps)).to.equal(true)
    expect(both.length).to.be.greaterThan(Math.max(wraps.length, changes.length))
    expect(verdictOn("locked", { extractableOneWay: null }).reason).not.to.equal(changes)
  })

  it("calls sealing enforced where it is possible and the custody key cannot leave", () => {
    const seen = { possible: true, mechanism: "CKM_AES_KEY_WRAP_KWP", shortScalars: false, reason: "exact" }
    expect(judgeSealing(HONEST, seen)).to.deep.equal({ ...seen, enforced: true })
    const leaves = judgeSealing({ ...HONEST, extractableFalseRefusesWrap: false }, seen)
    expect(leaves).to.include({ possible: true, enforced: false })
    expect(leaves.reason).to.equal(verdictOn("sealed", { extractableFalseRefusesWrap: false }).reason)
    const cannot = { possible: false, mechanism: null, shortScalars: false, reason: "pads" }
    expect(judgeSealing(HONEST, cannot)).to.deep.equal({ ...cannot, enforced: false })
  })
})

describe("core/custody: shortcomings", () => {
  it("has nothing to say of a token that keeps everything", () => {
    expect(shortcomings(HONEST)).to.deep.equal([])
  })

  it("names each promise that is broken or could not be tried, and no other", () => {
    const said = ENFORCEMENT_FACTS.flatMap((fact) => {
      const words = [false, null].flatMap((value) => shortcomings({ ...HONEST, [fact]: value }))
      expect(words, fact).to.have.lengthOf(2)
      return words
    })
    expect(new Set(said).size).to.equal(2 * ENFORCEMENT_FACTS.length)
    expect(said.join()).not.to.include("whether it does not")
  })

  it("says what is wrong with a token object, or why there was none", () => {
    for (const value of [false, null]) {
      const facts = { ...HONEST, tokenObjectsKept: value, tokenObjectFlaw: "C_GenerateKey: CKR_X" }
      expect(shortcomings(facts).join()).to.include("C_GenerateKey: CKR_X")
      expect(verdictOn("token", facts).reason).to.include("C_GenerateKey: CKR_X")
    }
  })
})

/** A token key as a good token reads it back. */
const SECRET: KeyAttributes = TOKEN_KEY_ATTRIBUTES
const HMAC = { ...SECRET, keyType: "CKK_GENERIC_SECRET", sign: true }
/** What does not apply to a private key reads null. */
const PRIVATE = { ...SECRET, class: "CKO_PRIVATE_KEY", keyType: "CKK_EC", encrypt: null, verify: null, wrap: null }

describe("core/custody: assessAttributes", () => {
  const asAsked: [what: string, attributes: KeyAttributes, custody: Custody, signs: boolean][] = [
    ["an AES token key", SECRET, "token", false],
    ["an HMAC token key, which may sign", HMAC, "token", true],
    ["a private token key, to which some usages do not apply", PRIVATE, "token", false],
    ["a session key", { ...SECRET, token: false }, "session", false],
    ["a locked key", { ...SECRET, extractable: false }, "locked", false],
    ["an unsealed key", { ...SECRET, token: false }, "sealed", false],
    [
      "a key whose token tells nothing of provenance",
      { ...SECRET, local: null, keyGenMechanism: null },
      "token",
      false,
    ],
  ]
  for (const [what, attributes, custody, signs] of asAsked) {
    it(`takes ${what}`, () => expect(assessAttributes(attributes, custody, signs ? ["sign"] : [])).to.deep.equal([]))
  }

  const notAsAsked: [Partial<KeyAttributes>, keyof KeyAttributes, expected: boolean][] = [
    [{ sensitive: false }, "sensitive", true],
    [{ sensitive: null }, "sensitive", true],
    [{ extractable: false }, "extractable", true],
    [{ extractable: null }, "extractable", true],
    [{ token: false }, "token", true],
    [{ token: null }, "token", true],
    [{ private: false }, "private", true],
    [{ encrypt: true }, "encrypt", false],
    [{ decrypt: true }, "decrypt", false],
    [{ sign: true }, "sign", false],
    [{ verify: true }, "verify", false],
    [{ wrap: true }, "wrap", false],
    [{ unwrap: true }, "unwrap", false],
    [{ derive: true }, "derive", false],
  ]
  for (const [change, attribute, expected] of notAsAsked) {
    it(`finds ${JSON.stringify(change)}`, () => {
      const actual = change[attribute] as boolean | null
      expect(assessAttributes({ ...SECRET, ...change }, "token")).to.deep.equal([{ attribute, expected, actual }])
    })
  }

  it("wants SIGN of an HMAC key, whose proof is a MAC", () => {
    const finding = { attribute: "sign", expected: true, actual: false }
    expect(assessAttributes({ ...HMAC, sign: false }, "token", ["sign"])).to.deep.equal([finding])
  })

  it("wants a locked key not extractable, and a session key gone with its session", () => {
    expect(assessAttributes(SECRET, "locked").map(({ attribute }) => attribute)).to.deep.equal(["extractable"])
    expect(assessAttributes(SECRET, "session").map(({ attribute }) => attribute)).to.deep.equal(["token"])
  })

  it("finds everything that is wrong, not only the first", () => {
    const findings = assessAttributes({ ...SECRET, sensitive: false, wrap: true }, "token")
    expect(findings.map(({ attribute }) => attribute)).to.have.members(["sensitive", "wrap"])
  })
})
