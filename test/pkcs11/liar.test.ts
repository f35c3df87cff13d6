import { expect } from "chai"
import { execFileSync } from "node:child_process"
import { generateKeyPairSync } from "node:crypto"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import type { KeySpec } from "#src/core/key-spec.js"
import type { Token, WrapCapability, WrapRequest } from "#src/core/ports.js"
import { type WrappingAlgorithm } from "#src/core/wrapping-algorithm.js"
import { parseWrappingKey } from "#src/core/wrapping-key.js"
import { expectCode } from "#test/support/expect-code.js"
import type { TestToken } from "#test/support/tokens.js"
import { newKey, open, softhsm } from "./fixture.js"

const SOURCE = fileURLToPath(new URL("../../../test/pkcs11/liar.c", import.meta.url))
const HEADERS = join(dirname(createRequire(import.meta.url).resolve("pkcs11js")), "includes", "pkcs11")

/** A module in front of SoftHSM that tells one lie at a time: the real token, made to misbehave. */
describe("a token that lies", () => {
  let liar: TestToken
  const wrappingKey = parseWrappingKey(
    generateKeyPairSync("rsa", { modulusLength: 2048 }).publicKey.export({ format: "der", type: "spki" }),
    "RSA_2048",
  )

  before(() => {
    const module = join(softhsm().dir, "liar.so")
    execFileSync("cc", ["-shared", "-fPIC", "-w", "-I", HEADERS, "-o", module, SOURCE, "-ldl"])
    process.env["LIAR_MODULE"] = softhsm().module
    liar = { ...softhsm(), module, uri: softhsm().uri.replace(/module-path=[^&]*/, `module-path=${module}`) }
  })
  afterEach(() => {
    delete process.env["LIAR"]
  })
  const tell = (lie: string): void => {
    process.env["LIAR"] = lie
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

  for (const lie of ["few sessions", "one session"]) {
    it(`is served with what it has: ${lie}`, async () => {
      tell(lie)
      await using token = await open(liar, { sessions: 8 })
      const keys = await Promise.all(Array.from({ length: 12 }, () => token.generateSourceKey(newKey())))
      expect(await token.findSourceKeys()).to.have.lengthOf(keys.length)
    })
  }
})
