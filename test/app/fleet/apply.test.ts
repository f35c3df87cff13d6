import { expect } from "chai"
import { DEFAULT_SETTINGS } from "#src/core/manifest/key-settings.js"
import { fleetKeys } from "#src/app/fleet/fleet.js"
import { survey } from "#src/app/fleet/survey.js"
import { status } from "#src/app/fleet/status.js"
import { provision } from "#src/app/provision/provision.js"
import type { Binding } from "#src/core/manifest/binding.js"
import { bindingOf } from "#src/core/records/recorded-binding.js"
import { KeyferryError } from "#src/core/base/error.js"
import { createKey } from "../../support/local-kms-fixture.js"
import { APPLY, fleetOf, passDays, runOver } from "../../support/fleet-world.js"
import { EC, HMAC, openWorld, overriding, requestFor, type World, worldEnvironment } from "../../support/world.js"

describe("apply and status", () => {
  worldEnvironment()
  let world: World
  before(async () => {
    world = await openWorld(["us-east-1", "eu-west-3"])
  })
  beforeEach(() => world.reset())
  after(() => world[Symbol.asyncDispose]())

  const binding = (name: string, more: Partial<Binding> = {}): Binding => ({
    ...DEFAULT_SETTINGS,
    owner: "keyferry",
    name,
    target: "us-east-1",
    token: null,
    keySpec: "SYMMETRIC_DEFAULT",
    keyUsage: "ENCRYPT_DECRYPT",
    alias: `alias/${name}`,
    custody: "token",
    wrappingKeySpec: "RSA_2048",
    renewBefore: { kind: "duration", seconds: 30 * 86_400 },
    description: `the key ${name}`,
    tags: { cost: "7" },
    managed: true,
    ...more,
  })
  const apply = async (bindings: readonly Binding[]) => runOver(await fleetOf(await world.run(), { bindings }), APPLY)
  const look = async (bindings: readonly Binding[]) => {
    const fleet = await fleetOf(await world.run(), { bindings })
    return await survey(fleet, await fleetKeys(fleet), { depth: APPLY.depth, actions: APPLY.actions })
  }

  it("makes what is missing, and does nothing the second time", async () => {
    const bindings = [binding("a-aes"), binding("a-mac", HMAC), binding("a-ec", { ...EC, expiresIn: "never" })]
    const planned = await look(bindings)
    expect(planned.keys.map(({ row }) => [row.outcome, row.action])).to.deep.equal(
      Array.from({ length: 3 }, () => ["planned", "provision"]),
    )
    expect((await world.kms.counts()).requests).to.not.have.any.keys("CreateKey", "GetParametersForImport")
    const first = await apply(bindings)
    expect(first.all.map(({ outcome, did }) => [outcome, did])).to.deep.equal(
      Array.from({ length: 3 }, () => ["done", ["provision"]]),
    )
    await world.kms.clearCounts()
    const second = await apply(bindings)
    expect(second.all.map(({ outcome }) => outcome)).to.deep.equal(["nothing", "nothing", "nothing"])
    const { requests } = await world.kms.counts()
    expect(Object.keys(requests).sort()).to.deep.equal(["DescribeKey", "ListAliases", "ListResourceTags"])
    expect((await look(bindings)).keys.every(({ row }) => row.outcome === "nothing")).to.equal(true)
  })

  it("sets right what drifted, and takes no alias that is another key's", async () => {
    const bindings = [binding("a-drift", HMAC), binding("a-taken", HMAC)]
    const { rows } = await apply(bindings)
    const KeyId = rows["a-drift"]!.keyArn!
    await world.sdk.updateKeyDescription({ KeyId, Description: "somebody's" })
    await world.sdk.untagResource({ KeyId, TagKeys: ["cost", "keyferry:name"] })
    await world.sdk.deleteAlias({ AliasName: "alias/a-drift" })
    const other = await createKey(world.sdk, "HMAC_256")
    await world.sdk.updateAlias({ AliasName: "alias/a-taken", TargetKeyId: other })

    const corrected = await apply(bindings)
    expect(corrected.rows["a-drift"]).to.deep.include({ outcome: "done", did: ["correct"] })
    expect(corrected.rows["a-taken"]).to.include({ outcome: "blocked", reason: "ALIAS_TAKEN" })
    const key = (await world.sdk.describeKey({ KeyId: "alias/a-drift" })).KeyMetadata!
    expect([key.Arn, key.Description]).to.deep.equal([KeyId, "the key a-drift"])
    const { Tags = [] } = await world.sdk.listResourceTags({ KeyId })
    expect(Tags).to.deep.include.members([
      { TagKey: "cost", TagValue: "7" },
      { TagKey: "keyferry:name", TagValue: "a-drift" },
    ])
    expect((await world.sdk.describeKey({ KeyId: "alias/a-taken" })).KeyMetadata!.Arn).to.equal(other)
    expect((await apply([bindings[0]!])).rows["a-drift"]?.outcome).to.equal("nothing")
  })

  it("makes keys with the policy and the attribute that the binding names, where the token holds to that", async () => {
    const keyPolicy = JSON.stringify({ Version: "2012-10-17", Id: "manifest", Statement: [] })
    const { rows } = await apply([binding("a-policy", { ...HMAC, keyPolicy })])
    expect(rows["a-policy"]).to.deep.include({ outcome: "done", did: ["provision"] })
    const { Policy } = await world.sdk.getKeyPolicy({ KeyId: rows["a-policy"]!.keyArn! })
    expect(Policy).to.include('"manifest"')

    const bindings = [binding("a-trusted", { ...HMAC, wrapWithTrusted: true })]
    const run = await world.run()
    const { facts, ...verdicts } = await run.deps.token.probeCustody()
    const lax = overriding(run.deps.token, {
      probeCustody: () => Promise.resolve({ ...verdicts, facts: { ...facts, wrapWithTrustedEnforced: false } }),
    })
    await world.kms.clearCounts()
    const laxly = await fleetOf({ ...run, deps: { ...run.deps, token: lax } }, { bindings })
    const refused = await runOver(laxly, APPLY)
    expect(refused.rows["a-trusted"]).to.include({ outcome: "failed", reason: "ERR_CUSTODY_REFUSED" })
    expect(await world.requests("CreateKey")).to.equal(0)
    // nobody marked KMS' wrapping key trusted, so that the token does not let the key go
    expect((await apply(bindings)).rows["a-trusted"]?.outcome).to.equal("failed")
    const [key] = await run.deps.token.findSourceKeys({ label: "keyferry/keyferry/a-trusted/0" })
    expect(key?.attributes.wrapWithTrusted).to.equal(true)
    expect(await world.requests("ImportKeyMaterial")).to.equal(0)
  })

  it("rotates when that is due, and only then", async () => {
    await world.kms.rotationSeconds(1)
    const bindings = [binding("a-rotate", { rotateEvery: 20 * 86_400 })]
    await apply(bindings)
    await passDays(world, 21)
    const { rows } = await apply(bindings)
    expect(rows["a-rotate"]).to.deep.include({ outcome: "done", did: ["rotate"] })
    expect((await apply(bindings)).rows["a-rotate"]?.outcome).to.equal("nothing")
    const { deps } = await world.run()
    expect((await deps.inventory.get("a-rotate", "us-east-1"))?.source.generation).to.equal(1)
  })

  it("makes replicas, and imports again in every Region", async () => {
    const replicas = ["eu-west-3"]
    await apply([binding("a-home", { multiRegion: true, replicas: [] })])
    const bindings = [binding("a-home", { replicas })]
    const added = await apply(bindings)
    expect(added.rows["a-home"]).to.include({ outcome: "done" })
    expect(added.rows["a-home"]?.did[0]).to.equal("replicate")
    expect((await apply(bindings)).rows["a-home"]).to.include({ outcome: "nothing", reason: "NOT_DUE" })
    await passDays(world, 62)
    const { rows } = await apply(bindings)
    expect(rows["a-home"]?.did).to.deep.equal(["rewrap"])
    expect((await apply(bindings)).rows["a-home"]?.outcome).to.equal("nothing")
    const { deps } = await world.run()
    const entry = await deps.inventory.get("a-home", "us-east-1")
    expect(entry?.imports.map(({ region }) => region).sort()).to.deep.equal(["eu-west-3", "us-east-1"])
  })

  it("leaves alone what is another owner's, and says whose", async () => {
    const bindings = [binding("a-claimed", HMAC)]
    const { rows } = await apply(bindings)
    const KeyId = rows["a-claimed"]!.keyArn!
    await world.sdk.tagResource({ KeyId, Tags: [{ TagKey: "keyferry:owner", TagValue: "other-site" }] })
    await passDays(world, 61)
    const { rows: after, exit } = await apply(bindings)
    expect(after["a-claimed"]).to.include({ outcome: "blocked", reason: "KEY_CLAIMED" })
    expect([after["a-claimed"]!.message.includes("other-site"), exit]).to.deep.equal([true, "CONFIG"])
  })

  it("status tells what is there, without a token too, and changes nothing", async () => {
    await provision((await world.run()).deps, requestFor("s-left", HMAC))
    await apply([binding("s-here", HMAC), binding("s-lost", HMAC)])
    const run = await world.run()
    const lost = (await run.deps.inventory.get("s-lost", "us-east-1"))!
    await run.deps.token.destroySourceKey(lost.source)
    await passDays(world, 5)
    await world.kms.clearCounts()
    const bindings = [binding("s-here", HMAC), binding("s-lost", HMAC), binding("s-new")]
    const fleet = await fleetOf(run, { bindings })
    const { status: seen, exit } = await status(fleet, await fleetKeys(fleet), { actions: APPLY.actions })
    expect(exit).to.equal("OK")
    expect(
      Object.fromEntries(seen.keys.map((key) => [key.name, [key.outcome, key.reason, key.managed]])),
    ).to.deep.equal({
      "s-here": ["nothing", "NOT_DUE", true],
      "s-lost": ["blocked", "SOURCE_MISSING", true],
      "s-new": ["planned", "NOTHING_YET", true],
      "s-left": ["nothing", "UNMANAGED", false],
    })
    const [here, , , left] = seen.keys
    expect(here?.generations).to.have.length(1)
    expect(here?.generations[0]).to.include({ generation: 0, state: "imported", daysLeft: 84, source: "present" })
    expect(here?.keyStates.map(({ keyState }) => keyState)).to.deep.equal(["Enabled"])
    expect(here?.forecast?.diesAt).to.equal(here?.generations[0]?.validTo)
    expect(left?.warnings.map(({ code }) => code)).to.deep.equal(["UNMANAGED_EXPIRES"])
    const { requests } = await world.kms.counts()
    expect(Object.keys(requests).sort()).to.deep.equal(["DescribeKey", "ListAliases", "ListKeys", "ListResourceTags"])

    const refused = new KeyferryError("ERR_TOKEN_PIN_LOCKED", "the PIN is locked")
    const blind = await fleetOf(run, { bindings, tokenOf: () => Promise.reject(refused) })
    const unseen = await status(blind, await fleetKeys(blind), { actions: APPLY.actions })
    expect([unseen.exit, unseen.status.tokens]).to.deep.equal([
      "NOPERM",
      [{ name: null, state: "failed", message: "the PIN is locked" }],
    ])
    expect(unseen.status.keys.find(({ name }) => name === "s-lost")).to.include({ outcome: "nothing" })
    const without = await fleetOf(run, { bindings, tokenOf: () => Promise.resolve(null) })
    expect((await status(without, await fleetKeys(without), { actions: APPLY.actions })).exit).to.equal("OK")
  })

  it("status fails as KMS does where KMS cannot be asked", async () => {
    await apply([binding("s-far", HMAC)])
    const run = await world.run({ endpoint: "http://127.0.0.1:9" })
    const fleet = await fleetOf(run, { bindings: [binding("s-far", HMAC)] })
    const { status: seen, exit } = await status(fleet, await fleetKeys(fleet), { actions: APPLY.actions })
    expect(seen.keys[0]).to.include({ outcome: "blocked", reason: "KMS_UNREACHABLE" })
    expect(exit).to.equal("UNAVAILABLE")
    expect(bindingOf((await run.deps.inventory.get("s-far", "us-east-1"))!).name).to.equal("s-far")
  })
})
