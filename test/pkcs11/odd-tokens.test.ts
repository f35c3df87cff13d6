import { expect } from "chai"
import { generateKeyPairSync } from "node:crypto"
import { parseWrappingKey } from "#src/core/key/wrapping-key.js"
import type { SourceKey } from "#src/core/key/source-key.js"
import type { Token } from "#src/core/ports/token.js"
import { parseTokenUri } from "#src/core/token/token-uri.js"
import { profileNamed, TOKEN_PROFILES } from "#src/pkcs11/profiles.js"
import { inspectToken } from "#src/pkcs11/session/inspect.js"
import { expectCode } from "#test/support/expect-code.js"
import { lyingToken } from "#test/support/liar.js"
import { addSofthsmToken, type TestToken } from "#test/support/tokens.js"
import { newCustodyKey, newKey, nss, open, sealedMaterialOf, softhsm } from "../support/token-fixture.js"

/** SoftHSM behind a module that makes it odd in ways that the standard allows, or that some vendor has. */
describe("an odd token", () => {
  let odd: TestToken

  before(() => {
    const real = softhsm()
    addSofthsmToken(real, "same")
    addSofthsmToken(real, "same")
    addSofthsmToken(real, "other")
    odd = lyingToken(real)
    Object.assign(process.env, odd.env)
  })
  const wrappingKey = parseWrappingKey(
    generateKeyPairSync("rsa", { modulusLength: 2048 }).publicKey.export({ format: "der", type: "spki" }),
    "RSA_2048",
  )

  /** Carries a dozen keys at one time, by both forms of wrapping, and a sealed one. */
  const carries = async (token: Token): Promise<void> => {
    const capabilities = await token.selfTest([
      { keySpec: "SYMMETRIC_DEFAULT", wrappingAlgorithm: "RSAES_OAEP_SHA_1", wrappingKeySpec: "RSA_2048" },
      { keySpec: "ECC_NIST_P384", wrappingAlgorithm: "RSA_AES_KEY_WRAP_SHA_1", wrappingKeySpec: "RSA_2048" },
    ])
    for (const capability of capabilities) expect(capability.usable, capability.reason).to.equal(true)
    const custody = newCustodyKey()
    const custodyKey = await token.generateCustodyKey(custody)
    const made = await Promise.all(
      Array.from({ length: 12 }, async (_, index) => {
        const capability = capabilities[index % 2]!
        const template = newKey({ keySpec: capability.keySpec, custody: index < 6 ? "session" : "token" })
        const key = await token.generateSourceKey(template)
        expect(await token.wrap(key, wrappingKey, capability)).to.have.property("bytes")
        return key
      }),
    )
    const [sessionKey] = made
    const sealed = await sealedMaterialOf(token, sessionKey!, custodyKey)
    await token.destroySourceKey(sessionKey!)
    const opened = await token.unseal(sealed)
    expect(await token.wrap(opened, wrappingKey, capabilities[0]!)).to.have.property("bytes")
    for (const key of made.slice(1)) await token.destroySourceKey(key)
    await token.destroyCustodyKey(custodyKey)
  }

  afterEach(() => {
    Object.assign(process.env, odd.env)
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

  describe("whose module answers CKR_CANT_LOCK", () => {
    it("is initialised once more without locking, and called by one session, one call at a time", async () => {
      process.env["LIAR"] = "no locking"
      await using token = await open(odd, { sessions: 8 })
      await carries(token)
    })

    it("is called one call at a time for two of its tokens", async () => {
      process.env["LIAR"] = "no locking"
      await using one = await open(odd)
      await using other = await open({ ...odd, uri: `pkcs11:token=other?module-path=${odd.module}` })
      await Promise.all([carries(one), carries(other)])
    })

    it("is given its library parameters then, too", async () => {
      const lying = lyingToken(nss())
      process.env["LIAR_MODULE"] = lying.env["LIAR_MODULE"]
      process.env["LIAR"] = "no locking"
      await using token = await open(lying)
      await carries(token)
    })

    it("is refused where it cannot do without locking either", async () => {
      process.env["LIAR"] = "never initialised"
      const { causes } = await expectCode("ERR_MODULE_UNUSABLE", () => open(odd))
      expect(causes).to.deep.equal([{ code: "CKR_CANT_LOCK", message: "C_Initialize" }])
    })
  })

  describe("that may not be written to", () => {
    /** One key that an earlier role made; gone at the end. */
    const withMade = async (token: TestToken, use: (made: SourceKey) => Promise<void>): Promise<void> => {
      delete process.env["LIAR"]
      const template = newKey({ custody: "token" })
      const key = await (async () => {
        await using writer = await open(token)
        return await writer.generateSourceKey(template)
      })()
      try {
        await use(key)
      } finally {
        delete process.env["LIAR"]
        await using writer = await open(token)
        await writer.destroySourceKey(key)
      }
    }
    const request = {
      keySpec: "SYMMETRIC_DEFAULT",
      wrappingAlgorithm: "RSAES_OAEP_SHA_1",
      wrappingKeySpec: "RSA_2048",
    } as const

    /** What needs no write goes on, what needs one is refused, and nothing of it is there afterwards. */
    const servesReaders = async (token: Token, made: SourceKey): Promise<void> => {
      const [capability] = await token.selfTest([request])
      const sessionKey = await token.generateSourceKey(newKey())
      const [found] = await token.findSourceKeys({ id: made.id })
      expect(found).to.deep.equal(made)
      for (const key of [found!, sessionKey]) {
        expect(await token.wrap(key, wrappingKey, capability!)).to.have.property("bytes")
      }
      await token.destroySourceKey(sessionKey)
      const { verdicts } = await token.probeCustody()
      expect(verdicts.find(({ custody }) => custody === "session")?.enforced).to.equal(true)
      expect(verdicts.find(({ custody }) => custody === "token")?.enforced).to.equal(false)
      expect(token.writeProtection).to.match(/CKR_|read-only/)
      const refused = newKey({ custody: "token" })
      await expectCode("ERR_TOKEN_WRITE_PROTECTED", () => token.generateSourceKey(refused))
      expect(await token.findSourceKeys({ id: refused.id })).to.deep.equal([])
    }
    const refusesChanges = async (token: Token, made: SourceKey): Promise<void> => {
      await expectCode("ERR_TOKEN_WRITE_PROTECTED", () => token.generateCustodyKey(newCustodyKey()))
      await expectCode("ERR_TOKEN_WRITE_PROTECTED", () => token.lock(made))
      await expectCode("ERR_TOKEN_WRITE_PROTECTED", () => token.relabel(made, newKey()))
      await expectCode("ERR_TOKEN_WRITE_PROTECTED", () => token.destroySourceKey(made))
      expect(await token.findSourceKeys({ id: made.id })).to.deep.equal([made])
    }

    for (const lie of ["R/O sessions", "R/O role"]) {
      it(`serves what needs no write: ${lie}`, async () => {
        await withMade(odd, async (made) => {
          process.env["LIAR"] = lie
          await using token = await open(odd)
          expect(token.writeProtection).to.match(/^C_OpenSession: CKR_/)
          await servesReaders(token, made)
          await refusesChanges(token, made)
        })
      })
    }

    it("serves what needs no write: a role that may not write, with R/W sessions", async () => {
      await withMade(odd, async (made) => {
        process.env["LIAR"] = "a role that may not write"
        await using token = await open(odd)
        expect(token.writeProtection).to.equal(null)
        await servesReaders(token, made)
      })
    })

    it("serves what needs no write: an NSS database that is opened read-only", async () => {
      await withMade(nss(), async (made) => {
        const libraryParameters = nss().libraryParameters!.replace(/flags= *$/, "flags=readOnly")
        await using token = await open(nss(), { libraryParameters })
        await servesReaders(token, made)
        await refusesChanges(token, made)
      })
    })
  })

  describe("that wants CKA_PRIVATE of public keys", () => {
    const profile = { ...profileNamed("softhsm2")!, publicKeysPrivate: true }

    it("is given it for the wrapping key and for the public half, as its profile says", async () => {
      process.env["LIAR"] = "private public keys"
      await using token = await open(odd, { profile })
      await carries(token)
    })

    it("is seen to want it where the profile does not say so", async () => {
      process.env["LIAR"] = "private public keys"
      await using token = await open(odd)
      const [verdict] = await token.selfTest([
        { keySpec: "ECC_NIST_P384", wrappingAlgorithm: "RSA_AES_KEY_WRAP_SHA_1", wrappingKeySpec: "RSA_2048" },
      ])
      expect(verdict).to.include({ usable: false })
      expect(verdict!.reason).to.include("CKR_TEMPLATE_INCONSISTENT")
    })

    it("is AWS CloudHSM, and no other family", () => {
      const families = TOKEN_PROFILES.filter(({ publicKeysPrivate }) => publicKeysPrivate).map(({ family }) => family)
      expect(families).to.deep.equal(["cloudhsm"])
    })
  })

  describe("with CKM_RSA_AES_KEY_WRAP alone, as YubiHSM 2 has it", () => {
    const profile = profileNamed("yubihsm2")!
    const request = { wrappingAlgorithm: "RSA_AES_KEY_WRAP_SHA_1", wrappingKeySpec: "RSA_3072" } as const

    it("is asked by it what it enforces, carries private keys by it, and seals nothing", async () => {
      process.env["LIAR"] = "native alone"
      await using token = await open(odd, { profile })
      const [capability] = await token.selfTest([{ keySpec: "ECC_NIST_P384", ...request }])
      expect(capability).to.include({ usable: true, wrapPath: "native" })
      const { facts, verdicts, sealing } = await token.probeCustody({
        keySpecs: ["SYMMETRIC_DEFAULT", "ECC_NIST_P384"],
      })
      const all = { extractableFalseRefusesWrap: true, extractableOneWay: true, wrapWithTrustedEnforced: true }
      expect(facts).to.include({ ...all, sensitiveOneWay: true, provenanceHonest: true, tokenObjectsKept: true })
      const enforced = verdicts.filter((verdict) => verdict.enforced).map(({ custody }) => custody)
      expect(enforced).to.deep.equal(["token", "locked", "session"])
      const reason = ["KWP", "PAD"].map(
        (name) => `the token has no CKM_AES_KEY_WRAP_${name} (C_WrapKey: CKR_MECHANISM_INVALID)`,
      )
      for (const verdict of [verdicts[0], sealing.SYMMETRIC_DEFAULT, sealing.ECC_NIST_P384]) {
        expect(verdict).to.include({ enforced: false, reason: reason.join("; ") })
      }
      expect(
        (await expectCode("ERR_CUSTODY_REFUSED", () => token.generateCustodyKey(newCustodyKey()))).message,
      ).to.include("CKM_AES_KEY_WRAP_KWP")
      const locked = await token.generateSourceKey(newKey({ keySpec: "ECC_NIST_P384", custody: "token" }))
      expect(await token.wrap(locked, wrappingKey, capability!)).to.have.property("bytes")
      await token.lock(locked)
      await expectCode("ERR_KEY_NOT_EXTRACTABLE", () => token.wrap(locked, wrappingKey, capability!))
      await token.destroySourceKey(locked)
    })

    it("is caught by it where it enforces nothing", async () => {
      const lying = lyingToken(nss())
      process.env["LIAR_MODULE"] = lying.env["LIAR_MODULE"]
      process.env["LIAR"] = "native alone"
      await using token = await open(lying, { profile })
      const { facts, verdicts } = await token.probeCustody()
      expect(facts).to.include({ extractableFalseRefusesWrap: false, wrapWithTrustedEnforced: false })
      const enforced = verdicts.filter((verdict) => verdict.enforced).map(({ custody }) => custody)
      expect(enforced).to.deep.equal(["token", "session"])
    })
  })

  it("whose login holds for one session only is used by that one", async () => {
    process.env["LIAR"] = "a login of one session"
    await using token = await open(odd, { sessions: 8 })
    await carries(token)
  })
})
