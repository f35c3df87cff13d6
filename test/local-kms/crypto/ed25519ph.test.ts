import { createHash, createPrivateKey, createPublicKey } from "node:crypto"
import { expect } from "chai"
import { signEd25519ph, verifyEd25519ph } from "#src/local-kms/crypto/ed25519ph.js"

/** RFC 8032 section 7.3. */
const VECTOR = {
  secret: "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
  public: "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
  message: "616263",
  signature:
    "98a70222f0b8121aa9d30f813d683f809e462b469c7ff87639499bb94e6dae4131f85042463c2a355a2003d062adf5aaa10b8c61e636062aaad11c2a26083406",
}

describe("Ed25519ph", () => {
  const der = Buffer.from(`302e020100300506032b657004220420${VECTOR.secret}`, "hex")
  const privateKey = createPrivateKey({ key: der, format: "der", type: "pkcs8" })
  const publicKey = createPublicKey(privateKey)
  const digest = createHash("sha512").update(Buffer.from(VECTOR.message, "hex")).digest()
  const signature = Buffer.from(VECTOR.signature, "hex")

  it("signs and verifies as RFC 8032 has it", () => {
    expect(publicKey.export({ format: "jwk" }).x).to.equal(Buffer.from(VECTOR.public, "hex").toString("base64url"))
    expect(signEd25519ph(privateKey, digest).toString("hex")).to.equal(VECTOR.signature)
    expect(verifyEd25519ph(publicKey, digest, signature)).to.equal(true)
  })

  it("refuses each changed byte, another length, and a response that is not reduced", () => {
    for (let at = 0; at < signature.length; at++) {
      const changed = Buffer.from(signature)
      changed[at] = (changed[at] ?? 0) ^ 1
      expect(verifyEd25519ph(publicKey, digest, changed), `byte ${at}`).to.equal(false)
    }
    expect(verifyEd25519ph(publicKey, digest, signature.subarray(0, 63))).to.equal(false)
    const order = 2n ** 252n + 27742317777372353535851937790883648493n
    const response = BigInt(`0x${Buffer.from(signature.subarray(32)).reverse().toString("hex")}`) + order
    const large = Buffer.from(response.toString(16).padStart(64, "0"), "hex").reverse()
    expect(verifyEd25519ph(publicKey, digest, Buffer.concat([signature.subarray(0, 32), large]))).to.equal(false)
  })
})
