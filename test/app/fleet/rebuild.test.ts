import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { expect } from "chai"
import type { Deps } from "#src/app/deps.js"
import { provision } from "#src/app/provision/provision.js"
import { rebuild, type Rebuilding, type RebuildRequest } from "#src/app/fleet/rebuild.js"
import { replaceKey } from "#src/app/replace/replace.js"
import { rotateKey } from "#src/app/rotate/rotate.js"
import { verifyKeys } from "#src/app/verify/verify.js"
import type { InventoryEntry } from "#src/core/records/inventory.js"
import { stateFiles } from "#test/support/state-files.js"
import { fleetOf } from "../../support/fleet-world.js"
import { EC, HMAC, openWorld, requestFor, type World, worldEnvironment } from "../../support/world.js"

const SAME = { expiresIn: null, wrappingAlgorithm: null, wrappingKeySpec: null, prove: "accept" } as const

describe("rebuild", () => {
  worldEnvironment()
  let world: World
  let folder: string
  before(async () => {
    world = await openWorld()
    folder = mkdtempSync(join(tmpdir(), "keyferry-rebuild-"))
  })
  beforeEach(() => world.reset())
  after(async () => {
    await world[Symbol.asyncDispose]()
    rmSync(folder, { recursive: true, force: true })
  })

  const entryOf = async (deps: Deps, name: string): Promise<InventoryEntry> =>
    (await deps.inventory.get(name, "us-east-1")) ?? expect.fail(`no entry of ${name}`)
  /** The same token and KMS with an empty state directory. */
  const afterLoss = (deps: Deps): Deps => ({
    ...deps,
    ...stateFiles(mkdtempSync(join(folder, "state-")), deps.clock),
  })
  const rebuilt = (deps: Deps, more: Partial<RebuildRequest> = {}): Promise<Rebuilding> =>
    rebuild({ ...deps, tokens: [deps.token] }, { owner: "keyferry", target: "us-east-1", overwrite: false, ...more })
  /** What KMS and the token say of an entry. */
  const known = ({
    keyArn,
    alias,
    aliasGiven,
    source,
    earlier,
    imports,
    custody,
    requestId,
    replicas,
  }: InventoryEntry) => ({
    keyArn,
    alias,
    aliasGiven,
    source,
    earlier,
    custody,
    requestId,
    replicas,
    imports: imports.map(({ region, generation, keyMaterialId, validTo }) => ({
      region,
      generation,
      keyMaterialId,
      validTo,
    })),
  })

  it("finds again what KMS, tags and the token say, which is enough to go on", async () => {
    const run = await world.run()
    const { deps } = run
    await provision(deps, requestFor("turned", { alias: "alias/turned", expiresIn: "30d" }))
    await provision(deps, requestFor("signer", EC))
    await provision(deps, requestFor("mac", { ...HMAC, expiresIn: "never" }))
    await world.kms.rotationSeconds(1)
    await rotateKey(deps, await entryOf(deps, "turned"), SAME)
    const lost = afterLoss(deps)
    const { keys, unclaimed, unseen } = await rebuilt(lost)
    expect(keys.map(({ name, outcome, diesAt }) => [name, outcome, diesAt]).sort()).to.deep.equal([
      ["mac", "done", null],
      ["signer", "done", null],
      ["turned", "done", null],
    ])
    expect([unclaimed, unseen]).to.deep.equal([[], []])
    for (const name of ["turned", "signer", "mac"]) {
      expect(known(await entryOf(lost, name)), name).to.deep.equal(known(await entryOf(deps, name)))
    }
    expect(keys[0]?.lost.join()).to.include("proofs")
    const request = requestFor("turned", { alias: "alias/turned", expiresIn: "30d" })
    await world.kms.clearCounts()
    expect((await provision(lost, request)).outcome).to.equal("nothing")
    expect(await world.requests("ImportKeyMaterial")).to.equal(0)
    const entry = await entryOf(lost, "turned")
    const rows = await verifyKeys(await fleetOf({ ...run, deps: lost }), ["turned"], { full: true })
    expect(rows.map(({ keyArn, exit }) => [keyArn, exit])).to.deep.equal([[entry.keyArn, "OK"]])
    const newest = await rotateKey(lost, await entryOf(lost, "turned"), SAME)
    expect(newest.generation).to.equal(2)
  })

  it("tells a replaced key from the one that took its place", async () => {
    const { deps } = await world.run()
    const first = await provision(deps, requestFor("placed", { alias: "alias/placed" }))
    const second = await replaceKey(deps, await entryOf(deps, "placed"), { ...SAME, description: null })
    const lost = afterLoss(deps)
    await rebuilt(lost)
    const entry = await entryOf(lost, "placed")
    expect(known(entry)).to.deep.equal(known(await entryOf(deps, "placed")))
    expect(entry.keyArn).to.equal(second.keyArn)
    expect(entry.former.map(({ keyArn, source }) => [keyArn, source.id])).to.deep.equal([
      [first.keyArn, first.sourceKey.id],
    ])
  })

  it("says which KMS key dies when because its source key is nowhere, and which source key has no KMS key", async () => {
    const { deps } = await world.run()
    const { sourceKey, keyArn, validTo } = await provision(deps, requestFor("orphan", { expiresIn: "30d" }))
    const left = await provision(deps, requestFor("left"))
    await deps.token.destroySourceKey(sourceKey)
    await world.sdk.untagResource({ KeyId: left.keyArn, TagKeys: ["keyferry:owner"] })
    const lost = afterLoss(deps)
    const { keys, unclaimed } = await rebuilt(lost)
    expect(keys).to.have.length(1)
    expect(keys[0]).to.include({ name: "orphan", keyArn, diesAt: validTo, outcome: "done" })
    expect(keys[0]?.message).to.include(`dies at ${validTo ?? ""}`)
    expect(keys[0]?.lost.join()).to.include(sourceKey.id)
    expect(unclaimed).to.deep.include({ id: left.sourceKey.id, label: left.sourceKey.label })
    expect(unclaimed.map(({ id }) => id)).to.not.include(sourceKey.id)
    await deps.token.destroySourceKey(left.sourceKey)
  })

  it("leaves an entry that is there, unless it is to be overwritten", async () => {
    const { deps } = await world.run()
    await provision(deps, requestFor("kept", { prove: "full" }))
    const before = await entryOf(deps, "kept")
    expect((await rebuilt(deps)).keys[0]).to.include({ outcome: "nothing", reason: "EXISTS" })
    expect(await entryOf(deps, "kept")).to.deep.equal(before)
    expect((await rebuilt(deps, { overwrite: true })).keys[0]).to.include({ outcome: "done" })
    expect((await entryOf(deps, "kept")).imports[0]?.proof.result).to.equal("accepted")
  })

  it("goes by the owner, and says what it may not look at", async () => {
    const { deps } = await world.run()
    await provision(deps, requestFor("mine"))
    expect((await rebuilt(afterLoss(deps), { owner: "other" })).keys).to.deep.equal([])
    await world.kms.fault({ kind: "access-denied", operation: "ListResourceTags", count: 1, skip: 0 })
    const { keys, unseen } = await rebuilt({ ...afterLoss(deps), token: deps.token })
    expect(keys).to.deep.equal([])
    expect(unseen.join()).to.include("arn:aws:kms:")
  })
})
