import { expect } from "chai"
import { KEY_SPEC_NAMES, KEY_SPECS, type KeySpec } from "#src/core/key/key-spec.js"
import type { Token } from "#src/core/ports/token.js"
import type { WrapCapability, WrapRequest } from "#src/core/key/wrapping.js"
import { kmsAllows, WRAPPING_ALGORITHMS } from "#src/core/key/wrapping-algorithm.js"
import { GENERIC, profileNamed } from "#src/pkcs11/profiles.js"
import { ALL_REQUESTS, memoryCache, newKey, nss, open, softhsm } from "../../support/token-fixture.js"

const name = ({ keySpec, wrappingAlgorithm, wrappingKeySpec }: WrapRequest): string =>
  `${keySpec} ${wrappingAlgorithm} ${wrappingKeySpec}`

const NO_HASH = "the token refuses CKM_RSA_PKCS_OAEP with SHA-256 (C_WrapKey: CKR_ARGUMENTS_BAD)"
const NO_KWP = "the token has no CKM_AES_KEY_WRAP_KWP (C_WrapKey: CKR_MECHANISM_INVALID)"
const PADS = `CKM_AES_KEY_WRAP_PAD pads the value with zero bytes before wrapping; ${NO_KWP}`
const NOT_WRAPPABLE =
  "the token does not wrap this kind of key by CKM_RSA_PKCS_OAEP with SHA-1 (C_WrapKey: CKR_KEY_NOT_WRAPPABLE)"

/** SoftHSM 2.6.1: null where the path is usable, else the reason (docs/tokens.md). */
function onSofthsm({ keySpec, wrappingAlgorithm }: WrapRequest): string | null {
  const { scheme, hash } = WRAPPING_ALGORITHMS[wrappingAlgorithm]
  if (hash === "SHA-256") return NO_HASH
  if (scheme === "oaep") return ["aes", "hmac"].includes(KEY_SPECS[keySpec].family) ? null : NOT_WRAPPABLE
  if (keySpec === "ECC_NIST_EDWARDS25519")
    return `the token does not wrap this kind of key by CKM_AES_KEY_WRAP_PAD (C_WrapKey: CKR_KEY_NOT_WRAPPABLE); ${NO_KWP}`
  return keySpec === "ECC_NIST_P384" || keySpec === "ECC_SECG_P256K1" ? null : PADS
}

/** NSS 3.87. */
function onNss({ keySpec }: WrapRequest): string | null {
  if (keySpec === "ECC_SECG_P256K1") return "cannot generate: CKR_DOMAIN_PARAMS_INVALID"
  if (keySpec === "ECC_NIST_EDWARDS25519") return "cannot generate: CKR_MECHANISM_INVALID"
  return null
}

const allowed = ({ keySpec, wrappingAlgorithm, wrappingKeySpec }: WrapRequest): boolean =>
  kmsAllows(keySpec, wrappingAlgorithm, wrappingKeySpec)

const nssProfile = profileNamed("nss") ?? expect.fail("no such profile")

describe("the self-test's matrix", () => {
  for (const [title, make, kwp, expected] of [
    ["SoftHSM 2.6.1", softhsm, "CKM_AES_KEY_WRAP_PAD", onSofthsm],
    ["NSS softokn 3.87", nss, "CKM_AES_KEY_WRAP_KWP", onNss],
  ] as const) {
    it(`is what was measured of ${title}`, async () => {
      await using token = await open(make())
      const verdicts = await token.selfTest(ALL_REQUESTS)
      expect(verdicts.map(name)).to.deep.equal(ALL_REQUESTS.map(name))
      for (const verdict of verdicts.filter(allowed)) {
        const reason = expected(verdict)
        expect(verdict.usable, `${name(verdict)}: ${verdict.reason}`).to.equal(reason === null)
        if (reason !== null) {
          expect(verdict, name(verdict)).to.deep.include({ reason, wrapPath: null, mechanisms: [] })
          continue
        }
        const composed = WRAPPING_ALGORITHMS[verdict.wrappingAlgorithm].scheme === "rsa-aes"
        expect(verdict.wrapPath).to.equal(composed ? "composed" : "oaep")
        expect(verdict.mechanisms).to.deep.equal(composed ? [kwp, "CKM_RSA_PKCS_OAEP"] : ["CKM_RSA_PKCS_OAEP"])
      }
    })
  }

  it("refuses what KMS does not take without asking the token", async () => {
    await using token = await open(softhsm())
    const requests = ALL_REQUESTS.filter((request) => !allowed(request))
    const verdicts = await token.selfTest(requests)
    expect(verdicts.some(({ usable }) => usable)).to.equal(false)
    const reasonOf = (wanted: string): string | undefined =>
      verdicts.find((verdict) => name(verdict) === wanted)?.reason
    expect(reasonOf("RSA_2048 RSAES_OAEP_SHA_256 RSA_4096")).to.equal(
      "KMS does not take RSA_2048 by RSAES_OAEP_SHA_256",
    )
    expect(reasonOf("ECC_NIST_P521 RSAES_OAEP_SHA_1 RSA_2048")).to.equal(
      "KMS does not take ECC_NIST_P521 by RSAES_OAEP_SHA_1 under RSA_2048",
    )
  })

  it("leaves no object in the token", async () => {
    await using token = await open(softhsm())
    await token.selfTest(ALL_REQUESTS.filter(({ keySpec }) => KEY_SPECS[keySpec].family !== "rsa"))
    await token.probeCustody()
    expect(await token.findSourceKeys()).to.deep.equal([])
    expect((await token.search()).strays).to.deep.equal([])
  })
})

