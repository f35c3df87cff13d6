import { expect } from "chai"
import { moveAlias, pointAlias, refuseTakenAlias } from "#src/app/kms-key/alias.js"
import type { Kms } from "#src/core/ports/kms.js"
import { expectCode } from "#test/support/expect-code.js"
import { createKey } from "../../support/local-kms-fixture.js"
import { openWorld, type World, worldEnvironment } from "../../support/world.js"

const ALIAS = "alias/ours"
const WANTED = { alias: ALIAS, owner: "keyferry", name: "payments" }

describe("the alias of a KMS key", () => {
  worldEnvironment()
  let world: World
  let kms: Kms
  let [ours, theirs, third] = ["", "", ""]
  before(async () => {
    world = await openWorld()
  })
  beforeEach(async () => {
    await world.reset()
    kms = (await world.run()).deps.kms
    ;[ours, theirs, third] = [await createKey(world.sdk), await createKey(world.sdk), await createKey(world.sdk)]
  })
  after(() => world[Symbol.asyncDispose]())

  const holder = async (): Promise<string | undefined> =>
    (await world.sdk.describeKey({ KeyId: ALIAS })).KeyMetadata?.Arn

  it("is given once, and not where another KMS key has it", async () => {
    expect(await pointAlias(kms, WANTED, ours)).to.equal(true)
    expect(await pointAlias(kms, WANTED, ours)).to.equal(false)
    expect(await world.requests("CreateAlias")).to.equal(1)
    const error = await expectCode("ERR_KMS_ALIAS_TAKEN", () => pointAlias(kms, WANTED, theirs))
    expect(error.message).to.include(ALIAS)
    expect(await holder()).to.equal(ours)
  })

  it("was given where the answer is lost and it is seen to be there, and was not where it is not", async () => {
    await world.kms.fault({ kind: "drop-after", operation: "CreateAlias" })
    expect(await pointAlias(kms, WANTED, ours)).to.equal(true)
    expect(await holder()).to.equal(ours)
    await world.kms.fault({ kind: "drop-before", operation: "CreateAlias", count: 9 })
    const error = await expectCode("ERR_KMS_OUTCOME_UNKNOWN", () =>
      pointAlias(kms, { ...WANTED, alias: "alias/other" }, ours),
    )
    expect(error.message).to.include("alias/other")
  })

  it("is refused before anything is made where it names a key that is none of ours", async () => {
    await refuseTakenAlias(kms, WANTED)
    await pointAlias(kms, WANTED, ours)
    await refuseTakenAlias(kms, WANTED, theirs, ours)
    const error = await expectCode("ERR_KMS_ALIAS_TAKEN", () => refuseTakenAlias(kms, WANTED, theirs, null, undefined))
    expect(error.key).to.equal(ours)
  })

  it("is not said to be somebody else's where the key that has it is tagged as ours: the state is incomplete", async () => {
    await pointAlias(kms, WANTED, third)
    const Tags = Object.entries({ "keyferry:owner": "keyferry", "keyferry:name": "payments" })
    await world.sdk.tagResource({ KeyId: third, Tags: Tags.map(([TagKey, TagValue]) => ({ TagKey, TagValue })) })
    const attempts = [
      () => refuseTakenAlias(kms, WANTED, ours),
      () => pointAlias(kms, WANTED, ours),
      () => moveAlias(kms, WANTED, { from: ours, to: theirs }),
    ]
    for (const attempt of attempts) {
      const error = await expectCode("ERR_STATE_INCOMPLETE", attempt)
      expect(error.message).to.include(third)
      expect(error.hint).to.include("state merge").and.to.include("status --rebuild")
    }
    for (const other of [{ name: "payroll" }, { owner: "somebody" }]) {
      await expectCode("ERR_KMS_ALIAS_TAKEN", () => refuseTakenAlias(kms, { ...WANTED, ...other }, ours))
    }
    await world.kms.fault({ kind: "access-denied", operation: "ListResourceTags" })
    await expectCode("ERR_KMS_ALIAS_TAKEN", () => refuseTakenAlias(kms, WANTED, ours))
  })

  it("is moved from the key that it is to leave, and from no third one", async () => {
    const move = { from: ours, to: theirs }
    await pointAlias(kms, WANTED, ours)
    expect(await moveAlias(kms, WANTED, move)).to.equal(true)
    expect(await holder()).to.equal(theirs)
    expect(await moveAlias(kms, WANTED, move)).to.equal(false)
    await expectCode("ERR_KMS_ALIAS_TAKEN", () => moveAlias(kms, WANTED, { from: ours, to: third }))
    expect(await holder()).to.equal(theirs)
    expect(await world.requests("UpdateAlias")).to.equal(1)
  })

  it("was moved where the answer is lost and it is seen to be, and its failure is told where not", async () => {
    await pointAlias(kms, WANTED, ours)
    await world.kms.fault({ kind: "drop-before", operation: "UpdateAlias", count: 9 })
    const error = await expectCode("ERR_KMS_UNREACHABLE", () => moveAlias(kms, WANTED, { from: ours, to: theirs }))
    expect(error.message).to.not.equal("")
    expect(await holder()).to.equal(ours)
    await world.kms.clearFaults()
    await world.kms.fault({ kind: "drop-after", operation: "UpdateAlias" })
    expect(await moveAlias(kms, WANTED, { from: ours, to: theirs })).to.equal(true)
    expect(await holder()).to.equal(theirs)
  })
})
