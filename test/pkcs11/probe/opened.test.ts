import { expect } from "chai"
import { createCipheriv, generateKeyPairSync, publicEncrypt, privateDecrypt, randomBytes, constants } from "node:crypto"
import { openKwp, openOaep } from "#src/pkcs11/probe/opened.js"
import { wrapAes, wrapOaep } from "#test/support/openssl.js"

describe("opening what a token wrapped", () => {
  const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 })
  const spki = publicKey.export({ format: "der", type: "spki" })
  const value = randomBytes(32)

  for (const [hash, asked] of [
    ["sha1", "SHA-1"],
    ["sha256", "SHA-256"],
  ] as const) {
    it(`opens OAEP with ${asked}`, () => {
      expect(openOaep(wrapOaep(spki, value, hash), privateKey, asked)).to.deep.equal({ value })
    })
  }

  it("names the hash that was used instead", () => {
    expect(openOaep(wrapOaep(spki, value, "sha1"), privateKey, "SHA-256")).to.deep.equal({
      flaw: "uses SHA-1 whatever hash is asked (SHA-256 was)",
    })
    const sha512 = publicEncrypt({ key: publicKey, oaepHash: "sha512" }, value)
    expect(openOaep(sha512, privateKey, "SHA-1")).to.deep.equal({
      flaw: "uses SHA-512 whatever hash is asked (SHA-1 was)",
    })
  })

  it("names a mask function with another hash", () => {
    expect(openOaep(wrapOaep(spki, value, "sha256", "sha1"), privateKey, "SHA-256")).to.deep.equal({
      flaw: "uses SHA-256 for OAEP but SHA-1 for MGF1",
    })
  })

  it("names PKCS #1 v1.5, and says so where nothing fits", () => {
    const old = publicEncrypt({ key: publicKey, padding: constants.RSA_PKCS1_PADDING }, value)
    expect(openOaep(old, privateKey, "SHA-1")).to.deep.equal({ flaw: "pads by PKCS #1 v1.5 instead of OAEP" })
    let labelled: Buffer
    do {
      labelled = publicEncrypt({ key: publicKey, oaepHash: "sha256", oaepLabel: Buffer.from("x") }, value)
      // one in 256 looks like PKCS #1 v1.5
    } while (privateDecrypt({ key: privateKey, padding: constants.RSA_NO_PADDING }, labelled)[1] === 2)
    expect(openOaep(labelled, privateKey, "SHA-256")).to.deep.equal({ flaw: "does not open with any OAEP hash" })
    // block type 1, and type 2 with too short a padding
    for (const begin of ["0001", "00020102030405060700"]) {
      const block = Buffer.concat([Buffer.from(begin, "hex"), Buffer.alloc(256 - begin.length / 2, 7)])
      const encrypted = publicEncrypt({ key: publicKey, padding: constants.RSA_NO_PADDING }, block)
      expect(openOaep(encrypted, privateKey, "SHA-256")).to.deep.equal({ flaw: "does not open with any OAEP hash" })
    }
    const large = openOaep(Buffer.alloc(256, 0xff), privateKey, "SHA-256")
    expect(large).to.deep.equal({ flaw: "is no RSA ciphertext under the wrapping key" })
  })

  const aes = randomBytes(32)
  for (const length of [28, 32, 67, 138, 1217]) {
    it(`opens RFC 5649 of ${length} bytes`, () => {
      const secret = randomBytes(length)
      expect(openKwp(wrapAes(aes, secret), aes)).to.deep.equal({ value: secret })
    })
  }

  it("opens RFC 5649 section 6's first vector of another key size not at all", () => {
    const ciphertext = Buffer.from("138bdeaa9b8fa7fc61f97742e72248ee5ae6ae5360d1ae6a5f54f373fa543b6a", "hex")
    expect(openKwp(ciphertext, aes)).to.deep.equal({ flaw: "is neither RFC 5649 nor RFC 3394 under the AES key" })
  })

  it("names RFC 3394, with and without PKCS #7 padding", () => {
    expect(openKwp(wrapAes(aes, Buffer.concat([randomBytes(31), Buffer.from([7])]), "kw"), aes)).to.deep.equal({
      flaw: "is RFC 3394 without a length, not RFC 5649",
    })
    const padded = Buffer.concat([randomBytes(67), Buffer.alloc(5, 5)])
    expect(openKwp(wrapAes(aes, padded, "kw"), aes)).to.deep.equal({
      flaw: "is RFC 3394 with PKCS #7 padding, not RFC 5649",
    })
  })

  it("names a length indicator that lies", () => {
    const iv = Buffer.from("a65959a600000007", "hex")
    const cipher = createCipheriv("id-aes256-wrap", aes, iv)
    const wrapped = Buffer.concat([cipher.update(randomBytes(32)), cipher.final()])
    expect(openKwp(wrapped, aes)).to.deep.equal({
      flaw: "has a wrong RFC 5649 length indicator or padding (7 for 32 bytes)",
    })
    expect(openKwp(Buffer.alloc(20), aes)).to.deep.equal({ flaw: "gives 20 bytes, no whole blocks" })
  })
})
