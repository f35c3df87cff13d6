import { expect } from "chai"
import { findKey } from "#src/app/kms-key/entry.js"
import { learnKmsTime } from "#src/app/kms-key/kms-time.js"
import { dressOf } from "#src/app/kms-key/settings.js"
import { fileTexts } from "#src/store/files/file-texts.js"
import { storedInventory } from "#src/store/records/inventory.js"
import { expectCode } from "#test/support/expect-code.js"
import { inventoryEntry } from "#test/support/inventory-entry.js"
import { temporaryFolder } from "#test/support/temp-dir.js"
import { createKey } from "../../support/local-kms-fixture.js"
import { openWorld, type World, worldEnvironment } from "../../support/world.js"

describe("the entry of a name", () => {
  worldEnvironment()
  const folder = temporaryFolder()
  let world: World
  before(async () => {
    world = await openWorld()
  })
  after(() => world[Symbol.asyncDispose]())
  const find = async (name: string, target: string | null, owner = "keyferry") =>
    await findKey(
      { ...(await world.run()).deps, inventory: storedInventory(fileTexts(folder())) },
      { owner, name, target },
    )

  it("is the owner's, in the target that is named, or in the only one", async () => {
    const inventory = storedInventory(fileTexts(folder()))
    await inventory.put(inventoryEntry("one"))
    await inventory.put(inventoryEntry("two"))
    await inventory.put(inventoryEntry("two", { target: "away" }))
    await inventory.put(inventoryEntry("two", { target: "foreign", owner: "another" }))
    expect(await find("one", null)).to.include({ name: "one", target: "default" })
    expect(await find("two", "away")).to.include({ name: "two", target: "away" })
    expect(await find("two", null, "another")).to.include({ target: "foreign" })
    const several = await expectCode("ERR_KEY_AMBIGUOUS", () => find("two", null))
    expect(several.hint).to.equal("name one with --target: away, default")
    for (const [name, target, owner, hint] of [
      ["one", "away", "keyferry", /^it is in default$/],
      ["two", "foreign", "keyferry", /^it is in away, default$/],
      ["none", null, "keyferry", /keyferry status/],
      ["one", "default", "another", /keyferry status/],
    ] as const) {
      const error = await expectCode("ERR_KEY_NOT_FOUND", () => find(name, target, owner))
      expect([error.key, error.hint]).to.satisfy(([key, text]: [string, string]) => key === name && hint.test(text))
    }
  })

  it("is looked for in KMS before it is said to be none: an owner's key that the state does not know", async () => {
    const tags = { "keyferry:owner": "keyferry", "keyferry:name": "lost" }
    const Tags = Object.entries(tags).map(([TagKey, TagValue]) => ({ TagKey, TagValue }))
    const { KeyMetadata } = await world.sdk.createKey({ Origin: "EXTERNAL", Tags })
    const error = await expectCode("ERR_STATE_INCOMPLETE", () => find("lost", null))
    expect([error.key, error.message.includes(KeyMetadata?.Arn ?? "-")]).to.deep.equal(["lost", true])
    await expectCode("ERR_KEY_NOT_FOUND", () => find("lost", null, "another"))
  })
})

describe("what KMS is asked of a key before it is worked on", () => {
  worldEnvironment()
  let world: World
  let keyArn: string
  before(async () => {
    world = await openWorld()
  })
  beforeEach(async () => {
    await world.reset()
    keyArn = await createKey(world.sdk)
    await world.kms.clearCounts()
  })
  after(() => world[Symbol.asyncDispose]())

  it("is the time, once, by the key where one is known, and by a refusal as well", async () => {
    const { deps } = await world.run()
    await learnKmsTime(deps, keyArn)
    await learnKmsTime(deps, keyArn)
    expect((await world.kms.counts()).requests).to.deep.equal({ DescribeKey: 1 })
    await learnKmsTime((await world.run()).deps, null)
    expect(await world.requests("ListKeys")).to.equal(1)
    await world.kms.fault({ kind: "access-denied", operation: "ListKeys" })
    const refused = (await world.run()).deps
    await learnKmsTime(refused)
    expect(refused.clock.kmsOffsetMs()).to.not.equal(null)
  })

  it("is what others use of it: description, their own tags, and its policy where that may be read", async () => {
    const run = await world.run()
    const { kms } = run.deps
    const tags = { team: "pay", "keyferry:owner": "keyferry" }
    const Tags = Object.entries(tags).map(([TagKey, TagValue]) => ({ TagKey, TagValue }))
    await world.sdk.tagResource({ KeyId: keyArn, Tags })
    const plain = await dressOf(run.deps, kms, await kms.describeKey(keyArn))
    expect(plain).to.deep.include({ description: null, tags: { team: "pay" } })
    expect(JSON.parse(plain.policy ?? "")).to.have.property("Statement")
    await world.sdk.updateKeyDescription({ KeyId: keyArn, Description: "words" })
    await world.kms.fault({ kind: "access-denied", operation: "GetKeyPolicy" })
    const hidden = await dressOf(run.deps, kms, await kms.describeKey(keyArn))
    expect(hidden).to.deep.equal({ description: "words", tags: { team: "pay" }, policy: null })
    expect(run.warnings.join()).to.match(/the policy of arn:.* may not be read/)
    await world.kms.fault({ kind: "internal", operation: "GetKeyPolicy", count: 99 })
    const description = await kms.describeKey(keyArn)
    let failed = false
    await dressOf(run.deps, kms, description).catch(() => (failed = true))
    expect(failed, "another failure is one").to.equal(true)
  })
})
