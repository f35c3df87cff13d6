import { expect } from "chai"
import { provision } from "#src/app/provision/provision.js"
import { replaceKey, type ReplaceResult } from "#src/app/replace/replace.js"
import type { ReplaceWishes } from "#src/core/records/operation.js"
import { planRetirement, retireKeys } from "#src/app/ending/retire.js"
import { rotateKey } from "#src/app/rotate/rotate.js"
import { AS_BEFORE } from "#src/app/import/terms.js"
import { exitOf, summarise } from "#src/core/plan/row.js"
import type { InventoryEntry } from "#src/core/records/inventory.js"
import type { KeyResult } from "#src/core/records/key-result.js"
import { expectCode } from "#test/support/expect-code.js"
import { createKey } from "../../support/local-kms-fixture.js"
import { EC, HMAC, openWorld, overriding, requestFor, type World, worldEnvironment } from "../../support/world.js"

const SAME: ReplaceWishes = { ...AS_BEFORE, description: null }

/** What the flags say where nothing is said. */
const IDLE = { idleFor: 30 * 86_400, althoughUsed: false }

describe("replace", () => {
  worldEnvironment()
  let world: World
  before(async () => {
    world = await openWorld()
  })
  beforeEach(() => world.reset())
  after(() => world[Symbol.asyncDispose]())

  const entryOf = async (name: string): Promise<InventoryEntry> =>
    (await (await world.run()).deps.inventory.get(name, "us-east-1")) ?? expect.fail(`no entry of ${name}`)
  const make = async (...args: Parameters<typeof requestFor>): Promise<KeyResult> =>
    provision((await world.run()).deps, requestFor(...args))
  const replace = async (name: string, wishes: Partial<ReplaceWishes> = {}): Promise<ReplaceResult> =>
    replaceKey((await world.run()).deps, await entryOf(name), { ...SAME, ...wishes })
  const metadata = async (KeyId: string) => (await world.sdk.describeKey({ KeyId })).KeyMetadata ?? expect.fail()
  const keys = async (): Promise<number> => ((await world.sdk.listKeys({ Limit: 1000 })).Keys ?? []).length
  const tagsOf = async (keyArn: string) => (await world.run()).deps.kms.listResourceTags(keyArn)

  /** Exactly one new KMS key, the alias on it, the old one as it was. */
  const expectReplaced = async (old: KeyResult, result: ReplaceResult): Promise<void> => {
    expect(result).to.include({ outcome: "done", name: old.name, generation: 0, replaced: old.keyArn })
    expect(result.keyArn).not.to.equal(old.keyArn)
    expect(result.sourceKey.id).not.to.equal(old.sourceKey.id)
    expect(result.sourceKey.label).to.equal(old.sourceKey.label)
    expect(await keys()).to.equal(2)
    if (old.alias !== null) expect((await metadata(old.alias)).Arn).to.equal(result.keyArn)
    expect((await metadata(old.keyArn)).KeyState).to.equal("Enabled")
    expect((await tagsOf(old.keyArn))["keyferry:replaced-by"]).to.equal(result.keyArn)
    expect(await tagsOf(result.keyArn)).to.include({
      "keyferry:name": old.name,
      "keyferry:source": result.sourceKey.id,
    })
    const entry = await entryOf(old.name)
    expect(entry).to.include({ keyArn: result.keyArn, replacement: null, importing: null, alias: old.alias })
    expect(entry.former.map(({ keyArn, source, retiredAt }) => [keyArn, source.id, retiredAt])).to.deep.equal([
      [old.keyArn, old.sourceKey.id, null],
    ])
    const { deps } = await world.run()
    expect(await deps.token.findSourceKeys({ label: old.sourceKey.label })).to.have.length(2)
  }

  for (const [kind, more] of [
    ["EC", EC],
    ["HMAC", HMAC],
    ["symmetric", { prove: "full" }],
  ] as const) {
    it(`makes a new ${kind} key with new material, proven, and moves the alias to it`, async () => {
      const old = await make(`replaced-${kind}`, { ...more, alias: `alias/replaced-${kind}`, expiresIn: "20d" })
      const result = await replace(old.name, { prove: "full" })
      await expectReplaced(old, result)
      expect(result.proof.result).to.equal("proven")
      const days = (new Date(result.validTo ?? 0).getTime() - new Date(result.importedAt).getTime()) / 86_400_000
      expect(Math.round(days), "as it was imported before").to.equal(20)
    })
  }

  it("keeps old ciphertexts readable, through the old key, and rotates the new one from generation 0", async () => {
    const old = await make("kept", { alias: "alias/kept" })
    const rotated = await rotateKey((await world.run()).deps, await entryOf("kept"), AS_BEFORE)
    const { CiphertextBlob } = await world.sdk.encrypt({ KeyId: old.keyArn, Plaintext: Buffer.from("old") })
    const result = await replace("kept")
    expect(Buffer.from((await world.sdk.decrypt({ CiphertextBlob })).Plaintext ?? []).toString()).to.equal("old")
    const again = await rotateKey((await world.run()).deps, await entryOf("kept"), AS_BEFORE)
    expect(again).to.include({ generation: 1, keyArn: result.keyArn })
    expect(again.sourceKey.label).to.equal(rotated.sourceKey.label)
    expect(again.sourceKey.id).not.to.equal(rotated.sourceKey.id)
    expect((await entryOf("kept")).former[0]?.earlier).to.have.length(1)
  })

  it("replaces and rotates a sealed key under labels that are shared, and nothing stays in the token", async () => {
    const old = await make("sealed-place", { custody: "sealed", alias: "alias/sealed-place" })
    await world.kms.fault({ kind: "access-denied", operation: "ImportKeyMaterial" })
    await expectCode("ERR_KMS_ACCESS_DENIED", () => replace("sealed-place"))
    const result = await replace("sealed-place")
    await expectReplaced(old, result)
    const turned = await rotateKey((await world.run()).deps, await entryOf("sealed-place"), AS_BEFORE)
    expect(turned).to.include({ generation: 1, custody: "sealed", keyArn: result.keyArn })
    const { deps, inToken } = await world.run()
    expect((await deps.vault.list({ owner: "keyferry", name: "sealed-place" })).sealed).to.have.length(3)
    for (const { id } of [old.sourceKey, result.sourceKey, turned.sourceKey]) {
      expect((await inToken.search({ id })).keys).to.deep.equal([])
    }
  })

  it("gives the new key the old one's description, tags and policy, unless others are asked for", async () => {
    const old = await make("dressed", { ...HMAC, description: "for payments", tags: { team: "pay" } })
    const Policy = JSON.stringify({ Version: "2012-10-17", Id: "mine", Statement: [] })
    await world.sdk.putKeyPolicy({ KeyId: old.keyArn, Policy })
    const result = await replace("dressed")
    expect((await metadata(result.keyArn)).Description).to.equal("for payments")
    expect(await tagsOf(result.keyArn)).to.include({ team: "pay" })
    expect((await world.sdk.getKeyPolicy({ KeyId: result.keyArn })).Policy).to.include('"mine"')
    const keyPolicy = Policy.replace("mine", "another")
    const second = await replace("dressed", { description: "anew", tags: { cost: "7" }, keyPolicy })
    expect((await metadata(second.keyArn)).Description).to.equal("anew")
    expect(await tagsOf(second.keyArn)).to.include({ team: "pay", cost: "7" })
    expect((await world.sdk.getKeyPolicy({ KeyId: second.keyArn })).Policy).to.include('"another"')
    expect((await entryOf("dressed")).former).to.have.length(2)
  })

  describe("after a stop", () => {
    const stops = [
      ["CreateKey", "access-denied", 1],
      ["CreateKey", "drop-after", 1],
      ["GetParametersForImport", "access-denied", 1],
      ["ImportKeyMaterial", "drop-after", 3],
      ["ImportKeyMaterial", "access-denied", 1],
      ["VerifyMac", "access-denied", 1],
      ["UpdateAlias", "access-denied", 1],
      ["UpdateAlias", "drop-before", 3],
      ["UpdateAlias", "drop-after", 3],
      ["TagResource", "access-denied", 1],
      ["TagResource", "drop-after", 3],
    ] as const
    for (const [operation, kind, count] of stops) {
      it(`there is exactly one new key: ${operation}, ${kind}`, async () => {
        const name = `stopped-${operation}-${kind}`
        const old = await make(name, { ...HMAC, alias: `alias/${name}` })
        await world.kms.fault({ kind, operation, count })
        const first = await replace(name).then(
          (result) => result,
          () => null,
        )
        await world.kms.clearFaults()
        // some lost answers are settled by the run itself
        const result = first ?? (await replace(name))
        expect(result.proof).to.deep.equal({ kind: "mac", result: "proven" })
        await expectReplaced(old, result)
      })
    }
  })

  it("is refused before anything is made: a foreign alias, a custody that imports once, an unfinished rotation", async () => {
    const old = await make("refused", { alias: "alias/refused" })
    await world.sdk.updateAlias({ AliasName: "alias/refused", TargetKeyId: await createKey(world.sdk) })
    await expectCode("ERR_KMS_ALIAS_TAKEN", () => replace("refused"))
    await world.sdk.updateAlias({ AliasName: "alias/refused", TargetKeyId: old.keyArn })
    await world.kms.fault({ kind: "access-denied", operation: "RotateKeyOnDemand" })
    await expectCode("ERR_KMS_ACCESS_DENIED", async () =>
      rotateKey((await world.run()).deps, await entryOf("refused"), AS_BEFORE),
    )
    await expectCode("ERR_KMS_KEY_STATE", () => replace("refused"))
    await make("refused-session", { custody: "session", expiresIn: "never", acceptNoReimport: true })
    await expectCode("ERR_NOT_ACKNOWLEDGED", () => replace("refused-session"))
    await expectCode("ERR_NOT_ACKNOWLEDGED", () =>
      replace("refused-session", { acceptNoReimport: true, expiresIn: "9d" }),
    )
    expect(await keys()).to.equal(3)
    expect((await entryOf("refused")).replacement).to.equal(null)
  })

  it("is refused where another copy of the state has replaced it, with the alias moved or without one", async () => {
    for (const alias of ["alias/copied", null]) {
      const { name } = await make(alias === null ? "copied-bare" : "copied", { alias })
      const before = await entryOf(name)
      const { keyArn } = await replace(name)
      const { deps } = await world.run()
      await deps.inventory.put(before)
      const made = await keys()
      const error = await expectCode("ERR_STATE_INCOMPLETE", () => replace(name))
      expect(error.message).to.include(keyArn)
      expect(error.hint).to.include("state merge").and.to.include("status --rebuild")
      expect(await keys()).to.equal(made)
    }
  })

  describe("of what is imported once", () => {
    const once = { acceptNoReimport: true, expiresIn: "never" } as const
    const inToken = async (id: string) => (await (await world.run()).inToken.search({ id })).keys

    it("locks the new source key after its proof, also where a run died between, and lets it be used as the old one", async () => {
      const old = await make("locked-place", { ...HMAC, custody: "locked", ...once, localUse: true })
      const { deps } = await world.run()
      const lock = (): Promise<never> => Promise.reject(new Error("killed"))
      const dying = { ...deps, token: overriding(deps.token, { lock }) }
      const died = await replaceKey(dying, await entryOf("locked-place"), { ...SAME, acceptNoReimport: true }).then(
        () => "done",
        (error: unknown) => String(error),
      )
      expect(died).to.include("killed")
      await world.kms.clearCounts()
      const result = await replace("locked-place", { acceptNoReimport: true })
      expect(await world.requests("ImportKeyMaterial")).to.equal(0)
      await expectReplaced(old, result)
      expect(result.proof).to.deep.equal({ kind: "mac", result: "proven" })
      expect((await inToken(result.sourceKey.id))[0]?.attributes).to.include({ extractable: false, verify: true })
      expect((await entryOf("locked-place")).source.attributes?.extractable).to.equal(false)
    })

    it("proves a locked symmetric key whatever was asked", async () => {
      await make("locked-aes-place", { custody: "locked", ...once })
      const result = await replace("locked-aes-place", once)
      expect(result.proof).to.deep.equal({ kind: "key-material-id", result: "proven" })
      const attributes = (await inToken(result.sourceKey.id))[0]?.attributes
      expect(attributes).to.include({ extractable: false, encrypt: false })
    })

    it("makes another KMS key where a session died with the material of the first", async () => {
      const old = await make("session-place", { ...EC, custody: "session", ...once })
      await world.kms.fault({ kind: "access-denied", operation: "GetPublicKey" })
      await expectCode("ERR_KMS_ACCESS_DENIED", () => replace("session-place", once))
      await world.reopenToken()
      const error = await expectCode("ERR_KEY_NOT_FOUND", () => replace("session-place", once))
      const lost = (await entryOf("session-place")).replacement?.keyArn ?? ""
      expect(error.hint).to.include(`schedule the deletion of ${lost}`)
      await world.sdk.scheduleKeyDeletion({ KeyId: lost, PendingWindowInDays: 7 })
      const result = await replace("session-place", once)
      expect(result).to.include({ outcome: "done", replaced: old.keyArn, custody: "session" })
      expect(result.proof).to.deep.equal({ kind: "public-key", result: "proven" })
      expect(result.keyArn).not.to.equal(lost)
    })
  })

  it("works where the old KMS key is gone", async () => {
    const old = await make("gone", { ...HMAC, alias: "alias/gone" })
    await world.sdk.scheduleKeyDeletion({ KeyId: old.keyArn, PendingWindowInDays: 7 })
    const { deps } = await world.run()
    await deps.sleep(8 * 86_400_000)
    const result = await replace("gone")
    expect((await metadata("alias/gone")).Arn).to.equal(result.keyArn)
  })

  describe("retire", () => {
    const retire = async (name: string, disableOnly = false): Promise<readonly string[]> => {
      const { deps } = await world.run()
      const request = { disableOnly, pendingWindowDays: 7, idle: IDLE }
      const planned = await planRetirement({ ...deps, token: null }, await entryOf(name), request)
      await retireKeys({ ...deps, token: null }, planned, request)
      return planned.flatMap(({ consequences }) => consequences)
    }

    it("disables the replaced key, then schedules its deletion, says what stops working, and is done once", async () => {
      const old = await make("ended", { alias: "alias/ended" })
      const result = await replace("ended")
      expect((await retire("ended", true)).join()).to.include(old.keyArn)
      expect((await metadata(old.keyArn)).KeyState).to.equal("Disabled")
      expect((await entryOf("ended")).former[0]?.retiredAt).to.equal(null)
      const said = await retire("ended")
      expect(said.join()).to.match(/nothing that was encrypted under it can be decrypted.*for ever from/)
      expect((await metadata(old.keyArn)).KeyState).to.equal("PendingDeletion")
      expect((await metadata(result.keyArn)).KeyState).to.equal("Enabled")
      expect((await entryOf("ended")).former[0]?.retiredAt).to.match(/^\d{4}-/)
      expect(await retire("ended")).to.deep.equal([])
    })

    it("goes on after a stop, and takes a key that is gone for retired", async () => {
      const old = await make("halfway", HMAC)
      await replace("halfway")
      await world.kms.fault({ kind: "access-denied", operation: "ScheduleKeyDeletion" })
      await expectCode("ERR_KMS_ACCESS_DENIED", () => retire("halfway"))
      expect((await metadata(old.keyArn)).KeyState).to.equal("Disabled")
      await world.kms.fault({ kind: "drop-after", operation: "ScheduleKeyDeletion" })
      await retire("halfway")
      expect((await entryOf("halfway")).former[0]?.retiredAt).to.match(/^\d{4}-/)
      await replace("halfway")
      const [, second] = (await entryOf("halfway")).former
      await world.sdk.scheduleKeyDeletion({ KeyId: second?.keyArn ?? "", PendingWindowInDays: 7 })
      await (await world.run()).deps.sleep(8 * 86_400_000)
      await retire("halfway")
      expect((await entryOf("halfway")).former.map(({ retiredAt }) => retiredAt === null)).to.deep.equal([false, false])
    })

    it("goes on with the other replaced keys where an alias still names one, and retires that one later", async () => {
      await make("thrice", HMAC)
      for (let times = 0; times < 3; times += 1) await replace("thrice")
      const { former } = await entryOf("thrice")
      const [, named] = former.map(({ keyArn }) => keyArn ?? "")
      await world.sdk.createAlias({ AliasName: "alias/still-used", TargetKeyId: named })
      const { deps } = await world.run()
      const request = { disableOnly: false, pendingWindowDays: 7, idle: IDLE }
      const endDeps = { ...deps, token: null }
      const rows = await retireKeys(endDeps, await planRetirement(endDeps, await entryOf("thrice"), request), request)
      expect(rows.map(({ keyArn, outcome, reason, replaced }) => [keyArn, outcome, reason, replaced])).to.deep.equal([
        [former[0]?.keyArn, "done", "DELETION_SCHEDULED", true],
        [named, "blocked", "ERR_KEY_IN_USE", true],
        [former[2]?.keyArn, "done", "DELETION_SCHEDULED", true],
      ])
      expect(rows[1]?.hint).to.include("move those aliases")
      expect([exitOf(rows), summarise(rows)]).to.deep.equal([
        "DATAERR",
        { keys: 3, done: 2, nothing: 0, planned: 0, blocked: 1, failed: 0 },
      ])
      const retired = async () => (await entryOf("thrice")).former.map(({ retiredAt }) => retiredAt !== null)
      expect(await retired()).to.deep.equal([true, false, true])
      await world.sdk.deleteAlias({ AliasName: "alias/still-used" })
      await retire("thrice")
      expect(await retired()).to.deep.equal([true, true, true])
    })

    it("refuses a key that an alias still names", async () => {
      const old = await make("named", HMAC)
      await replace("named")
      await world.sdk.createAlias({ AliasName: "alias/still", TargetKeyId: old.keyArn })
      await expectCode("ERR_KEY_IN_USE", () => retire("named"))
      expect((await metadata(old.keyArn)).KeyState).to.equal("Enabled")
    })
  })
})
