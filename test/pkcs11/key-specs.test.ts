import { expect } from "chai"
import { spawnSync } from "node:child_process"
import { createHash, createPublicKey, generateKeyPairSync, randomBytes } from "node:crypto"
import { fileURLToPath } from "node:url"
import { assessAttributes } from "#src/core/key/custody.js"
import { isAsymmetric, KEY_SPEC_NAMES, KEY_SPECS, type KeySpec, WRAPPING_KEY_SPECS } from "#src/core/key/key-spec.js"
import type { Token } from "#src/core/ports/token.js"
import type { WrapCapability } from "#src/core/key/wrapping.js"
import { proofUsages, type SourceKey } from "#src/core/key/source-key.js"
import { plausibleWrappedLength, WRAPPING_ALGORITHMS } from "#src/core/key/wrapping-algorithm.js"
import { parseWrappingKey, type WrappingKey } from "#src/core/key/wrapping-key.js"
import type { TestToken } from "#test/support/tokens.js"
import { expectCode } from "#test/support/expect-code.js"
import { ALL_REQUESTS, newKey, nss, open, softhsm } from "../support/token-fixture.js"
import type { Job, Result } from "../support/opener-process.js"

/** What each token generates, and by which algorithms each key spec leaves it whole, as measured (docs/tokens.md). */
const TOKENS: readonly {
  readonly name: string
  readonly make: () => TestToken
  readonly cannotGenerate: readonly KeySpec[]
}[] = [
  { name: "SoftHSM", make: softhsm, cannotGenerate: [] },
  { name: "NSS", make: nss, cannotGenerate: ["ECC_SECG_P256K1", "ECC_NIST_EDWARDS25519"] },
]

const MESSAGE = Buffer.from("a message to prove that both sides hold the key")

/** Wrapping keys as KMS lends them; their private halves go to the opener. */
const LENT = Object.fromEntries(
  Object.entries(WRAPPING_KEY_SPECS).map(([spec, { modulusBits }]) => {
    const pair = generateKeyPairSync("rsa", { modulusLength: modulusBits })
    const spki = pair.publicKey.export({ format: "der", type: "spki" })
    const unwrappingKey = pair.privateKey.export({ format: "der", type: "pkcs8" }).toString("base64")
    return [spec, { key: parseWrappingKey(spki, spec as keyof typeof WRAPPING_KEY_SPECS), unwrappingKey }]
  }),
) as Readonly<Record<keyof typeof WRAPPING_KEY_SPECS, { key: WrappingKey; unwrappingKey: string }>>

function openOutside(jobs: readonly Job[]): readonly Result[] {
  const script = fileURLToPath(new URL("../support/opener-process.js", import.meta.url))
  const { stdout, stderr, status } = spawnSync(process.execPath, [script], {
    input: JSON.stringify(jobs),
    encoding: "utf8",
  })
  expect(status, stderr).to.equal(0)
  return JSON.parse(stdout) as readonly Result[]
}

