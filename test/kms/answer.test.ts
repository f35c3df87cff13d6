import { expect } from "chai"
import { Secret } from "#src/core/base/secret.js"
import type { Kms } from "#src/core/ports/kms.js"
import { openKms } from "#src/kms/kms.js"
import { expectCode } from "#test/support/expect-code.js"
import { awsEnvironment, SYMMETRIC } from "../support/aws-environment.js"
import { answering, type Listening, serveHttp } from "../support/servers.js"

const ID = "1234abcd-12ab-34cd-56ef-1234567890ab"
const ARN = `arn:aws:kms:us-east-1:111122223333:key/${ID}`
const OTHER = ARN.replace("1234abcd", "9999abcd")
const MATERIAL = "a".repeat(64)
const OTHER_MATERIAL = "b".repeat(64)
const METADATA = {
  Arn: ARN,
  KeyId: ID,
  KeyState: "Enabled",
  KeySpec: "SYMMETRIC_DEFAULT",
  KeyUsage: "ENCRYPT_DECRYPT",
  Origin: "EXTERNAL",
}

type Ask = (kms: Kms) => Promise<unknown>

const all = async <T>(entries: AsyncIterable<T>): Promise<readonly T[]> => {
  const list: T[] = []
  for await (const entry of entries) list.push(entry)
  return list
}
const importPinned: Ask = (kms) =>
  kms.importKeyMaterial(ARN, new Secret(Uint8Array.of(1)), Uint8Array.of(1), {
    validTo: null,
    importType: "EXISTING_KEY_MATERIAL",
    keyMaterialId: MATERIAL,
  })
const describeKey: Ask = (kms) => kms.describeKey(ARN)
const metadata = (more: object): object => ({ KeyMetadata: { ...METADATA, ...more } })
const rotation = (more: object): object => ({ KeyId: ARN, KeyMaterialId: MATERIAL, ImportState: "IMPORTED", ...more })

/** What is answered, to which request; 76 contradicts what was asked or pinned, 69 cannot be. */
const ROWS: readonly [title: string, ask: Ask, answer: object, status: 69 | 76][] = [
  ["a key of another ID", describeKey, metadata({ Arn: OTHER, KeyId: OTHER.split("/")[1] }), 76],
  ["a key of another ID by its ARN alone", describeKey, metadata({ Arn: OTHER, KeyId: undefined }), 76],
  ["a tag without its value", (kms) => kms.listResourceTags(ARN), { Tags: [{ TagKey: "a" }] }, 69],
  [
    "a key of another Region",
    (kms) => kms.describeKey(ID),
    metadata({ Arn: ARN.replace("us-east-1", "eu-west-3") }),
    76,
  ],
  ["a key of another account", describeKey, metadata({ Arn: ARN.replace("1111", "2222") }), 76],
  ["a key with two IDs", describeKey, metadata({ KeyId: OTHER.split("/")[1] }), 69],
  ["an ARN that is none", describeKey, metadata({ Arn: "arn:aws:kms:;touch x" }), 69],
  ["a list for an ARN", describeKey, metadata({ Arn: [ARN] }), 69],
  ["a number for a state", describeKey, metadata({ KeyState: 5 }), 69],
  ["a state with control characters", describeKey, metadata({ KeyState: "Enabled\u001b[2J" }), 69],
  ["a negative date", describeKey, metadata({ CreationDate: -1e9 }), 69],
  ["milliseconds for seconds", describeKey, metadata({ ValidTo: Date.now() }), 69],
  ["a date that is none", describeKey, metadata({ ValidTo: "NaN" }), 69],
  ["a key material ID that is none", describeKey, metadata({ CurrentKeyMaterialId: "../../etc" }), 69],
  ["two key specs", describeKey, metadata({ CustomerMasterKeySpec: "RSA_2048" }), 69],
  ["no key spec", describeKey, metadata({ KeySpec: undefined }), 69],
  ["no material where one was pinned", importPinned, { KeyId: ARN }, 76],
  ["other material than was pinned", importPinned, { KeyId: ARN, KeyMaterialId: OTHER_MATERIAL }, 76],
  ["an import into another key", importPinned, { KeyId: OTHER, KeyMaterialId: MATERIAL }, 76],
  ["a material ID that is a number", importPinned, { KeyId: ARN, KeyMaterialId: 5 }, 69],
  ["another key's public key", (kms) => kms.getPublicKey(ARN), { KeyId: OTHER, PublicKey: "AAEC" }, 76],
  ["an empty public key", (kms) => kms.getPublicKey(ARN), { KeyId: ARN, PublicKey: "" }, 69],
  ["a public key of words", (kms) => kms.getPublicKey(ARN), { KeyId: ARN, PublicKey: { a: 1 } }, 69],
  [
    "a MAC of another algorithm",
    (kms) => kms.verifyMac(ARN, Uint8Array.of(1), Uint8Array.of(1), "HMAC_SHA_256"),
    { KeyId: ARN, MacValid: true, MacAlgorithm: "HMAC_SHA_224" },
    76,
  ],
  [
    "'true' for true",
    (kms) => kms.verifyMac(ARN, Uint8Array.of(1), Uint8Array.of(1), "HMAC_SHA_256"),
    { KeyId: ARN, MacValid: "true" },
    69,
  ],
  [
    "another key's signature",
    (kms) => kms.sign(ARN, Uint8Array.of(1), "ECDSA_SHA_256"),
    { KeyId: OTHER, Signature: "AAEC" },
    76,
  ],
  ["rotations of another key", (kms) => kms.listKeyRotations(ARN), { Rotations: [rotation({ KeyId: OTHER })] }, 76],
  ["rotations that are no list", (kms) => kms.listKeyRotations(ARN), { Rotations: "none" }, 69],
  [
    "two things of one material",
    (kms) => kms.listKeyRotations(ARN),
    { Rotations: [rotation({}), rotation({ ImportState: "PENDING_IMPORT" })] },
    69,
  ],
  ["more of a listing, and not where", (kms) => all(kms.listKeys()), { Keys: [], Truncated: true }, 69],
  ["a listed key without an ARN", (kms) => all(kms.listKeys()), { Keys: [{ KeyId: ID }] }, 69],
  [
    "two keys under one ID",
    (kms) => all(kms.listKeys()),
    {
      Keys: [
        { KeyId: ID, KeyArn: ARN },
        { KeyId: ID, KeyArn: OTHER },
      ],
    },
    69,
  ],
  [
    "two targets of one alias",
    (kms) => all(kms.listAliases()),
    {
      Aliases: [
        { AliasName: "alias/a", TargetKeyId: ID },
        { AliasName: "alias/a", TargetKeyId: "other" },
      ],
    },
    69,
  ],
  ["two values of one tag", (kms) => kms.listResourceTags(ARN), { Tags: tags("a", "b") }, 69],
  ["no policy", (kms) => kms.getKeyPolicy(ARN), {}, 69],
  ["the deletion of another key", (kms) => kms.scheduleKeyDeletion(ARN, 7), { KeyId: OTHER }, 76],
]

