import type { KMS, ListAliasesResponse } from "@aws-sdk/client-kms"
import { expect } from "chai"
import { kmsClient, type LocalKmsProcess, startLocalKms } from "#test/support/local-kms.js"
import { createKey, importedKey, makeMaterial, refusalOf } from "../support/local-kms-fixture.js"

describe("local KMS: keys, aliases, tags, policies", () => {
  let kms: LocalKmsProcess
  let client: KMS
  before(async () => {
    kms = await startLocalKms({ regions: ["us-east-1", "eu-west-3"] })
    client = kmsClient(kms)
  })
  beforeEach(() => kms.reset())
  after(() => kms.stop())

  const nameOf = async (call: Promise<unknown>) => (await refusalOf(call)).name

  describe("CreateKey", () => {
    it("makes multi-Region keys with their own IDs", async () => {
      const { KeyMetadata } = await client.createKey({ Origin: "EXTERNAL", MultiRegion: true })
      expect(KeyMetadata!.KeyId).to.match(/^mrk-[0-9a-f]{32}$/)
      expect(KeyMetadata!.MultiRegionConfiguration?.MultiRegionKeyType).to.equal("PRIMARY")
    })

    const cases: [what: string, request: Parameters<KMS["createKey"]>[0], name: string][] = [
      ["AWS_KMS origin", { Origin: "AWS_KMS" }, "UnsupportedOperationException"],
      ["no origin", {}, "UnsupportedOperationException"],
      ["no usage for HMAC", { Origin: "EXTERNAL", KeySpec: "HMAC_256" }, "ValidationException"],
      ["signing with AES", { Origin: "EXTERNAL", KeyUsage: "SIGN_VERIFY" }, "ValidationException"],
      [
        "key agreement with secp256k1",
        { Origin: "EXTERNAL", KeySpec: "ECC_SECG_P256K1", KeyUsage: "KEY_AGREEMENT" },
        "ValidationException",
      ],
      ["a key spec that is none", { Origin: "EXTERNAL", KeySpec: "AES_512" as "RSA_2048" }, "ValidationException"],
      [
        "a tag twice",
        {
          Origin: "EXTERNAL",
          Tags: [
            { TagKey: "a", TagValue: "1" },
            { TagKey: "a", TagValue: "2" },
          ],
        },
        "TagException",
      ],
      ["a reserved tag", { Origin: "EXTERNAL", Tags: [{ TagKey: "aws:x", TagValue: "1" }] }, "TagException"],
    ]
    for (const [what, request, name] of cases) {
      it(`refuses ${what}`, async () => {
        expect(await nameOf(client.createKey(request))).to.equal(name)
        expect((await client.listKeys({})).Keys).to.deep.equal([])
      })
    }
  })

  describe("naming a key", () => {
    const accepted = ["ID", "ARN", "alias", "alias ARN"] as const
    const calls: [operation: string, aliases: boolean, call: (KeyId: string) => Promise<unknown>][] = [
      ["DescribeKey", true, (KeyId) => client.describeKey({ KeyId })],
      ["Encrypt", true, (KeyId) => client.encrypt({ KeyId, Plaintext: Buffer.of(1) })],
      [
        "GetParametersForImport",
        false,
        (KeyId) =>
          client.getParametersForImport({
            KeyId,
            WrappingAlgorithm: "RSAES_OAEP_SHA_256",
            WrappingKeySpec: "RSA_2048",
          }),
      ],
      ["DeleteImportedKeyMaterial", false, (KeyId) => client.deleteImportedKeyMaterial({ KeyId })],
      ["ListKeyRotations", false, (KeyId) => client.listKeyRotations({ KeyId })],
      ["GetKeyRotationStatus", false, (KeyId) => client.getKeyRotationStatus({ KeyId })],
      ["TagResource", false, (KeyId) => client.tagResource({ KeyId, Tags: [] })],
      ["ListResourceTags", false, (KeyId) => client.listResourceTags({ KeyId })],
      ["EnableKey", false, (KeyId) => client.enableKey({ KeyId })],
      ["UpdateKeyDescription", false, (KeyId) => client.updateKeyDescription({ KeyId, Description: "" })],
      ["GetKeyPolicy", false, (KeyId) => client.getKeyPolicy({ KeyId })],
      ["ScheduleKeyDeletion", false, (KeyId) => client.scheduleKeyDeletion({ KeyId })],
    ]
    for (const [operation, aliases, call] of calls) {
      it(`${operation}: ${aliases ? accepted.join(", ") : "ID or ARN, no alias"}`, async () => {
        const arn = await importedKey(client, "SYMMETRIC_DEFAULT", makeMaterial("SYMMETRIC_DEFAULT"))
        await client.createAlias({ AliasName: "alias/a", TargetKeyId: arn })
        const aliasArn = arn.replace(/key\/.*/, "alias/a")
        expect(await nameOf(call("alias/a"))).to.equal(aliases ? "" : "NotFoundException")
        expect(await nameOf(call(aliasArn))).to.equal(aliases ? "" : "InvalidArnException")
        expect(await nameOf(call(arn.slice(arn.indexOf("/") + 1)))).to.equal("")
      })
    }

    it("takes its ARN, and only with its own Region and account", async () => {
      const arn = await createKey(client)
      expect(await nameOf(client.describeKey({ KeyId: arn }))).to.equal("")
      for (const wrong of [
        arn.replace("us-east-1", "eu-west-3"),
        arn.replace("1111", "2222"),
        "nonsense",
        `${arn.slice(0, -1)}g`,
      ]) {
        expect(await nameOf(client.describeKey({ KeyId: wrong }))).to.equal("NotFoundException")
      }
      const elsewhere = client.describeKey({ KeyId: arn.replace("us-east-1", "eu-west-3") })
      expect((await refusalOf(elsewhere)).message).to.equal("Invalid arn eu-west-3")
      expect(await nameOf(client.describeKey({ KeyId: "arn:aws:kms:x" }))).to.equal("InvalidArnException")
      expect(await nameOf(kmsClient(kms, "eu-west-3").describeKey({ KeyId: arn.split("/")[1] }))).to.equal(
        "NotFoundException",
      )
    })
  })

  describe("lists", () => {
    it("gives keys and aliases in pieces", async () => {
      const target = await createKey(client)
      const arns = [target]
      for (let i = 0; i < 4; i++) arns.push(await createKey(client))
      for (let i = 0; i < 5; i++) await client.createAlias({ AliasName: `alias/${i}`, TargetKeyId: target })
      const [keys, aliases]: [string[], string[]] = [[], []]
      let Marker: string | undefined
      do {
        const page = await client.listKeys({ Limit: 2, Marker })
        expect(page.Truncated).to.equal(page.NextMarker !== undefined)
        keys.push(...page.Keys!.map((key) => key.KeyArn!))
        Marker = page.NextMarker
      } while (Marker !== undefined)
      do {
        const page: ListAliasesResponse = await client.listAliases({ Limit: 3, Marker })
        aliases.push(...page.Aliases!.map((alias) => alias.AliasName!))
        Marker = page.NextMarker
      } while (Marker !== undefined)
      expect(keys.sort()).to.deep.equal(arns.sort())
      expect(aliases).to.deep.equal(["alias/0", "alias/1", "alias/2", "alias/3", "alias/4"])
      expect((await client.listAliases({ KeyId: target })).Aliases!.length).to.equal(5)
      expect((await client.listAliases({ KeyId: arns.find((arn) => arn !== target) })).Aliases).to.deep.equal([])
      expect(await nameOf(client.listKeys({ Marker: "nonsense" }))).to.equal("InvalidMarkerException")
      expect(await nameOf(client.listKeys({ Limit: 1001 }))).to.equal("ValidationException")
    })

    it("lags as long as it is told", async () => {
      await kms.clock.freeze()
      await kms.lag(10)
      const KeyId = await createKey(client)
      await client.createAlias({ AliasName: "alias/late", TargetKeyId: KeyId })
      const seen = async () => [
        (await client.listKeys({})).Keys!.length,
        (await client.listAliases({})).Aliases!.length,
      ]
      await kms.clock.advance(9)
      expect(await seen()).to.deep.equal([0, 0])
      expect(await nameOf(client.describeKey({ KeyId: "alias/late" }))).to.equal("")
      await kms.clock.advance(1)
      expect(await seen()).to.deep.equal([1, 1])
      await kms.clock.tick()
    })
  })

  describe("aliases", () => {
    it("are made, moved to a key of the same kind, and deleted", async () => {
      const [one, two] = [await createKey(client), await createKey(client)]
      const hmac = await createKey(client, "HMAC_256")
      const AliasName = "alias/team/a"
      await client.createAlias({ AliasName, TargetKeyId: one })
      expect(await nameOf(client.createAlias({ AliasName, TargetKeyId: two }))).to.equal("AlreadyExistsException")
      await client.updateAlias({ AliasName, TargetKeyId: two })
      expect((await client.describeKey({ KeyId: AliasName })).KeyMetadata!.Arn).to.equal(two)
      expect(await nameOf(client.updateAlias({ AliasName, TargetKeyId: hmac }))).to.equal("ValidationException")
      await client.deleteAlias({ AliasName })
      for (const call of [
        () => client.deleteAlias({ AliasName }),
        () => client.updateAlias({ AliasName, TargetKeyId: one }),
        () => client.describeKey({ KeyId: AliasName }),
      ]) {
        expect(await nameOf(call())).to.equal("NotFoundException")
      }
    })

    const cases: [AliasName: string, name: string][] = [
      ["no-prefix", "ValidationException"],
      ["alias/", "ValidationException"],
      ["alias/aws/x", "NotAuthorizedException"],
      ["alias/with space", "ValidationException"],
    ]
    for (const [AliasName, name] of cases) {
      it(`refuses ${AliasName}`, async () => {
        const TargetKeyId = await createKey(client)
        expect(await nameOf(client.createAlias({ AliasName, TargetKeyId }))).to.equal(name)
      })
    }

    it("refuses an alias of an alias, and the 51st", async () => {
      const TargetKeyId = await createKey(client)
      for (let i = 0; i < 50; i++) await client.createAlias({ AliasName: `alias/${i}`, TargetKeyId })
      const call = client.createAlias({ AliasName: "alias/x", TargetKeyId: "alias/1" })
      expect(await nameOf(call)).to.equal("ValidationException")
      expect(await nameOf(client.createAlias({ AliasName: "alias/50", TargetKeyId }))).to.equal(
        "LimitExceededException",
      )
    })
  })

  it("keeps tags: from CreateKey, added, replaced, removed, in pieces, at most 50", async () => {
    const { KeyMetadata } = await client.createKey({ Origin: "EXTERNAL", Tags: [{ TagKey: "a", TagValue: "1" }] })
    const KeyId = KeyMetadata!.KeyId
    const tags = async () =>
      (await client.listResourceTags({ KeyId })).Tags!.map((tag) => `${tag.TagKey}=${tag.TagValue}`)
    await client.tagResource({
      KeyId,
      Tags: [
        { TagKey: "b", TagValue: "" },
        { TagKey: "a", TagValue: "2" },
      ],
    })
    expect(await tags()).to.deep.equal(["a=2", "b="])
    const page = await client.listResourceTags({ KeyId, Limit: 1 })
    expect(page.Truncated).to.equal(true)
    const rest = await client.listResourceTags({ KeyId, Limit: 1, Marker: page.NextMarker })
    expect(rest.Tags).to.deep.equal([{ TagKey: "b", TagValue: "" }])
    await client.untagResource({ KeyId, TagKeys: ["a", "c"] })
    expect(await tags()).to.deep.equal(["b="])
    const many = Array.from({ length: 50 }, (_, i) => ({ TagKey: `t${i}`, TagValue: "" }))
    expect(await nameOf(client.tagResource({ KeyId, Tags: many }))).to.equal("TagException")
  })

  it("keeps a policy and a description", async () => {
    const KeyId = await createKey(client)
    const { Policy } = await client.getKeyPolicy({ KeyId })
    expect(JSON.parse(Policy!)).to.have.nested.property("Statement[0].Principal.AWS", "arn:aws:iam::111122223333:root")
    await client.putKeyPolicy({ KeyId, Policy: "{}" })
    expect((await client.getKeyPolicy({ KeyId, PolicyName: "default" })).Policy).to.equal("{}")
    expect(await nameOf(client.putKeyPolicy({ KeyId, Policy: "{" }))).to.equal("MalformedPolicyDocumentException")
    await client.updateKeyDescription({ KeyId, Description: "what it is for" })
    expect((await client.describeKey({ KeyId })).KeyMetadata!.Description).to.equal("what it is for")
  })

  it("gives a policy back rewritten, as KMS does", async () => {
    const KeyId = await createKey(client)
    const [role, other] = ["arn:aws:iam::111122223333:role/a", "arn:aws:iam::111122223333:role/b"]
    const statement = { Sid: "a:b", Effect: "Allow", Resource: ["*"], Condition: { Bool: { "a:b": ["true"] } } }
    const Policy = JSON.stringify({
      Version: "2012-10-17",
      Statement: [
        { ...statement, Principal: { AWS: "444455556666" }, Action: ["kms:*"] },
        { ...statement, Principal: { AWS: [role] }, Action: ["kms:Sign", "kms:Verify"] },
        { ...statement, Principal: { AWS: [role, other], Service: "a" }, Action: "kms:*" },
        { ...statement, Principal: "*", NotAction: ["kms:*"] },
      ],
    })
    await client.putKeyPolicy({ KeyId, Policy })
    const given = (await client.getKeyPolicy({ KeyId })).Policy ?? ""
    expect(given).to.contain('"Sid" : "a:b"')
    const shared = { ...statement, Resource: "*" }
    expect(JSON.parse(given)).to.deep.equal({
      Version: "2012-10-17",
      Statement: [
        { ...shared, Principal: { AWS: "arn:aws:iam::444455556666:root" }, Action: "kms:*" },
        { ...shared, Principal: { AWS: role }, Action: ["kms:Sign", "kms:Verify"] },
        { ...shared, Principal: { AWS: [other, role], Service: "a" }, Action: "kms:*" },
        { ...shared, Principal: "*", NotAction: "kms:*" },
      ],
    })
    await client.putKeyPolicy({ KeyId, Policy: given })
    expect((await client.getKeyPolicy({ KeyId })).Policy).to.equal(given)
  })

  it("keeps Regions apart", async () => {
    const paris = kmsClient(kms, "eu-west-3")
    const KeyId = await createKey(paris)
    expect(KeyId).to.match(/^arn:aws:kms:eu-west-3:111122223333:key\//)
    expect((await client.listKeys({})).Keys).to.deep.equal([])
    expect((await paris.listKeys({})).Keys!.length).to.equal(1)
  })
})