for (const { name, make, cannotGenerate } of TOKENS) {
  describe(`every key spec on ${name}`, () => {
    let token: Token
    let capabilities: readonly WrapCapability[]
    const keys = new Map<KeySpec, SourceKey>()

    before(async () => {
      token = await open(make())
      capabilities = await token.selfTest(ALL_REQUESTS)
    })
    after(async () => {
      for (const key of keys.values()) await token.destroySourceKey(key)
      await token[Symbol.asyncDispose]()
    })

    for (const keySpec of KEY_SPEC_NAMES.filter((spec) => !cannotGenerate.includes(spec))) {
      it(`generates ${keySpec}, finds it again and shows its public half or its MAC`, async () => {
        const template = newKey({ keySpec, custody: keySpec.startsWith("ECC") ? "token" : "session" })
        const key = await token.generateSourceKey(template)
        keys.set(keySpec, key)
        expect(key).to.include({ id: template.id, label: template.label, keySpec, custody: template.custody })
        expect(assessAttributes(key.attributes, template.custody, proofUsages(keySpec))).to.deep.equal([])
        expect(await token.findSourceKeys({ id: template.id })).to.deep.equal([key])
        expect(await token.findSourceKeys({ label: template.label })).to.deep.equal([key])

        if (isAsymmetric(keySpec)) {
          const spki = Buffer.from(await token.publicKey(key))
          const fingerprint = `sha256:${createHash("sha256").update(spki).digest("hex")}`
          expect(key.publicKeyFingerprint).to.equal(fingerprint)
          expect(
            createPublicKey({ key: spki, format: "der", type: "spki" }).export({ format: "der", type: "spki" }),
          ).to.deep.equal(spki)
        } else {
          expect(key.publicKeyFingerprint).to.equal(null)
          await expectCode("ERR_KEY_NOT_FOUND", () => token.publicKey(key))
        }
      })
    }

    for (const keySpec of cannotGenerate) {
      it(`says that it cannot generate ${keySpec}, and leaves nothing`, async () => {
        const template = newKey({ keySpec, custody: "token" })
        const error = await expectCode("ERR_KEY_SPEC_UNSUPPORTED", () => token.generateSourceKey(template))
        expect(error.key).to.equal(template.label)
        expect(error.causes[0]?.message).to.equal("C_GenerateKeyPair")
        expect(await token.findSourceKeys({ id: template.id })).to.deep.equal([])
      })
    }

    it("wraps by every usable path what node:crypto opens to the same key", async () => {
      const usable = capabilities.filter(({ usable: passed }) => passed)
      expect(usable.length).to.be.greaterThan(10)
      const jobs: Job[] = []
      const expected: { key: SourceKey; publicKey: string | null; mac: string | null }[] = []
      for (const capability of usable) {
        const key = keys.get(capability.keySpec)!
        const lent = LENT[capability.wrappingKeySpec]
        const wrapped = await token.wrap(key, lent.key, capability)
        const { hash, scheme } = WRAPPING_ALGORITHMS[capability.wrappingAlgorithm]
        expect(wrapped).to.include({
          wrappingAlgorithm: capability.wrappingAlgorithm,
          wrapPath: scheme === "oaep" ? "oaep" : "composed",
          wrappingKeyFingerprint: lent.key.fingerprint,
        })
        expect(wrapped.mechanisms).to.deep.equal(capability.mechanisms)
        const { length } = wrapped.bytes
        expect(plausibleWrappedLength(capability.wrappingAlgorithm, capability.wrappingKeySpec, length)).to.equal(true)
        const { mac } = KEY_SPECS[capability.keySpec]
        jobs.push({
          unwrappingKey: lent.unwrappingKey,
          oaepHash: hash === "SHA-1" ? "sha1" : "sha256",
          composed: scheme === "rsa-aes",
          wrapped: Buffer.from(wrapped.bytes).toString("base64"),
          mac: mac ? { hash: mac.hash, message: MESSAGE.toString("base64") } : null,
          pair: isAsymmetric(capability.keySpec),
        })
        expected.push({
          key,
          publicKey: isAsymmetric(key.keySpec) ? Buffer.from(await token.publicKey(key)).toString("base64") : null,
          mac: mac ? Buffer.from(await token.mac(key, MESSAGE)).toString("base64") : null,
        })
      }
      for (const [index, result] of openOutside(jobs).entries()) {
        const { key, publicKey, mac } = expected[index]!
        expect(result, key.keySpec).to.include({ publicKey, mac })
        const row = KEY_SPECS[key.keySpec]
        if (!isAsymmetric(key.keySpec)) expect(result.length).to.equal(row.bits / 8)
        if (key.keySpec === "SYMMETRIC_DEFAULT" && key.kcv !== null) expect(result.checkValue).to.equal(key.kcv)
      }
    })

    it("gives no MAC by a key that has none", async () => {
      await expectCode("ERR_BUG", () => token.mac(keys.get("SYMMETRIC_DEFAULT")!, randomBytes(8)))
    })
  })
}
