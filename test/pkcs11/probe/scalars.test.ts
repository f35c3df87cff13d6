import { expect } from "chai"
import type { KeySpec } from "#src/core/key/key-spec.js"
import type { WrapRequest } from "#src/core/key/wrapping.js"
import { lyingToken } from "#test/support/liar.js"
import type { TestToken } from "#test/support/tokens.js"
import { memoryCache, nss, open, softhsm } from "../../support/token-fixture.js"

/** NSS behind a module that changes the length of EC private scalars, as some tokens do. */
describe("EC private keys of chosen value", () => {
  let lying: TestToken
  before(() => {
    lying = lyingToken(nss())
    Object.assign(process.env, lying.env)
  })
  afterEach(() => {
    delete process.env["LIAR"]
    delete process.env["LIAR_CREATE"]
  })

  const CURVES = ["ECC_NIST_P256", "ECC_NIST_P384", "ECC_NIST_P521"] as const
  const requestOf = (keySpec: KeySpec): WrapRequest => ({
    keySpec,
    wrappingAlgorithm: "RSA_AES_KEY_WRAP_SHA_256",
    wrappingKeySpec: "RSA_2048",
  })
  const tell = (lie: string, values: "let in" | "generated alone"): void => {
    process.env["LIAR"] = lie
    if (values === "generated alone") process.env["LIAR_CREATE"] = "refused"
  }

  const rows: readonly (readonly [lie: string, values: "let in" | "generated alone", keySpecs: readonly KeySpec[]])[] =
    [
      ["short scalars", "let in", CURVES],
      // every second key of P-521 tells, and of the token's other curves as well
      ["short scalars", "generated alone", CURVES],
      ["a zero byte before the scalar", "let in", ["ECC_NIST_P256", "ECC_NIST_P384"]],
      ["a zero byte before the scalar", "generated alone", ["ECC_NIST_P256", "ECC_NIST_P384"]],
    ]
  for (const [lie, values, keySpecs] of rows) {
    it(`of a token with ${lie}, keys ${values}: refused with the reason, unless policy takes it`, async () => {
      tell(lie, values)
      const cache = memoryCache()
      await using token = await open(lying, { cache })
      for (const keySpec of keySpecs) {
        const [verdict] = await token.selfTest([requestOf(keySpec)])
        expect(verdict, keySpec).to.include({ usable: false, shortScalars: true, wrapPath: "composed" })
        expect(verdict!.reason).to.match(
          /^CKM_AES_KEY_WRAP_KWP (drops leading zero bytes of|adds a zero byte to) an EC/,
        )
        const [taken] = await token.selfTest([{ ...requestOf(keySpec), allowShortScalars: true }])
        expect(taken, keySpec).to.include({ usable: true, shortScalars: true, wrapPath: "composed" })
        expect(taken!.reason).to.include("policy.allowShortScalars")
        // what policy takes is no verdict, and is not remembered as one
        const [again] = await token.selfTest([requestOf(keySpec)])
        expect(again).to.deep.equal(verdict)
      }
      const [rsa] = await token.selfTest([requestOf("RSA_2048")])
      expect(rsa).to.include({ usable: true, shortScalars: false })
    })
  }

  for (const values of ["let in", "generated alone"] as const) {
    it(`of a token that shortens what it unseals, keys ${values}: carried, and sealing says what it does`, async () => {
      tell("short scalars once unsealed", values)
      await using token = await open(lying)
      for (const keySpec of CURVES) {
        const [verdict] = await token.selfTest([requestOf(keySpec)])
        expect(verdict, verdict?.reason).to.include({ usable: true, shortScalars: false })
        const { sealing } = await token.probeCustody({ keySpecs: [keySpec] })
        expect(sealing[keySpec], keySpec).to.include({ possible: true, shortScalars: true })
      }
    })
  }

  it("leave SoftHSM, NSS and what they unseal exact", async () => {
    for (const [real, keySpecs] of [
      [softhsm(), ["ECC_NIST_P384", "ECC_SECG_P256K1"]],
      [nss(), CURVES],
    ] as const) {
      await using token = await open(real)
      for (const keySpec of keySpecs) {
        const hash = real === nss() ? "256" : "1"
        const [verdict] = await token.selfTest([
          { ...requestOf(keySpec), wrappingAlgorithm: `RSA_AES_KEY_WRAP_SHA_${hash}` },
        ])
        expect(verdict, verdict?.reason).to.include({ usable: true, shortScalars: false })
        const { sealing } = await token.probeCustody({ keySpecs: [keySpec] })
        expect(sealing[keySpec], keySpec).to.include({ possible: true, shortScalars: false })
      }
    }
  })
})
