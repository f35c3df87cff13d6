import { expect } from "chai"
import {
  KEY_SPEC_NAMES,
  KEY_SPECS,
  type KeySpec,
  WRAPPING_KEY_SPECS,
  type WrappingKeySpec,
} from "#src/core/key/key-spec.js"
import { chooseAlgorithm, type WantedAlgorithm, wrapCandidates } from "#src/core/key/negotiation.js"
import {
  kmsAllows,
  oaepCapacity,
  plausibleWrappedLength,
  WRAPPING_ALGORITHM_NAMES,
} from "#src/core/key/wrapping-algorithm.js"
import { expectCode } from "#test/support/expect-code.js"

const ANY_HASH = { minimumHash: "SHA-1" } as const
const SHA_256 = { minimumHash: "SHA-256" } as const

describe("wrapCandidates", () => {
  const cases: [KeySpec, WrappingKeySpec, WantedAlgorithm, string | readonly string[]][] = [
    ["SYMMETRIC_DEFAULT", "RSA_4096", "auto", ["RSAES_OAEP_SHA_256", "RSAES_OAEP_SHA_1"]],
    ["HMAC_224", "RSA_2048", "auto", ["RSAES_OAEP_SHA_256", "RSAES_OAEP_SHA_1"]],
    ["RSA_2048", "RSA_2048", "auto", ["RSA_AES_KEY_WRAP_SHA_256", "RSA_AES_KEY_WRAP_SHA_1"]],
    [
      "ECC_NIST_P384",
      "RSA_3072",
      "auto",
      ["RSA_AES_KEY_WRAP_SHA_256", "RSAES_OAEP_SHA_256", "RSA_AES_KEY_WRAP_SHA_1", "RSAES_OAEP_SHA_1"],
    ],
    ["ECC_NIST_P521", "RSA_2048", "auto", ["RSA_AES_KEY_WRAP_SHA_256", "RSA_AES_KEY_WRAP_SHA_1"]],
    ["ECC_NIST_P521", "RSA_2048", "RSAES_OAEP_SHA_1", "ERR_ALGORITHM_NOT_ALLOWED"],
    ["ECC_NIST_P521", "RSA_3072", "RSAES_OAEP_SHA_1", ["RSAES_OAEP_SHA_1"]],
    ["SYMMETRIC_DEFAULT", "RSA_4096", "RSA_AES_KEY_WRAP_SHA_256", "ERR_ALGORITHM_NOT_ALLOWED"],
    ["RSA_4096", "RSA_4096", "RSAES_OAEP_SHA_256", "ERR_ALGORITHM_NOT_ALLOWED"],
    ["ECC_NIST_EDWARDS25519", "RSA_2048", "RSAES_OAEP_SHA_256", "ERR_ALGORITHM_NOT_ALLOWED"],
    ["ECC_NIST_EDWARDS25519", "RSA_3072", "RSAES_OAEP_SHA_256", ["RSAES_OAEP_SHA_256"]],
  ]
  for (const [keySpec, under, wanted, expected] of cases) {
    it(`${keySpec} by ${wanted} under ${under}`, async () => {
      const run = (): string[] => wrapCandidates(keySpec, under, wanted, ANY_HASH).map((one) => one.wrappingAlgorithm)
      if (typeof expected === "string") await expectCode(expected as "ERR_ALGORITHM_NOT_ALLOWED", run)
      else expect(run()).to.deep.equal(expected)
    })
  }

  it("ask for paths that shorten scalars where the policy takes them", () => {
    const asked = (policy: Parameters<typeof wrapCandidates>[3]) =>
      wrapCandidates("ECC_NIST_P256", "RSA_4096", "auto", policy).map(({ allowShortScalars }) => allowShortScalars)
    expect(new Set(asked({ ...ANY_HASH, allowShortScalars: true }))).to.deep.equal(new Set([true]))
    expect(new Set(asked({ ...ANY_HASH, allowShortScalars: false }))).to.deep.equal(new Set([undefined]))
    expect(new Set(asked(ANY_HASH))).to.deep.equal(new Set([undefined]))
  })

  it("leaves SHA-1 out where the policy says so", async () => {
    expect(
      wrapCandidates("SYMMETRIC_DEFAULT", "RSA_4096", "auto", SHA_256).map((one) => one.wrappingAlgorithm),
    ).to.deep.equal(["RSAES_OAEP_SHA_256"])
    await expectCode("ERR_POLICY_REFUSED", () =>
      wrapCandidates("SYMMETRIC_DEFAULT", "RSA_4096", "RSAES_OAEP_SHA_1", SHA_256),
    )
  })

  it("never offers OAEP for more than it can carry", () => {
    for (const keySpec of KEY_SPEC_NAMES) {
      // PKCS #8 with the public key is the longest form: 241 bytes for P-521
      const longest = { aes: 32, hmac: 64, rsa: 1214, edwards: 48, ec: keySpec === "ECC_NIST_P521" ? 241 : 185 }[
        KEY_SPECS[keySpec].family
      ]
      for (const [under, { modulusBits }] of Object.entries(WRAPPING_KEY_SPECS)) {
        for (const [algorithm, hash] of [
          ["RSAES_OAEP_SHA_256", "SHA-256"],
          ["RSAES_OAEP_SHA_1", "SHA-1"],
        ] as const) {
          if (kmsAllows(keySpec, algorithm, under as WrappingKeySpec)) {
            expect(oaepCapacity(modulusBits, hash), `${keySpec} ${algorithm} ${under}`).to.be.at.least(longest)
          }
        }
      }
    }
  })
})

