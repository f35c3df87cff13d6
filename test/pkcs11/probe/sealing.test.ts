import { expect } from "chai"
import { constants, createHmac, generateKeyPairSync, privateDecrypt } from "node:crypto"
import type { SealingVerdict } from "#src/core/key/custody.js"
import { KEY_SPEC_NAMES, type KeySpec } from "#src/core/key/key-spec.js"
import type { Token } from "#src/core/ports/token.js"
import type { CustodyKey, SealedMaterial } from "#src/core/records/sealed-material.js"
import { newSourceKeyId } from "#src/core/key/source-key.js"
import { parseWrappingKey } from "#src/core/key/wrapping-key.js"
import { expectCode } from "#test/support/expect-code.js"
import type { TestToken } from "#test/support/tokens.js"
import {
  memoryCache,
  newCustodyKey,
  newKey,
  nss,
  open,
  sealedMaterialOf,
  softhsm,
} from "../../support/token-fixture.js"

const pair = generateKeyPairSync("rsa", { modulusLength: 2048 })
const wrappingKey = parseWrappingKey(pair.publicKey.export({ format: "der", type: "spki" }), "RSA_2048")

/** As measured (docs/tokens.md); RSA by its smallest, as generating larger ones only takes longer. */
const MEASURED: readonly {
  readonly name: string
  readonly make: () => TestToken
  readonly possible: readonly KeySpec[]
  readonly impossible: Readonly<Partial<Record<KeySpec, RegExp>>>
  readonly mechanism: string
  readonly enforced: boolean
  readonly features: Pick<CustodyKey, "allowedMechanisms" | "unwrapTemplate">
}[] = [
  {
    name: "SoftHSM",
    make: softhsm,
    possible: ["SYMMETRIC_DEFAULT", "HMAC_256", "HMAC_384", "HMAC_512", "ECC_NIST_P384", "ECC_SECG_P256K1"],
    impossible: {
      HMAC_224: /pads the value with zero bytes/,
      ECC_NIST_P256: /pads the value with zero bytes/,
      ECC_NIST_P521: /pads the value with zero bytes/,
      RSA_2048: /pads the value with zero bytes/,
      ECC_NIST_EDWARDS25519: /./,
    },
    mechanism: "CKM_AES_KEY_WRAP_PAD",
    enforced: true,
    features: { allowedMechanisms: true, unwrapTemplate: true },
  },
  {
    name: "NSS",
    make: nss,
    possible: [
      "SYMMETRIC_DEFAULT",
      "HMAC_224",
      "HMAC_256",
      "HMAC_384",
      "HMAC_512",
      "RSA_2048",
      "ECC_NIST_P256",
      "ECC_NIST_P384",
      "ECC_NIST_P521",
    ],
    impossible: { ECC_SECG_P256K1: /./, ECC_NIST_EDWARDS25519: /./ },
    mechanism: "CKM_AES_KEY_WRAP_KWP",
    enforced: false,
    features: { allowedMechanisms: false, unwrapTemplate: false },
  },
]