describe("the self-test's words for what is not RFC 5649", () => {
  const composed = (keySpec: KeySpec): WrapRequest => ({
    keySpec,
    wrappingAlgorithm: "RSA_AES_KEY_WRAP_SHA_256",
    wrappingKeySpec: "RSA_2048",
  })
  const cases: [kwp: "CKM_AES_KEY_WRAP_PAD" | "CKM_AES_KEY_WRAP", keySpec: KeySpec, reason: string][] = [
    ["CKM_AES_KEY_WRAP_PAD", "ECC_NIST_P384", "CKM_AES_KEY_WRAP_PAD is RFC 3394 with PKCS #7 padding, not RFC 5649"],
    ["CKM_AES_KEY_WRAP", "ECC_NIST_P256", "wrapping by CKM_AES_KEY_WRAP failed (C_WrapKey: CKR_DATA_LEN_RANGE)"],
  ]
  for (const [kwp, keySpec, reason] of cases) {
    it(`${kwp} of NSS with ${keySpec}`, async () => {
      await using token = await open(nss(), { profile: { ...nssProfile, kwp: [kwp] } })
      const [verdict] = await token.selfTest([composed(keySpec)])
      expect(verdict).to.include({ usable: false, reason })
    })
  }

  it("finds the right mechanism by itself, knowing nothing of the token", async () => {
    await using token = await open(nss(), { profile: GENERIC })
    const [verdict] = await token.selfTest([composed("RSA_2048")])
    expect(verdict?.mechanisms).to.deep.equal(["CKM_AES_KEY_WRAP_KWP", "CKM_RSA_PKCS_OAEP"])
  })

  it("tries the next candidate where the first is wrong", async () => {
    const kwp = ["CKM_AES_KEY_WRAP_PAD", "CKM_AES_KEY_WRAP_KWP"] as const
    await using token = await open(nss(), { profile: { ...nssProfile, kwp } })
    const [verdict] = await token.selfTest([composed("ECC_NIST_P256")])
    expect(verdict?.mechanisms).to.deep.equal(["CKM_AES_KEY_WRAP_KWP", "CKM_RSA_PKCS_OAEP"])
  })
})

describe("the self-test's memory", () => {
  const request: WrapRequest = {
    keySpec: "SYMMETRIC_DEFAULT",
    wrappingAlgorithm: "RSAES_OAEP_SHA_1",
    wrappingKeySpec: "RSA_2048",
  }
  const other: WrapRequest = { ...request, keySpec: "HMAC_224" }
  const marked = (token: Token, options?: { fresh: boolean }): Promise<readonly WrapCapability[]> =>
    token.selfTest([request], options)

  /** Puts a mark on every remembered reason, so that an answer shows where it came from. */
  const mark = (cache: ReturnType<typeof memoryCache>): void => {
    for (const [key, value] of cache.entries) cache.entries.set(key, value.replaceAll("opened outside", "REMEMBERED"))
  }

  it("answers from the cache, keeps what it knew, and tests again when asked to", async () => {
    const cache = memoryCache()
    await using token = await open(softhsm(), { cache })
    await token.selfTest([request])
    mark(cache)
    await token.selfTest([other])
    expect((await marked(token))[0]?.reason).to.match(/^REMEMBERED/)
    expect((await marked(token, { fresh: true }))[0]?.reason).to.match(/^opened outside/)
    expect((await marked(token))[0]?.reason).to.match(/^opened outside/)
  })

  it("is void for another profile", async () => {
    const cache = memoryCache()
    await using one = await open(softhsm(), { cache })
    await one.selfTest([request])
    mark(cache)
    await using two = await open(softhsm(), { cache, profile: GENERIC })
    expect((await marked(two))[0]?.reason).to.match(/^opened outside/)
    expect(cache.entries.size).to.equal(2)
  })

  for (const damaged of [
    "null",
    "[]",
    '{"wraps":7,"custody":1}',
    `{"wraps":{"${name(request)}":{"usable":true}}}`,
    `{"wraps":{"${name(request)}":{"usable":true,"wrapPath":"oaep","mechanisms":["CKM_EVIL"],"reason":"x"}}}`,
    `{"wraps":{"${name(request)}":{"usable":true,"wrapPath":"composed","mechanisms":["CKM_RSA_PKCS_OAEP"],"reason":"x"}}}`,
    `{"wraps":{"${name(request)}":{"usable":true,"wrapPath":null,"mechanisms":[],"reason":"x"}}}`,
  ]) {
    it(`takes ${damaged} for no verdict`, async () => {
      const cache = memoryCache()
      const reading = { ...cache, get: () => Promise.resolve(JSON.parse(damaged) as unknown) }
      await using token = await open(softhsm(), { cache: reading })
      expect((await marked(token))[0]).to.deep.include({ usable: true, mechanisms: ["CKM_RSA_PKCS_OAEP"] })
    })
  }

  it("never uses a path that was not proven", async () => {
    await using token = await open(softhsm())
    const key = await token.generateSourceKey(newKey())
    const [capability] = await token.selfTest([{ ...request, wrappingAlgorithm: "RSAES_OAEP_SHA_256" }])
    expect(capability?.usable).to.equal(false)
    const failure = await token.wrap(key, {} as never, capability!).catch((error: unknown) => error)
    expect(failure).to.include({ code: "ERR_BUG" })
  })

  it("covers every key spec", () => {
    expect(new Set(ALL_REQUESTS.map(({ keySpec }) => keySpec)).size).to.equal(KEY_SPEC_NAMES.length)
  })
})
