import { expect } from "chai"
import { generateKey } from "#src/app/source-key/generate.js"
import { AS_BEFORE } from "#src/app/import/terms.js"
import { provision } from "#src/app/provision/provision.js"
import { rotateKey } from "#src/app/rotate/rotate.js"
import type { KeyResult } from "#src/core/records/key-result.js"
import { expectCode } from "#test/support/expect-code.js"
import { startLocalKms } from "#test/support/local-kms.js"
import { type Answer, startKmsProxy } from "../../support/kms-proxy.js"
import { createKey } from "../../support/local-kms-fixture.js"
import {
  deletePrivateHalf,
  EC,
  HMAC,
  openWorld,
  requestFor,
  type World,
  worldEnvironment,
} from "../../support/world.js"

describe("provision", () => {
  worldEnvironment()
  let world: World
  before(async () => {
    world = await openWorld(["us-east-1", "eu-west-3"])
  })
  beforeEach(() => world.reset())
  after(() => world[Symbol.asyncDispose]())

  const run = async (...args: Parameters<typeof requestFor>): Promise<KeyResult> =>
    provision((await world.run()).deps, requestFor(...args))
  const keys = async (): Promise<number> => ((await world.sdk.listKeys({ Limit: 1000 })).Keys ?? []).length
  const describe_ = async (KeyId: string) => (await world.sdk.describeKey({ KeyId })).KeyMetadata!

  describe("again", () => {
    it("does nothing, and asks KMS for no more than whether it is still there", async () => {
      const first = await run("idle", EC)
      await world.kms.clearCounts()
      const second = await run("idle", EC)
      expect(first.outcome).to.equal("done")
      expect({ ...second, outcome: "done", wrappingAlgorithmReason: first.wrappingAlgorithmReason }).to.deep.equal(
        first,
      )
      expect(second.outcome).to.equal("nothing")
      expect((await world.kms.counts()).requests).to.deep.equal({ DescribeKey: 1 })
    })

    it("with full proof proves what was only accepted, by one import more", async () => {
      const accepted = await run("prove-later")
      await world.kms.clearCounts()
      const proven = await run("prove-later", { prove: "full" })
      expect(accepted.proof).to.deep.equal({ kind: "none", result: "accepted" })
      expect(proven.proof).to.deep.equal({ kind: "key-material-id", result: "proven" })
      expect(proven).to.include({ outcome: "done", keyArn: accepted.keyArn, keyMaterialId: accepted.keyMaterialId })
      expect(await world.requests("GetParametersForImport")).to.equal(1)
      expect((await run("prove-later", { prove: "full" })).outcome).to.equal("nothing")
      expect((await run("prove-later")).outcome).to.equal("nothing")
    })

    it("gives an alias that was not given yet", async () => {
      await world.kms.fault({ kind: "internal", operation: "CreateAlias" })
      const request = { ...HMAC, alias: "alias/late" }
      await expectCode("ERR_KMS_OUTCOME_UNKNOWN", () => run("late", request))
      await world.kms.clearCounts()
      expect(await run("late", request)).to.include({ outcome: "done", alias: "alias/late" })
      expect(await world.requests("GetParametersForImport")).to.equal(0)
      expect((await run("late", request)).outcome).to.equal("nothing")
    })
  })

  describe("CreateKey whose answer is lost", () => {
    for (const lag of [0, 12]) {
      it(`makes one KMS key, with a listing that lags ${lag} s`, async () => {
        await world.kms.lag(lag)
        await world.kms.fault({ kind: "drop-after", operation: "CreateKey" })
        const { deps, warnings } = await world.run()
        const result = await provision(deps, requestFor(`lost-${lag}`))
        expect(result.outcome).to.equal("done")
        expect(warnings.join()).to.include("CreateKey was lost")
        await world.kms.lag(0)
        expect([await keys(), await world.requests("CreateKey")]).to.deep.equal([1, 1])
      })
    }

    for (const exists of [true, false]) {
      it(`makes one, where the answer names another that ${exists ? "waits for key material" : "is not there"}`, async () => {
        const other = exists ? await createKey(world.sdk) : "arn:aws:kms:us-east-1:111122223333:key/0-1"
        await using proxy = await startKmsProxy(world.kms.endpoint)
        proxy.alter("CreateKey", (answer) => ({
          KeyMetadata: { ...(answer["KeyMetadata"] as Answer), Arn: other, KeyId: other.split("/")[1] },
        }))
        const { deps, warnings } = await world.run({ endpoint: proxy.endpoint })
        const result = await provision(deps, requestFor(`other-${exists}`))
        expect(result).to.include({ outcome: "done" }).and.not.include({ keyArn: other })
        expect(warnings.join()).to.include("CreateKey names another KMS key")
        expect(await world.requests("CreateKey")).to.equal(exists ? 2 : 1)
        if (exists) expect(await describe_(other)).to.include({ KeyState: "PendingImport" })
      })
    }

    it("having made nothing, stops; the next run makes one", async () => {
      await world.kms.fault({ kind: "drop-before", operation: "CreateKey" })
      const error = await expectCode("ERR_KMS_OUTCOME_UNKNOWN", () => run("nothing-made"))
      expect(error.key).to.include("nothing-made")
      expect(await keys()).to.equal(0)
      expect((await run("nothing-made")).outcome).to.equal("done")
      expect([await keys(), await world.requests("CreateKey")]).to.deep.equal([1, 2])
    })

    it("having made nothing, makes none where another copy of the state has made it meanwhile", async () => {
      await world.kms.fault({ kind: "drop-before", operation: "CreateKey" })
      await expectCode("ERR_KMS_OUTCOME_UNKNOWN", () => run("made-elsewhere"))
      const entry = await (await world.run()).deps.inventory.get("made-elsewhere", "us-east-1")
      const identity = { "keyferry:owner": entry?.owner ?? "", "keyferry:name": "made-elsewhere" }
      const Tags = Object.entries(identity).map(([TagKey, TagValue]) => ({ TagKey, TagValue }))
      await world.sdk.createKey({ Origin: "EXTERNAL", Tags })
      const error = await expectCode("ERR_STATE_INCOMPLETE", () => run("made-elsewhere"))
      expect(error.key).to.equal("made-elsewhere")
      expect(await keys()).to.equal(1)
    })

    it("is found among others' keys, some of which may not be looked at", async () => {
      for (const name of ["a", "b", "c"]) await createKey(world.sdk, name === "b" ? "HMAC_256" : "SYMMETRIC_DEFAULT")
      await world.kms.fault({ kind: "drop-after", operation: "CreateKey" })
      await world.kms.fault({ kind: "access-denied", operation: "DescribeKey" })
      expect((await run("among-others")).outcome).to.equal("done")
      expect([await keys(), await world.requests("CreateKey")]).to.deep.equal([4, 4])
    })
  })

  it("makes no second key where CreateKey's answer is lost and the tags of what may be it may not be read", async () => {
    await world.kms.fault({ kind: "drop-after", operation: "CreateKey" })
    await world.kms.fault({ kind: "access-denied", operation: "ListResourceTags", count: 99 })
    for (const time of ["first", "second"]) {
      await expectCode("ERR_KMS_ACCESS_DENIED", () => run("hidden"))
      expect([await keys(), await world.requests("CreateKey")], time).to.deep.equal([1, 1])
    }
    const { deps } = await world.run()
    expect(await deps.inventory.get("hidden", "us-east-1")).to.include({ creating: true, keyArn: null })
    await world.kms.clearFaults()
    expect((await run("hidden")).outcome).to.equal("done")
    expect([await keys(), await world.requests("CreateKey")]).to.deep.equal([1, 1])
  })

  it("takes a refusal of CreateKey for what it is: not repeated, nothing left", async () => {
    await world.kms.fault({ kind: "error", operation: "CreateKey", name: "LimitExceededException", count: 5 })
    await expectCode("ERR_KMS_LIMIT", () => run("too-many"))
    const { deps } = await world.run()
    expect(await deps.inventory.list()).to.deep.equal([])
    expect(await world.requests("CreateKey")).to.equal(1)
  })

  it("goes on through throttling and passing faults", async () => {
    for (const operation of ["CreateKey", "GetParametersForImport", "ImportKeyMaterial"]) {
      await world.kms.fault({ kind: "throttle", operation })
    }
    for (const operation of ["ImportKeyMaterial", "VerifyMac"]) await world.kms.fault({ kind: "internal", operation })
    expect((await run("bumpy", HMAC)).proof).to.deep.equal({ kind: "mac", result: "proven" })
    expect(await keys()).to.equal(1)
  })

  describe("ImportKeyMaterial", () => {
    it("whose answer is lost is sent again, and is one material", async () => {
      await world.kms.fault({ kind: "drop-after", operation: "ImportKeyMaterial" })
      const { keyArn, keyMaterialId } = await run("lost-import")
      const { Rotations = [] } = await world.sdk.listKeyRotations({
        KeyId: keyArn,
        IncludeKeyMaterial: "ALL_KEY_MATERIAL",
      })
      expect(Rotations.map((one) => one.KeyMaterialId)).to.deep.equal([keyMaterialId])
      expect(await world.requests("GetParametersForImport")).to.equal(1)
    })

    it("that stays unanswered leaves what it was about, and the next run proves it", async () => {
      await world.kms.fault({ kind: "drop-after", operation: "ImportKeyMaterial", count: 3 })
      await expectCode("ERR_KMS_UNREACHABLE", () => run("unanswered", EC))
      const { deps } = await world.run()
      const [entry] = await deps.inventory.list()
      expect(entry?.importing?.wrappingAlgorithm).to.equal("RSA_AES_KEY_WRAP_SHA_1")
      expect(entry?.imports).to.deep.equal([])
      const result = await run("unanswered", EC)
      expect(result.proof).to.deep.equal({ kind: "public-key", result: "proven" })
      expect(result.sourceKey.id).to.equal(entry?.source.id)
    })

    it("whose import token expired meanwhile gets new parameters, once", async () => {
      const { deps, warnings } = await world.run()
      let lent = 0
      const slow: typeof deps.kms.getParametersForImport = async (...args) => {
        const parameters = await deps.kms.getParametersForImport(...args)
        lent += 1
        if (lent === 1) await world.kms.clock.advance(25 * 3600)
        return parameters
      }
      const kms = { ...deps.kms, getParametersForImport: slow }
      expect((await provision({ ...deps, kms }, requestFor("slow", HMAC))).outcome).to.equal("done")
      expect(lent).to.equal(2)
      expect(warnings.join()).to.include("new import parameters")
    })

    it("that KMS' listing of states lags behind is tried until it settles", async () => {
      const name = "KMSInvalidStateException"
      await world.kms.fault({ kind: "error", operation: "ImportKeyMaterial", name, message: "not yet", count: 2 })
      await world.kms.fault({ kind: "error", operation: "GetParametersForImport", name: "NotFoundException" })
      expect((await run("unsettled")).outcome).to.equal("done")
    })
  })

  it("takes the source key that `key generate` made", async () => {
    const { deps } = await world.run()
    const request = { owner: "keyferry", name: "generated", custody: "token", wrappingAlgorithm: "auto" } as const
    const { key: source } = await generateKey(deps, { ...request, wrappingKeySpec: "RSA_2048", keySpec: HMAC.keySpec })
    const result = await run("generated", HMAC)
    expect(result.sourceKey).to.include({ id: source.id, label: source.label })
    expect(await deps.token.findSourceKeys({ label: source.label })).to.have.length(1)
  })

  it("generates a pair anew of which a killed run left half", async () => {
    await world.kms.fault({ kind: "access-denied", operation: "GetParametersForImport" })
    await expectCode("ERR_KMS_ACCESS_DENIED", () => run("half", EC))
    const { deps, warnings } = await world.run()
    const [half] = await deps.token.findSourceKeys({ label: "keyferry/keyferry/half/0" })
    deletePrivateHalf(world.testToken, half?.id ?? "")
    await world.reopenToken()
    expect((await (await world.run()).deps.token.search({ id: half?.id ?? "" })).strays).to.have.length(1)
    const again = await world.run()
    const result = await provision(again.deps, requestFor("half", EC))
    expect(result.proof.result).to.equal("proven")
    expect(result.sourceKey.id).to.equal(half?.id)
    expect([...warnings, ...again.warnings].join()).to.include("destroyed")
    expect(await keys()).to.equal(1)
  })

  it("fills a KMS key that the operator made, and tags it", async () => {
    const KeyId = await createKey(world.sdk)
    const { deps } = await world.run()
    const request = requestFor("given", { keyId: KeyId.split("/")[1] ?? "", tags: { team: "payments" } })
    const result = await provision(deps, request)
    expect(result.keyArn).to.equal(KeyId)
    expect(await world.requests("CreateKey")).to.equal(1)
    const tags = await deps.kms.listResourceTags(KeyId)
    expect(tags).to.include({ team: "payments", "keyferry:owner": "keyferry", "keyferry:name": "given" })
    expect(tags["keyferry:source"]).to.equal(result.sourceKey.id)
    expect((await provision(deps, request)).outcome).to.equal("nothing")
    await expectCode("ERR_NAME_TAKEN", async () => {
      const other = await createKey(world.sdk)
      await world.sdk.deleteImportedKeyMaterial({ KeyId })
      await run("given-twice", { keyId: other })
      await run("given-twice-more", { keyId: KeyId })
    })
  })

  it("makes a multi-Region primary, with description and tags", async () => {
    const result = await run("regions", { multiRegion: true, description: "for two", tags: { a: "b" } })
    const key = await describe_(result.keyArn)
    expect(key).to.include({ MultiRegion: true, Description: "for two", KeyState: "Enabled" })
    expect(result.keyId).to.match(/^mrk-/)
  })

  it("takes one source key to a second Region, and to no second account", async () => {
    const first = await run("two-regions", HMAC)
    const elsewhere = await world.run({ region: "eu-west-3" })
    const second = await provision(elsewhere.deps, requestFor("two-regions", { ...HMAC, target: "eu-west-3" }))
    expect(second.sourceKey.id).to.equal(first.sourceKey.id)
    expect(second.keyArn).to.match(/^arn:aws:kms:eu-west-3:/)

    await using other = await startLocalKms({ account: "999988887777", regions: ["eu-central-1"] })
    const { deps } = await world.run({ endpoint: other.endpoint, region: "eu-central-1" })
    const request = requestFor("two-regions", { ...HMAC, target: "eu-central-1" })
    const error = await expectCode("ERR_POLICY_REFUSED", () => provision(deps, request))
    expect(error.message).to.match(/111122223333.*999988887777/)
    expect((await other.counts()).requests["CreateKey"]).to.equal(undefined)
  })

  it("makes one source key for two targets, though the first came to a stop before it was made", async () => {
    await world.kms.fault({ kind: "access-denied", operation: "CreateKey", region: "us-east-1" })
    await expectCode("ERR_KMS_ACCESS_DENIED", () => run("stopped-first", HMAC))
    const { deps } = await world.run({ region: "eu-west-3" })
    const second = await provision(deps, requestFor("stopped-first", { ...HMAC, target: "eu-west-3" }))
    const first = await run("stopped-first", HMAC)
    expect([first.outcome, second.outcome]).to.deep.equal(["done", "done"])
    expect(first.sourceKey.id).to.equal(second.sourceKey.id)
  })

  it("has the source key made under the ID that another target of the name wrote down before it stopped", async () => {
    for (const name of ["twice-unanswered", "twice-unanswered-mac"]) {
      await world.kms.fault({ kind: "drop-before", operation: "CreateKey", region: "us-east-1" })
      await expectCode("ERR_KMS_OUTCOME_UNKNOWN", () => run(name, name.endsWith("mac") ? HMAC : {}))
    }
    const { deps } = await world.run({ region: "eu-west-3" })
    for (const [name, more] of [
      ["twice-unanswered", {}],
      ["twice-unanswered-mac", HMAC],
    ] as const) {
      const intended = await deps.inventory.get(name, "us-east-1")
      const second = await provision(deps, requestFor(name, { ...more, target: "eu-west-3" }))
      expect(second.sourceKey.id).to.equal(intended?.source.id)
    }
  })

  it("gives material that is imported once to no second target, before anything is made", async () => {
    const once = { ...HMAC, custody: "locked", expiresIn: "never", acceptNoReimport: true } as const
    await run("one-place", once)
    const { deps } = await world.run()
    await world.kms.clearCounts()
    const second = requestFor("one-place", { ...once, target: "other" })
    const error = await expectCode("ERR_CUSTODY_REFUSED", () => provision(deps, second))
    expect(error.message).to.include("goes into one KMS key only, and us-east-1 has it")
    expect((await world.kms.counts()).requests).to.deep.equal({})
    expect(await deps.inventory.get("one-place", "other")).to.equal(undefined)
    // another custody can
    await run("two-places", { ...HMAC })
    const other = await provision(deps, requestFor("two-places", { ...HMAC, target: "other" }))
    expect(other.outcome).to.equal("done")
  })

  it("does not provision a name that was rotated and whose material expired: every generation is needed", async () => {
    await run("turned-once", { expiresIn: "10d" })
    const { deps } = await world.run()
    const entry = (await deps.inventory.get("turned-once", "us-east-1")) ?? expect.fail()
    await rotateKey(deps, entry, AS_BEFORE)
    expect((await run("turned-once", { expiresIn: "10d" })).outcome, "while it lives").to.equal("nothing")
    await deps.sleep(11 * 86_400_000)
    await world.kms.clearCounts()
    const error = await expectCode("ERR_NAME_TAKEN", () => run("turned-once", { expiresIn: "10d" }))
    expect(error.hint).to.include("keyferry rewrap turned-once").and.to.include("keyferry rotate turned-once")
    expect(await world.requests("GetParametersForImport")).to.equal(0)
  })

  describe("with session custody", () => {
    const session = { custody: "session", expiresIn: "never", acceptNoReimport: true } as const

    it("leaves no source key", async () => {
      const result = await run("brief", { ...session, ...HMAC })
      expect(result.proof).to.deep.equal({ kind: "mac", result: "proven" })
      expect(result).to.include({ expirationModel: "KEY_MATERIAL_DOES_NOT_EXPIRE", validTo: null, custody: "session" })
      expect(result.sourceKey.attributes).to.include({ token: false, sensitive: true })
      await world.reopenToken()
      const { deps } = await world.run()
      expect(await deps.token.findSourceKeys({ id: result.sourceKey.id })).to.deep.equal([])
      expect((await run("brief", { ...session, ...HMAC })).outcome).to.equal("nothing")
    })

    it("that died after its import says that it cannot be taken up", async () => {
      await world.kms.fault({ kind: "access-denied", operation: "GetPublicKey" })
      await expectCode("ERR_KMS_ACCESS_DENIED", () => run("died", { ...session, ...EC }))
      await world.reopenToken()
      const error = await expectCode("ERR_KEY_NOT_FOUND", () => run("died", { ...session, ...EC }))
      expect(error.hint).to.include("another --name")
      expect(await keys()).to.equal(1)
    })

    it("that died before its import is taken up with a new source key", async () => {
      await world.kms.fault({ kind: "access-denied", operation: "GetParametersForImport" })
      await expectCode("ERR_KMS_ACCESS_DENIED", () => run("early", { ...session, ...HMAC }))
      await world.reopenToken()
      expect((await run("early", { ...session, ...HMAC })).proof.result).to.equal("proven")
      expect(await keys()).to.equal(1)
    })
  })
})