function tags(...values: readonly string[]): object {
  return values.map((TagValue) => ({ TagKey: "t", TagValue }))
}

describe("answers that KMS would not give", () => {
  awsEnvironment()
  let answer: (request: number) => object
  let requests = 0
  let server: Listening
  let kms: Kms & Disposable
  before(async () => {
    server = await serveHttp(
      answering(() => {
        requests += 1
        return [200, "application/x-amz-json-1.1", JSON.stringify(answer(requests))]
      }),
    )
    const endpointUrl = `http://127.0.0.1:${server.port}`
    kms = await openKms({ region: "us-east-1", endpointUrl, env: {} })
  })
  after(async () => {
    kms[Symbol.dispose]()
    await server[Symbol.asyncDispose]()
  })
  beforeEach(() => (requests = 0))

  for (const [title, ask, content, status] of ROWS) {
    it(`refuses ${title}`, async () => {
      answer = () => content
      const error = await expectCode("ERR_KMS_ANSWER", () => ask(kms))
      expect(error.exit).to.equal(status === 76 ? "PROOF" : "UNAVAILABLE")
      for (const quoted of ["touch", "\u001b", "etc"]) expect(error.message).to.not.include(quoted)
    })
  }

  it("takes words that it does not know, and fields that it does not read", async () => {
    answer = () => metadata({ KeyState: "Migrating", Origin: "MOON", ExpirationModel: "LATER", Colour: "blue" })
    expect(await kms.describeKey(ARN)).to.include({ keyState: "Migrating", origin: "MOON", expirationModel: null })
  })

  for (const [title, more] of [
    ["a malformed ARN", { Arn: "arn:aws:kms:us-east-1:nobody:key/x" }],
    ["another key spec than was asked for", { KeySpec: "HMAC_256" }],
    ["another Region than was asked", { Arn: ARN.replace("us-east-1", "eu-west-3") }],
    ["no ARN", { Arn: undefined }],
  ] as const) {
    it(`has the new key looked for where CreateKey answers ${title}`, async () => {
      answer = () => metadata({ KeyState: "PendingImport", ...more })
      await expectCode("ERR_KMS_OUTCOME_UNKNOWN", () => kms.createKey(SYMMETRIC))
      expect(requests).to.equal(1)
    })
  }

  it("gives each entry of a listing once", async () => {
    const page = { Keys: [{ KeyId: ID, KeyArn: ARN }] }
    answer = (request) => (request === 1 ? { ...page, Truncated: true, NextMarker: "2" } : page)
    expect(await all(kms.listKeys())).to.deep.equal([{ keyId: ID, keyArn: ARN }])
    expect(requests).to.equal(2)
  })

  it("does not follow markers that come round again, or never end", async () => {
    answer = (request) => ({ Keys: [], Truncated: true, NextMarker: request % 2 === 0 ? "even" : "odd" })
    await expectCode("ERR_KMS_ANSWER", () => all(kms.listKeys()))
    expect(requests).to.equal(3)
    requests = 0
    answer = (request) => ({ Tags: [], Truncated: true, NextMarker: String(request) })
    await expectCode("ERR_KMS_ANSWER", () => kms.listResourceTags(ARN))
    expect(requests).to.be.below(60)
  })
})