for (const { name, make, possible, impossible, mechanism, enforced, features } of MEASURED) {
  describe(`sealing: ${name}`, () => {
    let token: Token
    let custodyKey: CustodyKey
    const made = newCustodyKey()
    const cache = memoryCache()

    before(async () => {
      token = await open(make(), { cache })
      custodyKey = await token.generateCustodyKey(made)
    })
    after(async () => {
      await token.destroyCustodyKey(custodyKey)
      await token[Symbol.asyncDispose]()
    })

    const sealed = async (keySpec: KeySpec): Promise<SealedMaterial> => {
      const key = await token.generateSourceKey(newKey({ keySpec }))
      const material = await sealedMaterialOf(token, key, custodyKey)
      await token.destroySourceKey(key)
      return material
    }

    it("is judged for each key spec by what comes back", async () => {
      const keySpecs = KEY_SPEC_NAMES.filter((keySpec) => keySpec !== "RSA_3072" && keySpec !== "RSA_4096")
      const { sealing } = await token.probeCustody({ keySpecs })
      const verdicts = Object.entries(sealing) as [KeySpec, SealingVerdict][]
      expect(verdicts.map(([keySpec]) => keySpec)).to.deep.equal(keySpecs)
      for (const [keySpec, verdict] of verdicts) {
        const can = possible.includes(keySpec)
        expect(verdict, keySpec).to.include({
          possible: can,
          enforced: can && enforced,
          mechanism: can ? mechanism : null,
        })
        if (!can) expect(verdict.reason, keySpec).to.match(impossible[keySpec]!)
      }
    })

    it("makes a custody key that can wrap and unwrap, and nothing else", async () => {
      expect(custodyKey).to.include({ id: made.id, label: made.label, number: 0, ...features })
      expect(custodyKey.attributes).to.include({
        token: true,
        private: true,
        sensitive: true,
        extractable: false,
        encrypt: false,
        decrypt: false,
        sign: false,
        verify: false,
        derive: false,
        wrap: true,
        unwrap: true,
      })
      expect(await token.findCustodyKeys(made.owner)).to.deep.equal([custodyKey])
      expect(await token.findCustodyKeys("somebody-else")).to.deep.equal([])
      await expectCode("ERR_NAME_TAKEN", () => token.generateCustodyKey(made))
      const { keys, strays } = await token.search()
      expect([...keys, ...strays].filter(({ label }) => label === made.label)).to.deep.equal([])
    })

    for (const keySpec of possible) {
      it(`gives ${keySpec} back as it was, and nothing once it is destroyed`, async () => {
        const material = await sealed(keySpec)
        expect(await token.findSourceKeys({ id: material.id })).to.deep.equal([])
        const key = await token.unseal(material)
        expect(key).to.include({ id: material.id, label: material.label, keySpec, custody: "session" })
        expect(key.attributes).to.include({ token: false, private: true, sensitive: true, extractable: true })
        // SoftHSM has no check value of an unwrapped key
        expect(key.kcv).to.be.oneOf([material.provenance.kcv, null])
        // what resealing stands on
        const again = await token.seal(key, custodyKey)
        expect(Buffer.compare(again.ciphertext, material.ciphertext)).to.equal(0)
        await token.destroySourceKey(key)
        expect(await token.findSourceKeys({ id: material.id })).to.deep.equal([])
      })
    }

    it("brings the very key back: its MAC, and what KMS will find in the wrapped result", async () => {
      const key = await token.generateSourceKey(newKey({ keySpec: "HMAC_256" }))
      const message = Buffer.from("the same before and after")
      const before = await token.mac(key, message)
      const material = await sealedMaterialOf(token, key, custodyKey)
      await token.destroySourceKey(key)
      const unsealed = await token.unseal(material)
      expect(await token.mac(unsealed, message)).to.deep.equal(before)
      const [capability] = await token.selfTest([
        { keySpec: "HMAC_256", wrappingAlgorithm: "RSAES_OAEP_SHA_1", wrappingKeySpec: "RSA_2048" },
      ])
      const { bytes } = await token.wrap(unsealed, wrappingKey, capability!)
      const padding = constants.RSA_PKCS1_OAEP_PADDING
      const value = privateDecrypt({ key: pair.privateKey, padding, oaepHash: "sha1" }, bytes)
      expect(new Uint8Array(createHmac("sha256", value).update(message).digest())).to.deep.equal(before)
      await token.destroySourceKey(unsealed)
      await expectCode("ERR_KEY_NOT_FOUND", () => token.wrap(unsealed, wrappingKey, capability!))
    })

    it("keeps apart what many ask for at one time, the same key among it", async () => {
      const materials = await Promise.all(Array.from({ length: 4 }, () => sealed("HMAC_256")))
      const message = Buffer.from("who is who")
      const once = async (material: SealedMaterial): Promise<string> => {
        const key = await token.unseal(material)
        try {
          return Buffer.from(await token.mac(key, message)).toString("hex")
        } finally {
          await token.destroySourceKey(key)
        }
      }
      const alone: string[] = []
      for (const material of materials) alone.push(await once(material))
      expect(new Set(alone).size).to.equal(materials.length)
      const rounds = Array.from({ length: 16 }, () => materials).flat()
      const together = await Promise.all(rounds.map(once))
      expect(together).to.deep.equal(rounds.map((material) => alone[materials.indexOf(material)]))
      for (const { id } of materials) expect(await token.findSourceKeys({ id })).to.deep.equal([])
    })

    it("tells a flipped bit, a cut and another's ciphertext from a missing custody key", async () => {
      const material = await sealed("SYMMETRIC_DEFAULT")
      for (const at of [0, 9, material.ciphertext.length - 1]) {
        const ciphertext = Uint8Array.from(material.ciphertext)
        ciphertext[at]! ^= 1
        await expectCode("ERR_SEALED_UNREADABLE", () => token.unseal({ ...material, ciphertext }))
      }
      for (const ciphertext of [material.ciphertext.subarray(0, 32), new Uint8Array(), new Uint8Array(9000)]) {
        await expectCode("ERR_SEALED_UNREADABLE", () => token.unseal({ ...material, ciphertext }))
      }
      await expectCode("ERR_SEALED_UNREADABLE", () => token.unseal({ ...material, mechanism: "CKM_NONE" }))
      const other = await token.generateCustodyKey(newCustodyKey())
      const under = { id: other.id, label: other.label, kcv: null }
      await expectCode("ERR_SEALED_UNREADABLE", () => token.unseal({ ...material, custodyKey: under }))
      await token.destroyCustodyKey(other)
      await expectCode("ERR_CUSTODY_KEY_MISSING", () => token.unseal({ ...material, custodyKey: under }))
      // and it still opens
      await token.destroySourceKey(await token.unseal(material))
      expect(await token.findSourceKeys({ id: material.id })).to.deep.equal([])
    })

    it("tells a key of another length than was recorded, and keeps nothing of it", async () => {
      const material = await sealed("HMAC_384")
      const provenance = { ...material.provenance, kcv: null }
      // SoftHSM tells no length of an unwrapped generic secret
      if (name === "NSS") {
        const open = () => token.unseal({ ...material, provenance, keySpec: "HMAC_512" })
        const error = await expectCode("ERR_SEALED_UNREADABLE", open)
        expect(error.message).to.include("it comes out as HMAC_384, not HMAC_512")
      }
      expect(await token.findSourceKeys({ id: material.id })).to.deep.equal([])
    })

    it("takes a key of the token under custody, and leaves the token's own where it was", async () => {
      const key = await token.generateSourceKey(newKey({ keySpec: "ECC_NIST_P384", custody: "token" }))
      const material = await sealedMaterialOf(token, key, custodyKey)
      const unsealed = await token.unseal(material)
      await token.destroySourceKey(unsealed)
      expect(await token.findSourceKeys({ id: key.id })).to.deep.equal([key])
      const renamed = { id: newSourceKeyId(), label: key.label.replace(/0$/, "1") }
      expect(await token.relabel(key, renamed)).to.deep.equal({ ...key, ...renamed })
      expect(await token.findKeys({ label: renamed.label })).to.deep.equal([{ ...key, ...renamed }])
      expect(await token.findKeys({ id: key.id })).to.deep.equal([])
      await token.destroySourceKey({ ...key, ...renamed })
    })
  })
}
