import { expect } from "chai"
import { generateKeyPairSync, type KeyObject, randomBytes } from "node:crypto"
import type { KeySpec } from "#src/core/key/key-spec.js"
import { privateKeyFlaw, scalarFlaw, secretLengthFlaw } from "#src/pkcs11/probe/material.js"

const PADS = "pads the value with zero bytes before wrapping"

interface Pair {
  readonly publicKey: KeyObject
  readonly privateKey: KeyObject
}

const PAIRS: Readonly<Partial<Record<KeySpec, () => Pair>>> = {
  RSA_2048: () => generateKeyPairSync("rsa", { modulusLength: 2048 }),
  ECC_NIST_P256: () => generateKeyPairSync("ec", { namedCurve: "P-256" }),
  ECC_NIST_P521: () => generateKeyPairSync("ec", { namedCurve: "P-521" }),
  ECC_SECG_P256K1: () => generateKeyPairSync("ec", { namedCurve: "secp256k1" }),
  ECC_NIST_EDWARDS25519: () => generateKeyPairSync("ed25519"),
}

const pkcs8 = (pair: Pair): Buffer => pair.privateKey.export({ format: "der", type: "pkcs8" })
const spki = (pair: Pair): Buffer => pair.publicKey.export({ format: "der", type: "spki" })

describe("secretLengthFlaw", () => {
  const cases: [what: string, value: Buffer, keySpec: KeySpec, flaw: string | null][] = [
    ["AES-256", randomBytes(32), "SYMMETRIC_DEFAULT", null],
    ["HMAC of 28 bytes", randomBytes(28), "HMAC_224", null],
    ["filled up with zeros", Buffer.concat([randomBytes(28), Buffer.alloc(4)]), "HMAC_224", PADS],
    ["too long", randomBytes(32).fill(1), "HMAC_224", "gives 32 bytes instead of 28"],
    ["too short", randomBytes(31), "SYMMETRIC_DEFAULT", "gives 31 bytes instead of 32"],
  ]
  for (const [what, value, keySpec, flaw] of cases) {
    it(what, () => {
      expect(secretLengthFlaw(value, keySpec)).to.equal(flaw)
    })
  }
})

describe("privateKeyFlaw", () => {
  for (const [name, make] of Object.entries(PAIRS)) {
    const keySpec = name as KeySpec
    describe(name, () => {
      const pair = make()
      const value = pkcs8(pair)
      const flaw = (changed: Buffer, own: Buffer = spki(pair)): string | null => privateKeyFlaw(changed, keySpec, own)

      it("passes PKCS #8 to the byte", () => {
        expect(flaw(value)).to.equal(null)
      })
      it("finds zero bytes after it", () => {
        expect(flaw(Buffer.concat([value, Buffer.alloc(1)]))).to.equal(PADS)
      })
      it("finds other bytes after it", () => {
        expect(flaw(Buffer.concat([value, Buffer.from([0, 1])]))).to.equal("adds 2 bytes after the PKCS #8")
      })
      it("finds a missing byte", () => {
        expect(flaw(value.subarray(0, -1))).to.equal("cuts the PKCS #8 short")
      })
      it("finds another key", () => {
        expect(flaw(value, spki(make()))).to.equal("gives another key than the one to be wrapped")
      })
      it("finds what is no DER at all", () => {
        expect(flaw(randomBytes(64).fill(2, 0, 1))).to.equal("gives something that is not DER")
        expect(flaw(Buffer.alloc(0))).to.equal("gives something that is not DER")
      })
    })
  }

  it("finds PKCS #1 and SEC 1", () => {
    const rsa = PAIRS.RSA_2048!()
    const ec = PAIRS.ECC_NIST_P256!()
    const pkcs1 = rsa.privateKey.export({ format: "der", type: "pkcs1" })
    const sec1 = ec.privateKey.export({ format: "der", type: "sec1" })
    expect(privateKeyFlaw(pkcs1, "RSA_2048", spki(rsa))).to.equal("gives PKCS #1 instead of PKCS #8")
    expect(privateKeyFlaw(sec1, "ECC_NIST_P256", spki(ec))).to.equal("gives SEC 1 instead of PKCS #8")
  })

  it("finds a curve that is spelled out, and another curve", () => {
    const explicit = generateKeyPairSync("ec", { namedCurve: "P-256", paramEncoding: "explicit" })
    const flaw = "gives a PKCS #8 of another algorithm, or with the curve spelled out"
    expect(privateKeyFlaw(pkcs8(explicit), "ECC_NIST_P256", spki(explicit))).to.equal(flaw)
    const other = PAIRS.ECC_SECG_P256K1!()
    expect(privateKeyFlaw(pkcs8(other), "ECC_NIST_P256", spki(other))).to.equal(flaw)
  })

  it("finds openCryptoki's Ed25519: an ECPrivateKey inside the OCTET STRING", () => {
    const pair = PAIRS.ECC_NIST_EDWARDS25519!()
    const seed = pkcs8(pair).subarray(16)
    const malformed = Buffer.concat([
      Buffer.from("3033020100300506032b657004273025020101", "hex"),
      Buffer.from("0420", "hex"),
      seed,
    ])
    expect(malformed.length).to.equal(53)
    expect(privateKeyFlaw(malformed, "ECC_NIST_EDWARDS25519", spki(pair))).to.equal(
      "gives a malformed PKCS #8 of 53 bytes (RFC 8410 has 48)",
    )
  })

  it("finds an RSA key of another length", () => {
    const small = generateKeyPairSync("rsa", { modulusLength: 1024 })
    expect(privateKeyFlaw(pkcs8(small), "RSA_2048", spki(small))).to.equal("gives an RSA key of another length")
  })
})

describe("scalarFlaw", () => {
  /** ECPrivateKey within PKCS #8, with a scalar of so many bytes; what else it holds is not looked at. */
  const withScalar = (length: number): Buffer => {
    const element = (tag: number, content: Buffer): Buffer =>
      Buffer.concat([
        content.length < 128 ? Buffer.from([tag, content.length]) : Buffer.from([tag, 0x81, content.length]),
        content,
      ])
    const version = (number: number): Buffer => element(0x02, Buffer.of(number))
    const key = element(0x30, Buffer.concat([version(1), element(0x04, Buffer.alloc(length, 7))]))
    return element(0x30, Buffer.concat([version(0), element(0x30, Buffer.alloc(9)), element(0x04, key)]))
  }
  const cases: [keySpec: KeySpec, length: number, flaw: RegExp | null][] = [
    ["ECC_NIST_P256", 32, null],
    [
      "ECC_NIST_P256",
      31,
      /^drops leading zero bytes of an EC private key's scalar \(31 bytes of ECC_NIST_P256; RFC 5915 has 32\)$/,
    ],
    ["ECC_NIST_P256", 33, /^adds a zero byte to /],
    ["ECC_NIST_P384", 46, /^drops/],
    ["ECC_NIST_P521", 66, null],
    // as many as the bits fill without the odd one
    ["ECC_NIST_P521", 65, /^drops/],
    ["ECC_NIST_P521", 67, /^adds/],
    ["ECC_SECG_P256K1", 30, /^drops/],
    ["RSA_2048", 31, null],
    ["ECC_NIST_EDWARDS25519", 31, null],
  ]
  for (const [keySpec, length, flaw] of cases) {
    it(`${keySpec} of ${length} bytes`, () => {
      if (flaw === null) expect(scalarFlaw(withScalar(length), keySpec)).to.equal(null)
      else expect(scalarFlaw(withScalar(length), keySpec)).to.match(flaw)
    })
  }
})
