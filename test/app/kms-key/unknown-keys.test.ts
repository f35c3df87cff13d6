import { expect } from "chai"
import { provision } from "#src/app/provision/provision.js"
import { refuseUnknownKey, unknownKey, unknownKeys } from "#src/app/kms-key/unknown-keys.js"
import { expectCode } from "#test/support/expect-code.js"
import { createKey } from "../../support/local-kms-fixture.js"
import { HMAC, openWorld, requestFor, type World, worldEnvironment } from "../../support/world.js"

describe("KMS keys with an owner's tags that the state does not know", () => {
  worldEnvironment()
  let world: World
  before(async () => {
    world = await openWorld()
  })
  beforeEach(() => world.reset())
  after(() => world[Symbol.asyncDispose]())

  const tagged = async (owner: string, name: string): Promise<string> => {
    const KeyId = await createKey(world.sdk, "HMAC_256")
    const tags = { "keyferry:owner": owner, "keyferry:name": name }
    const Tags = Object.entries(tags).map(([TagKey, TagValue]) => ({ TagKey, TagValue }))
    await world.sdk.tagResource({ KeyId, Tags })
    return KeyId
  }

  it("are those of the owner alone, without those that are known or about to be deleted", async () => {
    const { deps } = await world.run()
    await provision(deps, requestFor("uk-known", HMAC))
    const lost = [await tagged("keyferry", "lost"), await tagged("keyferry", "lost")]
    await tagged("another", "lost")
    await createKey(world.sdk, "HMAC_256")
    const dying = await tagged("keyferry", "dying")
    await world.sdk.scheduleKeyDeletion({ KeyId: dying, PendingWindowInDays: 7 })
    const { deps: later } = await world.run()
    const byName = await unknownKeys(later, "keyferry")
    expect([...byName.keys()]).to.deep.equal(["lost"])
    expect(byName.get("lost")?.map(({ keyArn }) => keyArn)).to.have.members(lost)
    expect((await unknownKey(later, { owner: "keyferry", name: "lost" }, [lost[0] ?? ""]))?.keyArn).to.equal(lost[1])
    expect(await unknownKey(later, { owner: "keyferry", name: "lost" }, lost)).to.equal(undefined)
  })

  it("are asked for once a run, and of a key that is known nothing is asked", async () => {
    const { deps } = await world.run()
    const { keyArn } = await provision(deps, requestFor("uk-asked", HMAC))
    await tagged("keyferry", "lost")
    const { deps: later } = await world.run()
    await world.kms.clearCounts()
    for (const name of ["lost", "a", "b"]) await unknownKey(later, { owner: "keyferry", name })
    expect((await world.kms.counts()).requests).to.deep.equal({ ListKeys: 1, DescribeKey: 1, ListResourceTags: 1 })
    expect(keyArn).to.not.equal("")
  })

  it("stop what would make the name again", async () => {
    const keyArn = await tagged("keyferry", "lost")
    const { deps } = await world.run()
    const error = await expectCode("ERR_STATE_INCOMPLETE", () =>
      refuseUnknownKey(deps, { owner: "keyferry", name: "lost" }),
    )
    expect([error.key, error.message]).to.satisfy(
      ([key, text]: [string, string]) => key === "lost" && text.includes(keyArn),
    )
    await refuseUnknownKey(deps, { owner: "keyferry", name: "lost" }, [keyArn])
    await refuseUnknownKey(deps, { owner: "keyferry", name: "other" })
    await refuseUnknownKey(deps, { owner: "another", name: "lost" })
  })

  it("that may not be looked at are counted and told, and are no failure; that none may be listed is one", async () => {
    await tagged("keyferry", "hidden")
    const run = await world.run()
    await world.kms.fault({ kind: "access-denied", operation: "ListResourceTags" })
    expect((await unknownKeys(run.deps, "keyferry")).size).to.equal(0)
    expect(run.warnings.join()).to.match(
      /^1 KMS key in us-east-1 may not be looked at: .* owner keyferry is not known$/,
    )
    await world.kms.fault({ kind: "access-denied", operation: "ListKeys" })
    const { deps } = await world.run()
    await expectCode("ERR_KMS_ACCESS_DENIED", () => unknownKeys(deps, "keyferry"))
  })
})