describe("oaepCapacity", () => {
  // RFC 8017 section 7.1.1
  const cases: [number, "SHA-1" | "SHA-256", number][] = [
    [2048, "SHA-1", 214],
    [2048, "SHA-256", 190],
    [3072, "SHA-256", 318],
    [4096, "SHA-1", 470],
    [4096, "SHA-256", 446],
  ]
  for (const [bits, hash, bytes] of cases)
    it(`${bits} bits, ${hash}: ${bytes}`, () => expect(oaepCapacity(bits, hash)).to.equal(bytes))
})

describe("plausibleWrappedLength", () => {
  const cases: [Parameters<typeof plausibleWrappedLength>, boolean][] = [
    [["RSAES_OAEP_SHA_1", "RSA_2048", 256], true],
    [["RSAES_OAEP_SHA_1", "RSA_2048", 255], false],
    [["RSAES_OAEP_SHA_256", "RSA_4096", 256], false],
    [["RSA_AES_KEY_WRAP_SHA_1", "RSA_2048", 256 + 72], true],
    [["RSA_AES_KEY_WRAP_SHA_1", "RSA_2048", 256 + 70], false],
    [["RSA_AES_KEY_WRAP_SHA_1", "RSA_2048", 256], false],
    [["RSA_AES_KEY_WRAP_SHA_1", "RSA_2048", 256 + 8], false],
    [["RSA_AES_KEY_WRAP_SHA_1", "RSA_2048", 256 + 16], true],
    [["RSA_AES_KEY_WRAP_SHA_256", "RSA_4096", 6144], true],
    [["RSA_AES_KEY_WRAP_SHA_256", "RSA_4096", 6152], false],
  ]
  for (const [args, expected] of cases)
    it(args.join(" "), () => expect(plausibleWrappedLength(...args)).to.equal(expected))
})

describe("chooseAlgorithm", () => {
  const requests = wrapCandidates("SYMMETRIC_DEFAULT", "RSA_4096", "auto", ANY_HASH)
  const verdict = (usable: boolean, reason: string) => ({
    wrapPath: usable ? ("oaep" as const) : null,
    mechanisms: [],
    usable,
    shortScalars: false,
    reason,
  })

  it("takes the first usable one, tests nothing beyond it, and says why", async () => {
    const asked: string[] = []
    const { capability, why } = await chooseAlgorithm(requests, (request) => {
      asked.push(request.wrappingAlgorithm)
      return Promise.resolve({ ...request, ...verdict(true, "fits") })
    })
    expect(capability.wrappingAlgorithm).to.equal("RSAES_OAEP_SHA_256")
    expect(asked).to.deep.equal(["RSAES_OAEP_SHA_256"])
    expect(why).to.contain("fits")
  })

  it("names the refusal of the stronger one", async () => {
    const { capability, why } = await chooseAlgorithm(requests, (request) =>
      Promise.resolve({
        ...request,
        ...verdict(request.wrappingAlgorithm === "RSAES_OAEP_SHA_1", request.wrappingAlgorithm),
      }),
    )
    expect(capability.wrappingAlgorithm).to.equal("RSAES_OAEP_SHA_1")
    expect(why).to.contain("RSAES_OAEP_SHA_256: RSAES_OAEP_SHA_256")
  })

  it("gives every reason when none is usable", async () => {
    const error = await expectCode("ERR_NO_USABLE_ALGORITHM", () =>
      chooseAlgorithm(requests, (request) =>
        Promise.resolve({ ...request, ...verdict(false, `not ${request.wrappingAlgorithm}`) }),
      ),
    )
    expect(error.causes).to.deep.equal(
      ["RSAES_OAEP_SHA_256", "RSAES_OAEP_SHA_1"].map((name) => ({ code: name, message: `not ${name}` })),
    )
  })

  it("knows every algorithm", () => expect(WRAPPING_ALGORITHM_NAMES).to.have.length(4))
})
