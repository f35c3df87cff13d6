import { createHmac, createPublicKey, randomBytes } from "node:crypto"
import type { KMS } from "@aws-sdk/client-kms"
import { expect } from "chai"
import {
  isAsymmetric,
  KEY_SPEC_NAMES,
  KEY_SPECS,
  type KeySpec,
  WRAPPING_KEY_SPEC_NAMES,
  type WrappingKeySpec,
} from "#src/core/key/key-spec.js"
import { kmsClient, type LocalKmsProcess, startLocalKms } from "#test/support/local-kms.js"
import {
  type Algorithm,
  ALGORITHM_NAMES,
  createKey,
  getParameters,
  importMaterial,
  makeMaterial,
  refusalOf,
  spkiOf,
  wrapWith,
} from "../support/local-kms-fixture.js"

/** Which wraps KMS takes, written out so that the table of the source is not its own witness. */
function allowed(keySpec: KeySpec, algorithm: Algorithm, spec: WrappingKeySpec): boolean {
  const hybrid = algorithm.startsWith("RSA_AES")
  if (/^(SYMMETRIC|HMAC)/.test(keySpec)) return !hybrid
  if (hybrid) return true
  if (keySpec.startsWith("RSA")) return false
  return spec !== "RSA_2048" || !["ECC_NIST_P521", "ECC_NIST_EDWARDS25519"].includes(keySpec)
}

const PATHS = ALGORITHM_NAMES.flatMap((algorithm) => WRAPPING_KEY_SPEC_NAMES.map((spec) => ({ algorithm, spec })))

describe("local KMS: every key spec, algorithm and wrapping key size", () => {
  let kms: LocalKmsProcess
  let client: KMS
  before(async () => {
    kms = await startLocalKms()
    client = kmsClient(kms)
  })
  after(() => kms.stop())

  /** What only the holder of the material can know. */
  async function prove(KeyId: string, keySpec: KeySpec, material: Buffer): Promise<void> {
    const { mac } = KEY_SPECS[keySpec]
    if (isAsymmetric(keySpec)) {
      const { PublicKey } = await client.getPublicKey({ KeyId })
      expect(Buffer.from(PublicKey!)).to.deep.equal(spkiOf(material))
      return
    }
    if (mac === undefined) return
    const Message = Buffer.from("message")
    const { Mac } = await client.generateMac({ KeyId, Message, MacAlgorithm: mac.algorithm })
    expect(Buffer.from(Mac!)).to.deep.equal(createHmac(mac.hash, material).update(Message).digest())
  }

  for (const keySpec of KEY_SPEC_NAMES) {
    it(`imports ${keySpec} by every path that KMS has for it and refuses the others`, async () => {
      const material = makeMaterial(keySpec)
      const KeyId = await createKey(client, keySpec)
      let id: string | undefined
      for (const { algorithm, spec } of PATHS) {
        if (!allowed(keySpec, algorithm, spec)) {
          const refusal = await refusalOf(getParameters(client, KeyId, algorithm, spec))
          expect(refusal).to.deep.equal({
            name: "ValidationException",
            message: `Wrapping algorithm ${algorithm} and wrapping key spec ${spec} cannot be used to import a ${keySpec} key.`,
          })
          continue
        }
        const lent = await getParameters(client, KeyId, algorithm, spec)
        // a re-import of the same material by another path must be recognised as the same
        const { KeyMaterialId } = await client.importKeyMaterial({
          KeyId,
          ImportToken: lent.importToken,
          EncryptedKeyMaterial: wrapWith(algorithm, lent.publicKey, material),
          ExpirationModel: "KEY_MATERIAL_DOES_NOT_EXPIRE",
        })
        expect(KeyMaterialId).to.equal((id ??= KeyMaterialId))
        await prove(KeyId, keySpec, material)
      }
      expect(id === undefined).to.equal(keySpec !== "SYMMETRIC_DEFAULT")
    })
  }

  for (const algorithm of ["RSAES_PKCS1_V1_5", "SM2PKE"] as const) {
    it(`refuses ${algorithm}`, async () => {
      const KeyId = await createKey(client)
      const call = client.getParametersForImport({ KeyId, WrappingAlgorithm: algorithm, WrappingKeySpec: "RSA_2048" })
      expect((await refusalOf(call)).name).to.equal("ValidationException")
    })
  }

  it("lends wrapping keys of the size asked, exponent 65537", async () => {
    const KeyId = await createKey(client, "RSA_2048")
    for (const spec of WRAPPING_KEY_SPEC_NAMES) {
      const { publicKey, importToken } = await getParameters(client, KeyId, "RSA_AES_KEY_WRAP_SHA_256", spec)
      const key = createPublicKey({ key: Buffer.from(publicKey), format: "der", type: "spki" })
      expect(key.asymmetricKeyDetails).to.deep.equal({
        modulusLength: Number(spec.slice(4)),
        publicExponent: 65537n,
      })
      expect(importToken.length).to.be.within(1, 6144)
    }
  })

  it("takes HMAC keys up to 128 bytes and none that are shorter than the spec", async () => {
    for (const keySpec of KEY_SPEC_NAMES.filter((name) => name.startsWith("HMAC"))) {
      const bytes = KEY_SPECS[keySpec].bits / 8
      for (const [length, name] of [
        [bytes - 1, "InvalidCiphertextException"],
        [bytes, ""],
        [128, ""],
        [129, "InvalidCiphertextException"],
      ] as const) {
        const KeyId = await createKey(client, keySpec)
        const call = importMaterial(client, KeyId, randomBytes(length), { keySpec })
        expect((await refusalOf(call)).name, `${keySpec}, ${length} bytes`).to.equal(name)
      }
    }
  })
})
