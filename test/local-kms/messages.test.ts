import { randomBytes } from "node:crypto"
import type { KMS } from "@aws-sdk/client-kms"
import { expect } from "chai"
import { kmsClient, type LocalKmsProcess, startLocalKms } from "#test/support/local-kms.js"
import {
  createKey,
  importedKey,
  importMaterial,
  makeMaterial,
  type Refusal,
  refusalOf,
} from "../support/local-kms-fixture.js"

const HEX = "0123456789abcdef".repeat(4)
const YEAR = 365 * 24 * 3600 * 1000

/** What the service was recorded to answer: error name and message, letter for letter. */
describe("local KMS: recorded refusals", () => {
  let kms: LocalKmsProcess
  let client: KMS
  const material = randomBytes(32)
  /** A symmetric key with this material. */
  let KeyId: string
  let id: string
  /** The same with a second material pending. */
  let staged: string
  let stagedId: string
  const pending = randomBytes(32)
  let hmac: string
  let rsa: string
  let empty: string
  before(async () => {
    kms = await startLocalKms()
    client = kmsClient(kms)
    KeyId = await createKey(client)
    id = (await importMaterial(client, KeyId, material))!
    staged = await createKey(client)
    await importMaterial(client, staged, material)
    stagedId = (await importMaterial(client, staged, pending, { ImportType: "NEW_KEY_MATERIAL" }))!
    hmac = await importedKey(client, "HMAC_256", makeMaterial("HMAC_256"))
    rsa = await importedKey(client, "RSA_2048", makeMaterial("RSA_2048"), "SIGN_VERIFY")
    empty = await createKey(client)
  })
  after(() => kms.stop())

  const NEW = { ImportType: "NEW_KEY_MATERIAL" } as const
  const idIn = ({ message }: Refusal) => /\(id: ([0-9a-f]{64})\)/.exec(message)?.[1]
  const inYear = (milliseconds: number) => new Date(Date.now() + YEAR + milliseconds)

  type Expected = [name: string, message: string | ((refusal: Refusal) => string)]
  const cases: [what: string, call: () => Promise<unknown>, expected: () => Expected][] = [
    [
      "importType for HMAC",
      () => importMaterial(client, hmac, material, { keySpec: "HMAC_256", ...NEW }),
      () => ["ValidationException", "Input parameter importType cannot be used with HMAC_256 imported keys."],
    ],
    [
      "keyMaterialId for HMAC",
      () => importMaterial(client, hmac, material, { keySpec: "HMAC_256", KeyMaterialId: HEX }),
      () => ["ValidationException", "Input parameter keyMaterialId cannot be used with HMAC_256 imported keys."],
    ],
    [
      "keyMaterialDescription for RSA",
      () => importMaterial(client, rsa, material, { keySpec: "RSA_2048", KeyMaterialDescription: "x" }),
      () => [
        "ValidationException",
        "Input parameter keyMaterialDescription cannot be used with RSA_2048 imported keys.",
      ],
    ],
    [
      "an ID with new material",
      () => importMaterial(client, KeyId, material, { ...NEW, KeyMaterialId: HEX }),
      () => ["ValidationException", "Input parameter keyMaterialId cannot be used with NEW_KEY_MATERIAL importType."],
    ],
    [
      "new material that is current",
      () => importMaterial(client, KeyId, material, NEW),
      () => [
        "IncorrectKeyMaterialException",
        `Key material (id: ${id}) being imported as NEW_KEY_MATERIAL is already associated with KMS key ${KeyId}.`,
      ],
    ],
    [
      "new material that is pending",
      () => importMaterial(client, staged, pending, NEW),
      () => [
        "IncorrectKeyMaterialException",
        `Key material (id: ${stagedId}) being imported as NEW_KEY_MATERIAL is already associated with KMS key ${staged}.`,
      ],
    ],
    [
      "a second pending material",
      () => importMaterial(client, staged, randomBytes(32), NEW),
      () => [
        "KMSInvalidStateException",
        (refusal) =>
          `New key material (id: ${idIn(refusal)}) cannot be imported into KMS key ${staged}, because another key material (id: ${stagedId}) is pending rotation.`,
      ],
    ],
    [
      "other material as existing",
      () => importMaterial(client, KeyId, randomBytes(32)),
      () => ["IncorrectKeyMaterialException", `Imported key material does not have the expected identifier (${id}).`],
    ],
    [
      "other material than the ID says",
      () => importMaterial(client, KeyId, material, { KeyMaterialId: HEX }),
      () => ["IncorrectKeyMaterialException", `Imported key material does not have the expected identifier (${HEX}).`],
    ],
    [
      "deleting what was never imported",
      () => client.deleteImportedKeyMaterial({ KeyId, KeyMaterialId: HEX }),
      () => ["ValidationException", `Key material (id: ${HEX}) has never been imported into KMS key ${KeyId}.`],
    ],
    [
      "rotating with nothing pending",
      () => client.rotateKeyOnDemand({ KeyId }),
      () => ["KMSInvalidStateException", `No available key material pending rotation for the key: ${KeyId}.`],
    ],
    [
      "automatic rotation on",
      () => client.enableKeyRotation({ KeyId }),
      () => ["UnsupportedOperationException", `${KeyId} origin is EXTERNAL which is not valid for this operation.`],
    ],
    [
      "automatic rotation off",
      () => client.disableKeyRotation({ KeyId }),
      () => ["UnsupportedOperationException", `${KeyId} origin is EXTERNAL which is not valid for this operation.`],
    ],
    [
      "no ValidTo",
      () => importMaterial(client, KeyId, material, { ExpirationModel: "KEY_MATERIAL_EXPIRES" }),
      () => ["ValidationException", "A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES"],
    ],
    [
      "no ValidTo and no model",
      () => importMaterial(client, KeyId, material, { ExpirationModel: undefined }),
      () => ["ValidationException", "A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES"],
    ],
    [
      "ValidTo without expiry",
      () =>
        importMaterial(client, KeyId, material, {
          ExpirationModel: "KEY_MATERIAL_DOES_NOT_EXPIRE",
          ValidTo: inYear(-YEAR / 2),
        }),
      () => [
        "ValidationException",
        "A validTo date cannot be set if the ExpirationModel is KEY_MATERIAL_DOES_NOT_EXPIRE",
      ],
    ],
    [
      "ValidTo in the past",
      () => importMaterial(client, KeyId, material, { ValidTo: inYear(-YEAR - 1000) }),
      () => ["ValidationException", "ValidTo must be in the future"],
    ],
    [
      "ValidTo in 365 days",
      () => importMaterial(client, KeyId, material, { ValidTo: inYear(2000) }),
      () => ["ValidationException", "ValidTo must be less than 365 days in the future"],
    ],
    [
      "includeKeyMaterial for RSA",
      () => client.listKeyRotations({ KeyId: rsa, IncludeKeyMaterial: "ALL_KEY_MATERIAL" }),
      () => ["ValidationException", "Input parameter includeKeyMaterial can only be used with symmetric keys."],
    ],
    [
      "an ML-DSA key",
      () => client.createKey({ Origin: "EXTERNAL", KeySpec: "ML_DSA_44", KeyUsage: "SIGN_VERIFY" }),
      () => ["ValidationException", "KeySpec ML_DSA_44 is not supported for Origin EXTERNAL"],
    ],
    [
      "use before import",
      () => client.encrypt({ KeyId: empty, Plaintext: material }),
      () => ["KMSInvalidStateException", `${empty} is pending import.`],
    ],
  ]
  for (const [what, call, expected] of cases) {
    it(what, async () => {
      const refusal = await refusalOf(call())
      const [name, message] = expected()
      expect(refusal).to.deep.equal({ name, message: typeof message === "string" ? message : message(refusal) })
    })
  }

  it("a key pending deletion", async () => {
    await client.scheduleKeyDeletion({ KeyId: staged })
    expect(await refusalOf(client.encrypt({ KeyId: staged, Plaintext: material }))).to.deep.equal({
      name: "KMSInvalidStateException",
      message: `${staged} is pending deletion.`,
    })
  })

  it("too many requests", async () => {
    await kms.fault({ kind: "throttle" })
    expect(await refusalOf(client.listKeys({}))).to.deep.equal({
      name: "ThrottlingException",
      message: "You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls.",
    })
  })
})
