import { expect } from "chai"
import { generateKeyPairSync } from "node:crypto"
import pkcs11js from "pkcs11js"
import type { KeySpec } from "#src/core/key/key-spec.js"
import type { Token } from "#src/core/ports/token.js"
import type { WrapCapability, WrapRequest } from "#src/core/key/wrapping.js"
import { type WrappingAlgorithm } from "#src/core/key/wrapping-algorithm.js"
import { parseTokenUri } from "#src/core/token/token-uri.js"
import { parseWrappingKey } from "#src/core/key/wrapping-key.js"
import { inspectToken, openModule } from "#src/pkcs11/session/inspect.js"
import { openToken } from "#src/pkcs11/token.js"
import { chooseToken } from "#src/pkcs11/session/choose-token.js"
import { loadModule } from "#src/pkcs11/session/module.js"
import { describeSlots } from "#src/pkcs11/session/slots.js"
import { expectCode } from "#test/support/expect-code.js"
import { lyingToken } from "#test/support/liar.js"
import type { TestToken } from "#test/support/tokens.js"
import { memoryCache, newKey, open, pinOf, softhsm, uriOf } from "../support/token-fixture.js"

/** A module in front of SoftHSM that tells one lie at a time: the real token, made to misbehave. */
describe("a token that lies", () => {
  let liar: TestToken
  const wrappingKey = parseWrappingKey(
    generateKeyPairSync("rsa", { modulusLength: 2048 }).publicKey.export({ format: "der", type: "spki" }),
    "RSA_2048",
  )

  before(() => {
    liar = lyingToken(softhsm())
    Object.assign(process.env, liar.env)
  })
  afterEach(() => {
    delete process.env["LIAR"]
    delete process.env["LIAR_PIN"]
  })
  const tell = (lie: string): void => {
    process.env["LIAR"] = lie
  }

  it("is not gone on with where its keypad did not take the PIN, and is where it did; no PIN source is read", async () => {
    const pin = pinOf("not even read")
    const openAtKeypad = () => openToken({ uri: uriOf(liar), pin, cache: memoryCache() })
    process.env["LIAR_PIN"] = "wrong-01"
    const error = await expectCode("ERR_TOKEN_PIN_INCORRECT", openAtKeypad)
    expect(error.message).to.include("keypad")
    process.env["LIAR_PIN"] = liar.pin
    await using token = await openAtKeypad()
    const key = await token.generateSourceKey(newKey())
    expect(await token.findSourceKeys({ id: key.id })).to.deep.equal([key])
    expect(pin.events).to.deep.equal([])
  })

  /** A client beside keyferry, logged in with it. */
  const client = () => {
    using holder = loadModule(liar.module)
    const { lib, handle } = chooseToken(holder, uriOf(liar)).slot
    const session = lib.C_OpenSession(handle, pkcs11js.CKF_SERIAL_SESSION | pkcs11js.CKF_RW_SESSION)
    return { lib, session }
  }
  const attributes = (values: Readonly<Record<string, number | boolean | string>>): pkcs11js.Template =>
    Object.entries(values).map(([name, value]) => ({ type: pkcs11js[`CKA_${name}` as "CKA_LABEL"], value }))
  /** Throw-away token objects that are there. */
  const throwAways = (): number => {
    const { lib, session } = client()
    lib.C_FindObjectsInit(session, attributes({ LABEL: "keyferry-self-test", TOKEN: true }))
    const { length } = lib.C_FindObjects(session, 100)
    lib.C_FindObjectsFinal(session)
    lib.C_CloseSession(session)
    return length
  }

  const request = (keySpec: KeySpec, wrappingAlgorithm: WrappingAlgorithm): WrapRequest => ({
    keySpec,
    wrappingAlgorithm,
    wrappingKeySpec: "RSA_2048",
  })
  const verdict = async (token: Token, asked: WrapRequest): Promise<WrapCapability> =>
    (await token.selfTest([asked], { fresh: true }))[0]!

  it("is taken at its word while it tells the truth", async () => {
    await using token = await open(liar)
    expect(await verdict(token, request("HMAC_224", "RSAES_OAEP_SHA_1"))).to.include({ usable: true })
    expect(await verdict(token, request("ECC_NIST_P384", "RSA_AES_KEY_WRAP_SHA_1"))).to.include({ usable: true })
  })

  const lies: readonly [lie: string, keySpec: KeySpec, algorithm: WrappingAlgorithm, reason: RegExp][] = [
    ["one hash for all", "SYMMETRIC_DEFAULT", "RSAES_OAEP_SHA_256", /uses SHA-1 whatever hash is asked/],
    ["one hash for all", "ECC_NIST_P384", "RSA_AES_KEY_WRAP_SHA_256", /uses SHA-1 whatever hash is asked/],
    ["old padding", "SYMMETRIC_DEFAULT", "RSAES_OAEP_SHA_1", /PKCS #1 v1.5 instead of OAEP/],
    ["another key", "SYMMETRIC_DEFAULT", "RSAES_OAEP_SHA_1", /another key than the one to be wrapped/],
    ["another key", "HMAC_256", "RSAES_OAEP_SHA_1", /another key than the one to be wrapped/],
    ["nothing at all", "SYMMETRIC_DEFAULT", "RSAES_OAEP_SHA_1", /with 0 bytes/],
    ["a short result", "SYMMETRIC_DEFAULT", "RSAES_OAEP_SHA_1", /with 248 bytes/],
    ["a short result", "ECC_NIST_P384", "RSA_AES_KEY_WRAP_SHA_1", /with 248 bytes/],
    ["a flipped bit", "SYMMETRIC_DEFAULT", "RSAES_OAEP_SHA_1", /does not open with any OAEP hash/],
    ["a flipped bit", "ECC_NIST_P384", "RSA_AES_KEY_WRAP_SHA_1", /does not open with any OAEP hash/],
    ["not sensitive", "SYMMETRIC_DEFAULT", "RSAES_OAEP_SHA_1", /does not keep CKA_SENSITIVE=true/],
    ["not sensitive", "ECC_NIST_P384", "RSA_AES_KEY_WRAP_SHA_1", /does not keep CKA_SENSITIVE=true/],
    ["not extractable", "SYMMETRIC_DEFAULT", "RSAES_OAEP_SHA_1", /does not keep CKA_EXTRACTABLE=true/],
    [
      "no HMAC of SHA-384",
      "HMAC_384",
      "RSAES_OAEP_SHA_1",
      /^the token cannot compute HMAC_SHA_384, so the import could/,
    ],
    ["decrypts", "ECC_NIST_P384", "RSA_AES_KEY_WRAP_SHA_1", /ephemeral AES key .*CKA_DECRYPT/],
  ]
  for (const [lie, keySpec, algorithm, reason] of lies) {
    it(`is found out: ${lie}, ${keySpec} by ${algorithm}`, async () => {
      await using token = await open(liar)
      // what 'another key' wraps
      await token.generateSourceKey(newKey({ keySpec }))
      tell(lie)
      const found = await verdict(token, request(keySpec, algorithm))
      expect(found).to.deep.include({ usable: false, wrapPath: null, mechanisms: [] })
      expect(found.reason).to.match(reason)
    })
  }

  for (const lie of ["not sensitive", "not extractable", "decrypts"]) {
    it(`is not given a source key to keep: ${lie}`, async () => {
      await using token = await open(liar)
      tell(lie)
      const template = newKey({ custody: "token" })
      await expectCode("ERR_KEY_ATTRIBUTES", () => token.generateSourceKey(template))
      delete process.env["LIAR"]
      expect(await token.findSourceKeys({ id: template.id })).to.deep.equal([])
    })
  }

  it("does without the MAC of one hash for the keys of another", async () => {
    await using token = await open(liar)
    tell("no HMAC of SHA-384")
    expect(await verdict(token, request("HMAC_256", "RSAES_OAEP_SHA_1"))).to.include({ usable: true })
  })

  it("has its own RSA-AES mechanism preferred, once what comes out was opened: native", async () => {
    tell("native")
    await using token = await open(liar)
    const capability = await verdict(token, request("ECC_NIST_P384", "RSA_AES_KEY_WRAP_SHA_1"))
    expect(capability).to.deep.include({
      usable: true,
      wrapPath: "native",
      mechanisms: ["CKM_RSA_AES_KEY_WRAP"],
    })
    const key = await token.generateSourceKey(newKey({ keySpec: "ECC_NIST_P384" }))
    const wrapped = await token.wrap(key, wrappingKey, capability)
    expect(wrapped).to.include({ wrapPath: "native" })
    // 256 bytes of OAEP, 80 of PKCS #8 with their check value
    expect(wrapped.bytes).to.have.lengthOf(256 + 88)
    // SoftHSM has no OAEP with SHA-256, so this mechanism made of its calls has none either
    expect(await verdict(token, request("ECC_NIST_P384", "RSA_AES_KEY_WRAP_SHA_256"))).to.include({ usable: false })
    // and pads the value, natively as well
    expect(await verdict(token, request("ECC_NIST_P256", "RSA_AES_KEY_WRAP_SHA_1"))).to.include({ usable: false })
  })

  it("is unmasked by what comes out: native, one hash for all", async () => {
    tell("native, one hash for all")
    await using token = await open(liar)
    const sha256 = await verdict(token, request("ECC_NIST_P384", "RSA_AES_KEY_WRAP_SHA_256"))
    expect(sha256).to.include({ usable: false, wrapPath: null })
    expect(sha256.reason).to.match(/CKM_RSA_AES_KEY_WRAP uses SHA-1 whatever hash is asked \(SHA-256 was\)/)
    const sha1 = await verdict(token, request("ECC_NIST_P384", "RSA_AES_KEY_WRAP_SHA_1"))
    expect(sha1).to.include({ usable: true, wrapPath: "native" })
  })

  it("is carried by the composed form, where its own mechanism gives something else: native, a flipped bit", async () => {
    tell("native, a flipped bit")
    await using token = await open(liar)
    const capability = await verdict(token, request("ECC_NIST_P384", "RSA_AES_KEY_WRAP_SHA_1"))
    expect(capability).to.include({ usable: true, wrapPath: "composed" })
    expect(capability.mechanisms).to.not.include("CKM_RSA_AES_KEY_WRAP")
    const key = await token.generateSourceKey(newKey({ keySpec: "ECC_NIST_P384" }))
    expect(await token.wrap(key, wrappingKey, capability)).to.include({ wrapPath: "composed" })
  })

  const enforced = async (token: Token): Promise<readonly string[]> =>
    (await token.probeCustody()).verdicts.flatMap((found) => (found.enforced ? [found.custody] : []))
  const objectFlaws: readonly [lie: string, kept: false | null, flaw: RegExp][] = [
    ["token objects not sensitive", false, /^CKA_SENSITIVE is false, not true$/],
    ["write protected", null, /^C_GenerateKey: CKR_TOKEN_WRITE_PROTECTED$/],
    ["full", null, /^C_GenerateKey: CKR_DEVICE_MEMORY$/],
  ]
  for (const [lie, kept, flaw] of objectFlaws) {
    it(`is not trusted with token objects, but with session keys: ${lie}`, async () => {
      await using token = await open(liar)
      tell(lie)
      const { facts, verdicts } = await token.probeCustody()
      expect(facts).to.include({ sensitiveOneWay: true, tokenObjectsKept: kept })
      expect(facts.tokenObjectFlaw).to.match(flaw)
      expect(await enforced(token)).to.deep.equal(["session"])
      expect(verdicts.find(({ custody }) => custody === "token")?.reason).to.include(facts.tokenObjectFlaw)
      expect(throwAways()).to.equal(0)
      delete process.env["LIAR"]
      // what may pass is not remembered
      expect(await enforced(token)).to.deep.equal(
        kept === null ? ["sealed", "token", "locked", "session"] : ["session"],
      )
    })
  }

  it("has what a probe that died left behind removed by the next", async () => {
    await using token = await open(liar)
    const { lib, session } = client()
    const values = { CLASS: 4, KEY_TYPE: 0x1f, VALUE_LEN: 32, TOKEN: true, PRIVATE: true, LABEL: "keyferry-self-test" }
    lib.C_GenerateKey(session, { mechanism: pkcs11js.CKM_AES_KEY_GEN }, attributes(values))
    lib.C_CloseSession(session)
    expect(throwAways()).to.equal(1)
    await token.probeCustody()
    expect(throwAways()).to.equal(0)
  })

  it("is asked about secrecy by another kind of key: no AES", async () => {
    await using token = await open(liar)
    tell("no AES")
    const { facts } = await token.probeCustody()
    expect(facts).to.include({ sensitiveOneWay: true, extractableOneWay: true, tokenObjectsKept: true })
    expect(facts).to.include({ provenanceHonest: null })
  })

  it("does not lose a key to the probe: the handle of the key before", async () => {
    await using token = await open(liar)
    const key = await token.generateSourceKey(newKey({ custody: "token" }))
    tell("the handle of the key before")
    await expectCode("ERR_TOKEN_OTHER", () => token.probeCustody())
    await verdict(token, request("SYMMETRIC_DEFAULT", "RSAES_OAEP_SHA_1"))
    delete process.env["LIAR"]
    expect(await token.findSourceKeys({ id: key.id })).to.deep.equal([key])
    await token.destroySourceKey(key)
  })

  it("has its RSA keys found after EC keys, whatever it answers to what a key lacks", async () => {
    await using token = await open(liar)
    tell("empty for unknown")
    for (const keySpec of ["ECC_NIST_P256", "RSA_2048"] as const) {
      const { id } = await token.generateSourceKey(newKey({ keySpec }))
      expect((await token.findSourceKeys({ id })).map((key) => key.keySpec)).to.deep.equal([keySpec])
    }
  })

  it("is described but for the mechanism that it lists and does not know", () => {
    const names = (): readonly string[] => inspectToken(uriOf(liar)).mechanisms.map(({ name }) => name)
    const all = names()
    tell("an unknown mechanism")
    expect(names()).to.deep.equal(all.filter((name) => name !== "CKM_AES_CBC"))
    expect(all).to.include("CKM_AES_CBC")
  })

  it("is chosen beside a slot that does not answer, which is shown with its reason", async () => {
    tell("a broken slot")
    using module = openModule(uriOf(liar))
    const slots = describeSlots(module)
    const reasons = slots.filter(({ token }) => token === null).map(({ reason }) => reason)
    expect(reasons).to.deep.equal(["C_GetSlotInfo: CKR_DEVICE_ERROR"])
    expect(slots.map(({ token }) => token?.label)).to.include(liar.label)
    await using token = await open(liar)
    expect(token.info.label).to.equal(liar.label)
    const nobody = parseTokenUri(liar.uri.replace(/token=[^;?]*/, "token=nobody"))
    const error = await expectCode("ERR_TOKEN_NOT_FOUND", () => inspectToken(nobody))
    expect(error.message).to.include("C_GetSlotInfo: CKR_DEVICE_ERROR")
  })

  it("is finalised where it does not tell what it is", async () => {
    tell("no information")
    const error = await expectCode("ERR_MODULE_UNUSABLE", () => openModule(uriOf(liar)))
    expect(error.causes).to.deep.equal([{ code: "CKR_GENERAL_ERROR", message: "C_GetInfo" }])
    const other = new pkcs11js.PKCS11()
    other.load(liar.module)
    expect(() => other.C_GetSlotList(false)).to.throw("CKR_CRYPTOKI_NOT_INITIALIZED")
  })

  it("does not have another key destroyed, nor taken for the new one: the handle of the key before", async () => {
    await using token = await open(liar)
    const before = await token.generateSourceKey(newKey())
    tell("the handle of the key before")
    await expectCode("ERR_KEY_ATTRIBUTES", () => token.generateSourceKey(newKey()))
    delete process.env["LIAR"]
    expect(await token.findSourceKeys()).to.deep.equal([before])
  })

  for (const [lie, code] of [
    ["a short result", "ERR_WRAP_RESULT"],
    ["nothing at all", "ERR_WRAP_RESULT"],
    ["device removed", "ERR_TOKEN_UNAVAILABLE"],
  ] as const) {
    it(`fails the wrap by its name: ${lie}`, async () => {
      await using token = await open(liar)
      const capability = await verdict(token, request("SYMMETRIC_DEFAULT", "RSAES_OAEP_SHA_1"))
      const key = await token.generateSourceKey(newKey())
      tell(lie)
      const error = await expectCode(code, () => token.wrap(key, wrappingKey, capability))
      expect(error.key).to.equal(key.label)
    })
  }

  it("gives no verdict while it is gone", async () => {
    await using token = await open(liar)
    tell("device removed")
    await expectCode("ERR_TOKEN_UNAVAILABLE", () => verdict(token, request("HMAC_256", "RSAES_OAEP_SHA_1")))
  })

  for (const lie of ["device removed", "gone at a copy", "gone at a change", "gone at a claim"]) {
    it(`is not taken to enforce what it was not there to refuse: ${lie}`, async () => {
      await using token = await open(liar)
      const before = await token.probeCustody({ fresh: true })
      tell(lie)
      await expectCode("ERR_TOKEN_UNAVAILABLE", () => token.probeCustody({ fresh: true }))
      delete process.env["LIAR"]
      expect((await token.probeCustody()).facts).to.deep.equal(before.facts)
    })
  }

  for (const lie of ["few sessions", "one session"]) {
    it(`is served with what it has: ${lie}`, async () => {
      tell(lie)
      await using token = await open(liar, { sessions: 8 })
      const keys = await Promise.all(Array.from({ length: 12 }, () => token.generateSourceKey(newKey())))
      expect(await token.findSourceKeys()).to.have.lengthOf(keys.length)
    })
  }
})
