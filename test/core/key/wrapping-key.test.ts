import { expect } from "chai"
import { generateKeyPairSync, type KeyObject } from "node:crypto"
import { parseWrappingKey, sha256, wrappingKeySpecOf } from "#src/core/key/wrapping-key.js"
import { expectCode } from "#test/support/expect-code.js"

const spki = (key: KeyObject): Buffer => key.export({ format: "der", type: "spki" })
const rsa = (modulusLength: number, publicExponent = 65537): Buffer =>
  spki(generateKeyPairSync("rsa", { modulusLength, publicExponent }).publicKey)

describe("parseWrappingKey", () => {
  const good = rsa(2048)

  it("takes an RSA key of the size asked for, and gives its parts", () => {
    const key = parseWrappingKey(good, "RSA_2048")
    expect(key.modulus).to.have.length(256)
    expect(key.modulus[0]).to.be.greaterThan(0x7f)
    expect([...key.publicExponent]).to.deep.equal([1, 0, 1])
    expect(key.fingerprint).to.equal(sha256(good))
    expect(wrappingKeySpecOf(good)).to.equal("RSA_2048")
  })

  const pkcs1 = generateKeyPairSync("rsa", { modulusLength: 2048 }).publicKey.export({ format: "der", type: "pkcs1" })
  const withoutNull = Buffer.from(good)
  const cases: [what: string, bytes: () => Uint8Array][] = [
    ["an EC key", () => spki(generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey)],
    ["an RSA-PSS key", () => spki(generateKeyPairSync("rsa-pss", { modulusLength: 2048 }).publicKey)],
    ["a key of 1024 bits", () => rsa(1024)],
    ["a key of 3072 bits", () => rsa(3072)],
    ["the exponent 3", () => rsa(2048, 3)],
    ["one byte after the end", () => Buffer.concat([good, Buffer.of(0)])],
    ["a byte less", () => good.subarray(0, -1)],
    ["PKCS #1 instead of SPKI", () => pkcs1],
    ["PEM", () => Buffer.from(`-----BEGIN PUBLIC KEY-----\n${good.toString("base64")}\n-----END PUBLIC KEY-----\n`)],
    ["nothing", () => Buffer.alloc(0)],
    ["an encoding that is not DER", () => indefiniteOuter(withoutNull)],
  ]
  for (const [what, bytes] of cases) {
    it(`refuses ${what}`, () => expectCode("ERR_WRAPPING_KEY_INVALID", () => parseWrappingKey(bytes(), "RSA_2048")))
  }
})

/** The same value with a length of five bytes where four would do: BER, not DER. */
function indefiniteOuter(der: Buffer): Buffer {
  expect([der[0], der[1]]).to.deep.equal([0x30, 0x82])
  return Buffer.concat([Buffer.of(0x30, 0x83, 0), der.subarray(2)])
}
