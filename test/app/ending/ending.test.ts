import { expect } from "chai"
import { carryOutEnding } from "#src/app/ending/carry-out.js"
import { type EndDeps, type EndPlan, type EndRequest, planEnding } from "#src/app/ending/plan.js"
import { planRetirement, retireKeys } from "#src/app/ending/retire.js"
import { AS_BEFORE } from "#src/app/import/terms.js"
import { provision } from "#src/app/provision/provision.js"
import { replaceKey } from "#src/app/replace/replace.js"
import { rotateKey } from "#src/app/rotate/rotate.js"
import type { Ending } from "#src/core/records/ending.js"
import type { InventoryEntry } from "#src/core/records/inventory.js"
import { custodyEvents } from "#test/support/custody-events.js"
import { expectCode } from "#test/support/expect-code.js"
import { kmsClient } from "#test/support/local-kms.js"
import { HMAC, openWorld, overriding, requestFor, type Run, type World, worldEnvironment } from "../../support/world.js"

const HERE = "us-east-1"
const AWAY = "eu-west-3"

/** What the flags say where nothing is said. */
const IDLE = { idleFor: 30 * 86_400, althoughUsed: false }

describe("the end of a KMS key", () => {
  worldEnvironment()
  let world: World
  let run: Run
  before(async () => {
    world = await openWorld([HERE, AWAY])
  })
  beforeEach(async () => {
    await world.reset()
    await world.kms.rotationSeconds(0)
    run = await world.run()
  })
  after(() => world[Symbol.asyncDispose]())

  const entryOf = async (name: string): Promise<InventoryEntry> =>
    (await run.deps.inventory.get(name, HERE)) ?? expect.fail(`no entry of ${name}`)
  const asked = (ending: Ending, more: Partial<EndRequest> = {}): EndRequest => ({
    ...{ ending, generation: null, pendingWindowDays: 7, idle: null },
    ...more,
  })
  const plan = async (name: string, ending: Ending, more: Partial<EndRequest> = {}): Promise<EndPlan> =>
    planEnding(run.deps, await entryOf(name), asked(ending, more))
  const carryOut = async (planned: EndPlan, deps: EndDeps = run.deps, loseLastCopy = false) =>
    (await carryOutEnding(deps, planned, { loseLastCopy })).map(
      ({ region, outcome, reason, keyState }) => `${region} ${outcome} ${reason} ${keyState}`,
    )
  const eventsAfter = (count: number): readonly unknown[] =>
    custodyEvents(run.stateDir)
      .slice(count)
      .map(({ event, facts }) => [event, facts?.["region"]])
  const stateOf = async (KeyId: string): Promise<string | undefined> =>
    (await world.sdk.describeKey({ KeyId })).KeyMetadata?.KeyState

  it("is planned without a change, and what is done already is nothing to do", async () => {
    const { keyArn } = await provision(run.deps, requestFor("e-twice", { ...HMAC, alias: "alias/e-twice" }))
    const planned = await plan("e-twice", "disable")
    expect(planned.steps).to.deep.equal([
      { keyArn, region: HERE, keyState: "Enabled", aliases: ["alias/e-twice"], materials: [], todo: true },
    ])
    expect(planned).to.include({ lastCopy: null })
    expect(planned.consequences).to.not.deep.equal([])
    expect(await stateOf(keyArn)).to.equal("Enabled")
    const before = custodyEvents(run.stateDir).length
    expect(await carryOut(planned)).to.deep.equal([`${HERE} done DISABLED Disabled`])
    expect(eventsAfter(before)).to.deep.equal([
      ["kms-key.ending", HERE],
      ["kms-key.disabled", HERE],
    ])
    const again = await plan("e-twice", "disable")
    expect(again).to.deep.include({ consequences: [], lastCopy: null })
    expect(again.steps[0]).to.include({ todo: false })
    expect(await carryOut(again)).to.deep.equal([`${HERE} nothing ALREADY Disabled`])
    expect(eventsAfter(before)).to.have.length(2)
    expect(await carryOut(await plan("e-twice", "enable"))).to.deep.equal([`${HERE} done ENABLED Enabled`])
  })

  it("writes down that material is withheld before it is deleted, so that no run brings it back", async () => {
    const { keyArn } = await provision(run.deps, requestFor("e-withheld", HMAC))
    const planned = await plan("e-withheld", "delete-material")
    await world.kms.fault({ kind: "access-denied", operation: "DeleteImportedKeyMaterial" })
    const before = custodyEvents(run.stateDir).length
    await expectCode("ERR_KMS_ACCESS_DENIED", () => carryOut(planned))
    expect(eventsAfter(before)).to.deep.equal([
      ["kms-key.ending", HERE],
      ["kms-key.ending-failed", HERE],
    ])
    const entry = await entryOf("e-withheld")
    expect(entry.withheldAt).to.be.a("string")
    expect(entry.imports.map(({ deletedAt }) => deletedAt)).to.deep.equal([entry.withheldAt])
    expect(await stateOf(keyArn)).to.equal("Enabled")
    expect(await carryOut(await plan("e-withheld", "delete-material"))).to.deep.equal([
      `${HERE} done MATERIAL_DELETED PendingImport`,
    ])
    expect((await plan("e-withheld", "delete-material")).steps[0]).to.deep.include({ todo: false, materials: [] })
  })

  it("withholds a key before its deletion is scheduled, too", async () => {
    const { keyArn } = await provision(run.deps, requestFor("e-scheduled", HMAC))
    expect((await entryOf("e-scheduled")).withheldAt).to.equal(null)
    await world.kms.fault({ kind: "drop-after", operation: "ScheduleKeyDeletion" })
    const rows = await carryOut(await plan("e-scheduled", "schedule-deletion"))
    expect(rows).to.deep.equal([`${HERE} done DELETION_SCHEDULED PendingDeletion`])
    expect(await world.requests("ScheduleKeyDeletion"), "its answer was lost, it was not").to.equal(1)
    const entry = await entryOf("e-scheduled")
    expect(entry.withheldAt).to.be.a("string")
    expect(entry.imports[0]?.deletedAt ?? null).to.equal(null)
    expect(await stateOf(keyArn)).to.equal("PendingDeletion")
    await expectCode("ERR_KMS_KEY_STATE", () => plan("e-scheduled", "enable"))
  })

  it("deletes one generation alone where one is named, and refuses one that is not there", async () => {
    const { keyArn } = await provision(run.deps, requestFor("e-generation"))
    const { keyMaterialId } = await rotateKey(run.deps, await entryOf("e-generation"), AS_BEFORE)
    const planned = await plan("e-generation", "delete-material", { generation: 1 })
    expect(planned.steps[0]?.materials).to.deep.equal([keyMaterialId])
    expect((await plan("e-generation", "delete-material")).steps[0]?.materials).to.have.length(2)
    await carryOut(planned)
    const { Rotations = [] } = await world.sdk.listKeyRotations({
      ...{ KeyId: keyArn, IncludeKeyMaterial: "ALL_KEY_MATERIAL" },
    })
    const imported = Rotations.filter(({ ImportState }) => ImportState === "IMPORTED")
    expect(imported.map(({ KeyMaterialId }) => KeyMaterialId)).to.not.include(keyMaterialId)
    expect(imported).to.have.length(1)
    const deleted = (await entryOf("e-generation")).imports.filter(({ deletedAt }) => deletedAt != null)
    expect(deleted.map(({ generation }) => generation)).to.deep.equal([1])
    const error = await expectCode("ERR_KEY_NOT_FOUND", () => plan("e-generation", "disable", { generation: 2 }))
    expect(error.hint).to.equal("it has 0 to 1")
  })

  describe("of a key that somebody uses", () => {
    const use = (KeyId: string) => world.sdk.encrypt({ KeyId, Plaintext: Buffer.from("x") })

    it("is refused with when it was used and for what, until told twice or until it was idle for so long", async () => {
      const { keyArn } = await provision(run.deps, requestFor("u-lately"))
      expect((await plan("u-lately", "delete-material", { idle: IDLE })).consequences.at(-1)).to.match(
        /not used since .+, when KMS began to look$/,
      )
      await use(keyArn)
      for (const ending of ["delete-material", "schedule-deletion"] as const) {
        const error = await expectCode("ERR_KEY_USED", () => plan("u-lately", ending, { idle: IDLE }))
        expect(error.message).to.match(/was last used on \S+Z by Encrypt, less than 30d ago$/)
      }
      const twice = await plan("u-lately", "delete-material", { idle: { ...IDLE, althoughUsed: true } })
      expect(twice.consequences.at(-1)).to.match(/last used on .+ by Encrypt$/)
      const shorter = { ...IDLE, idleFor: 0 }
      expect((await plan("u-lately", "delete-material", { idle: shorter })).steps[0]?.todo).to.equal(true)
      await run.deps.sleep(31 * 86_400_000)
      expect((await plan("u-lately", "delete-material", { idle: IDLE })).steps[0]?.usage?.last?.operation).to.equal(
        "Encrypt",
      )
    })

    it("in another Region alone is refused as a whole", async () => {
      const { keyArn } = await provision(run.deps, requestFor("u-away", { multiRegion: true, replicas: [AWAY] }))
      const away = kmsClient(world.kms, AWAY)
      await away.encrypt({ KeyId: keyArn.replace(HERE, AWAY), Plaintext: Buffer.from("x") })
      away.destroy()
      const error = await expectCode("ERR_KEY_USED", () => plan("u-away", "schedule-deletion", { idle: IDLE }))
      expect(error.message).to.include(AWAY)
    })

    it("keyferry's own proof of an HMAC key is no use, another's is", async () => {
      const { keyArn } = await provision(run.deps, requestFor("u-mac", HMAC))
      const planned = await plan("u-mac", "schedule-deletion", { idle: IDLE })
      expect(planned.steps[0]?.usage?.last?.operation).to.equal("VerifyMac")
      expect(planned.consequences.at(-1)).to.include("keyferry's own proof, and what came before it KMS does not tell")
      await world.sdk.generateMac({ KeyId: keyArn, Message: Buffer.from("x"), MacAlgorithm: "HMAC_SHA_256" })
      await expectCode("ERR_KEY_USED", () => plan("u-mac", "schedule-deletion", { idle: IDLE }))
    })

    it("disabling asks nobody", async () => {
      const { keyArn } = await provision(run.deps, requestFor("u-disabled"))
      await use(keyArn)
      expect(await carryOut(await plan("u-disabled", "disable"))).to.deep.equal([`${HERE} done DISABLED Disabled`])
      expect(await world.requests("GetKeyLastUsage")).to.equal(0)
    })

    it("a KMS that does not know the question is said not to tell, and one that forbids it is no answer", async () => {
      await provision(run.deps, requestFor("u-old"))
      await world.kms.fault({ kind: "error", operation: "GetKeyLastUsage", name: "UnknownOperationException" })
      const planned = await plan("u-old", "schedule-deletion", { idle: IDLE })
      expect(planned.consequences.at(-1)).to.include("is not known: this KMS does not tell")
      await world.kms.fault({ kind: "access-denied", operation: "GetKeyLastUsage", count: 2 })
      await expectCode("ERR_KMS_ACCESS_DENIED", () => plan("u-old", "schedule-deletion", { idle: IDLE }))
      const twice = { ...IDLE, althoughUsed: true }
      const forbidden = await plan("u-old", "schedule-deletion", { idle: twice })
      expect(forbidden.steps[0]).to.include({ usage: null })
      expect(forbidden.consequences.at(-1)).to.match(/last used is not known: .*(?:allow|GetKeyLastUsage)/)
      await world.kms.fault({ kind: "error", operation: "GetKeyLastUsage", name: "NotFoundException", count: 2 })
      await expectCode("ERR_KMS_KEY_NOT_FOUND", () => plan("u-old", "schedule-deletion", { idle: IDLE }))
      const odd = await plan("u-old", "schedule-deletion", { idle: twice })
      expect(odd.consequences.at(-1)).to.include("last used is not known")
    })
  })

  it("leaves material alone while KMS rotates", async () => {
    await provision(run.deps, requestFor("e-rotating"))
    await rotateKey(run.deps, await entryOf("e-rotating"), AS_BEFORE)
    const rotates = overriding(run.deps.kms, {
      keyRotationStatus: () => Promise.resolve({ onDemandRotationStartDate: new Date() } as never),
    })
    const deps = run.with({ kmsIn: () => Promise.resolve(rotates) })
    const entry = await entryOf("e-rotating")
    const error = await expectCode("ERR_KMS_KEY_STATE", () => planEnding(deps, entry, asked("delete-material")))
    expect(error.message).to.include("a rotation of")
  })

  it("is refused where it would lose the last copy, whatever the reason, with nothing asked of KMS", async () => {
    const { keyArn, sourceKey } = await provision(run.deps, requestFor("e-last", HMAC))
    const noToken = await planEnding({ ...run.deps, token: null }, await entryOf("e-last"), asked("delete-material"))
    expect(noToken.lastCopy).to.match(/no token is given/)
    const [key] = await run.inToken.findSourceKeys({ id: sourceKey.id })
    await run.inToken.destroySourceKey(key!)
    const planned = await plan("e-last", "delete-material")
    expect(planned.lastCopy).to.match(/is gone$/)
    for (const last of [noToken, planned]) {
      const error = await expectCode("ERR_LAST_COPY", () => carryOut(last))
      expect(error.key).to.equal("e-last")
    }
    expect(await world.requests("DeleteImportedKeyMaterial")).to.equal(0)
    expect((await entryOf("e-last")).withheldAt).to.equal(null)
    // what takes nothing away needs no copy
    expect((await plan("e-last", "disable")).lastCopy).to.equal(null)
    expect(await carryOut(planned, run.deps, true)).to.deep.equal([`${HERE} done MATERIAL_DELETED PendingImport`])
    expect(await stateOf(keyArn)).to.equal("PendingImport")
  })

  it("goes on to the other Regions where one fails, replicas before the primary", async () => {
    await provision(run.deps, requestFor("e-regions", { ...HMAC, multiRegion: true, replicas: [AWAY] }))
    const planned = await plan("e-regions", "disable")
    expect(planned.steps.map(({ region }) => region)).to.deep.equal([AWAY, HERE])
    await world.kms.fault({ kind: "access-denied", operation: "DisableKey", region: AWAY })
    expect(await carryOut(planned)).to.deep.equal([
      `${AWAY} failed ERR_KMS_ACCESS_DENIED null`,
      `${HERE} done DISABLED Disabled`,
    ])
    await world.kms.fault({ kind: "access-denied", operation: "DescribeKey", region: AWAY })
    const half = await plan("e-regions", "enable")
    expect(half.refused.map(({ region, error }) => `${region} ${error.code}`)).to.deep.equal([
      `${AWAY} ERR_KMS_ACCESS_DENIED`,
    ])
    expect(await carryOut(half)).to.deep.equal([
      `${HERE} done ENABLED Enabled`,
      `${AWAY} blocked ERR_KMS_ACCESS_DENIED null`,
    ])
  })

  describe("that was replaced", () => {
    const retire = async (name: string, disableOnly: boolean) => {
      const retirements = await planRetirement(run.deps, await entryOf(name), {
        disableOnly,
        pendingWindowDays: 7,
        idle: IDLE,
      })
      return (await retireKeys(run.deps, retirements, { disableOnly })).map(
        ({ outcome, reason, keyState }) => `${outcome} ${reason} ${keyState}`,
      )
    }

    it("is disabled, then scheduled for deletion, and then retired once and for all", async () => {
      const { keyArn } = await provision(run.deps, requestFor("e-retired", { ...HMAC, alias: "alias/e-retired" }))
      const now = await replaceKey(run.deps, await entryOf("e-retired"), AS_BEFORE)
      expect(await retire("e-retired", true)).to.deep.equal(["done DISABLED Disabled"])
      expect((await entryOf("e-retired")).former.map(({ retiredAt }) => retiredAt)).to.deep.equal([null])
      const before = custodyEvents(run.stateDir).length
      expect(await retire("e-retired", false)).to.deep.equal(["done DELETION_SCHEDULED PendingDeletion"])
      expect(eventsAfter(before)).to.deep.equal([
        ["kms-key.ending", HERE],
        ["kms-key.deletion-scheduled", HERE],
        ["key.retired", undefined],
      ])
      const entry = await entryOf("e-retired")
      expect(entry.former[0]?.retiredAt).to.be.a("string")
      expect(entry.withheldAt, "the one in use stays").to.equal(null)
      expect([await stateOf(keyArn), await stateOf(now.keyArn)]).to.deep.equal(["PendingDeletion", "Enabled"])
      expect(await retire("e-retired", false)).to.deep.equal([])
    })

    it("is refused while an alias names it, with nothing changed", async () => {
      const { keyArn } = await provision(run.deps, requestFor("e-used", HMAC))
      await replaceKey(run.deps, await entryOf("e-used"), AS_BEFORE)
      await world.sdk.createAlias({ AliasName: "alias/e-still", TargetKeyId: keyArn })
      const error = await expectCode("ERR_KEY_IN_USE", () => retire("e-used", false))
      expect(error.message).to.include("alias/e-still")
      expect(await stateOf(keyArn)).to.equal("Enabled")
    })

    it("that failed is not taken for retired", async () => {
      await provision(run.deps, requestFor("e-failed", HMAC))
      await replaceKey(run.deps, await entryOf("e-failed"), AS_BEFORE)
      await world.kms.fault({ kind: "access-denied", operation: "ScheduleKeyDeletion" })
      await expectCode("ERR_KMS_ACCESS_DENIED", () => retire("e-failed", false))
      expect((await entryOf("e-failed")).former[0]).to.include({ retiredAt: null })
      expect(await retire("e-failed", false)).to.deep.equal(["done DELETION_SCHEDULED PendingDeletion"])
    })
  })
})
