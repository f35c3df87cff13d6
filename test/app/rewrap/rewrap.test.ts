import { expect } from "chai"
import type { ReconcileOptions } from "#src/app/fleet/reconcile.js"
import { provision } from "#src/app/provision/provision.js"
import { replaceKey } from "#src/app/replace/replace.js"
import { AS_BEFORE } from "#src/app/import/terms.js"
import { rotateKey } from "#src/app/rotate/rotate.js"
import type { KeyResult } from "#src/core/records/key-result.js"
import { KeyferryError } from "#src/core/base/error.js"
import { bindingOf } from "#src/core/records/recorded-binding.js"
import type { Token } from "#src/core/ports/token.js"
import { expectCode } from "#test/support/expect-code.js"
import { importMaterial, makeMaterial } from "../../support/local-kms-fixture.js"
import { fleetOf, passDays, REWRAP, runOver } from "../../support/fleet-world.js"
import { EC, HMAC, openWorld, overriding, requestFor, type World, worldEnvironment } from "../../support/world.js"

describe("rewrap", () => {
  worldEnvironment()
  let world: World
  before(async () => {
    world = await openWorld()
  })
  beforeEach(() => world.reset())
  after(() => world[Symbol.asyncDispose]())

  const made = async (...args: Parameters<typeof requestFor>): Promise<KeyResult> =>
    provision((await world.run()).deps, requestFor(...args))
  const rewrap = async (options: Partial<ReconcileOptions> = {}, names: readonly string[] = []) => {
    const run = await world.run()
    return { ...(await runOver(await fleetOf(run), { ...REWRAP, ...options }, names)), warnings: run.warnings }
  }
  const spent = async () => [
    await world.requests("GetParametersForImport"),
    await world.requests("ImportKeyMaterial"),
    await world.requests("DeleteImportedKeyMaterial"),
  ]
  const stateOf = async (KeyId: string) => (await world.sdk.describeKey({ KeyId })).KeyMetadata!

  it("goes on with a rotation that had come to a stop, once what was due is imported", async () => {
    const { name } = await made("w-turning")
    const { deps } = await world.run()
    const entry = (await deps.inventory.get(name, "us-east-1")) ?? expect.fail()
    await world.kms.fault({ kind: "access-denied", operation: "RotateKeyOnDemand" })
    await expectCode("ERR_KMS_ACCESS_DENIED", () => rotateKey(deps, entry, AS_BEFORE))
    await passDays(world, 62)
    const { rows } = await rewrap()
    expect(rows[name]?.outcome).to.equal("done")
    expect(rows[name]?.did).to.deep.equal(["rewrap", "finish-rotation"])
    expect((await deps.inventory.get(name, "us-east-1"))?.rotating).to.equal(false)
    expect(await world.requests("RotateKeyOnDemand")).to.equal(2)
  })

  it("does nothing while nothing is due; imports every family when it is, and not again", async () => {
    const keys = [
      await made("w-aes"),
      await made("w-mac", HMAC),
      await made("w-ec", EC),
      await made("w-never", { expiresIn: "never" }),
    ]
    const { CiphertextBlob } = await world.sdk.encrypt({ KeyId: keys[0]!.keyArn, Plaintext: Buffer.from("old") })
    await world.kms.clearCounts()
    const early = await rewrap()
    expect(early.all.map(({ outcome, reason }) => [outcome, reason])).to.deep.equal([
      ...Array.from({ length: 3 }, () => ["nothing", "NOT_DUE"]),
      ["nothing", "NEVER_EXPIRES"],
    ])
    expect([early.exit, await spent()]).to.deep.equal(["OK", [0, 0, 0]])

    await passDays(world, 62)
    const due = await rewrap()
    expect(due.exit).to.equal("OK")
    for (const name of ["w-aes", "w-mac", "w-ec"]) expect(due.rows[name]).to.include({ outcome: "done", reason: "DUE" })
    expect(await spent()).to.deep.equal([3, 3, 0])
    const { deps } = await world.run()
    const entry = await deps.inventory.get("w-aes", "us-east-1")
    expect(entry?.imports).to.have.length(1)
    expect(entry?.imports[0]).to.deep.include({
      keyMaterialId: keys[0]!.keyMaterialId,
      proof: { kind: "key-material-id", result: "proven" },
    })
    const daysLeft = ((await stateOf(keys[1]!.keyArn)).ValidTo!.getTime() - deps.clock.now().getTime()) / 86_400_000
    expect(daysLeft).to.be.within(89.9, 90)
    const { Plaintext } = await world.sdk.decrypt({ CiphertextBlob })
    expect(Buffer.from(Plaintext!).toString()).to.equal("old")

    const again = await rewrap()
    expect(again.all.every(({ outcome }) => outcome === "nothing")).to.equal(true)
    expect(await spent()).to.deep.equal([3, 3, 0])
  })

  it("keeps the KMS key usable at every moment", async () => {
    const { keyArn } = await made("w-live")
    let over = false
    let uses = 0
    const use = async (): Promise<void> => {
      while (!over) {
        const { CiphertextBlob } = await world.sdk.encrypt({ KeyId: keyArn, Plaintext: Buffer.from("x") })
        await world.sdk.decrypt({ CiphertextBlob })
        uses += 1
      }
    }
    const using = use()
    for (let round = 0; round < 5; round += 1)
      expect((await rewrap({ force: "all" })).rows["w-live"]?.outcome).to.equal("done")
    over = true
    await using
    expect(uses).to.be.greaterThan(5)
  })

  it("recovers material that expired", async () => {
    const { keyArn } = await made("w-late")
    const { CiphertextBlob } = await world.sdk.encrypt({ KeyId: keyArn, Plaintext: Buffer.from("kept") })
    await passDays(world, 91)
    expect((await stateOf(keyArn)).KeyState).to.equal("PendingImport")
    expect((await rewrap()).rows["w-late"]).to.include({ outcome: "done", reason: "EXPIRED" })
    const { Plaintext } = await world.sdk.decrypt({ CiphertextBlob })
    expect(Buffer.from(Plaintext!).toString()).to.equal("kept")
  })

  it("imports every generation, each pinned to its own material", async () => {
    const { keyArn } = await made("w-gen")
    const old = await world.sdk.encrypt({ KeyId: keyArn, Plaintext: Buffer.from("generation 0") })
    await world.kms.rotationSeconds(1)
    const { deps } = await world.run()
    const entry = (await deps.inventory.get("w-gen", "us-east-1"))!
    await rotateKey(deps, entry, { expiresIn: null, wrappingAlgorithm: null, wrappingKeySpec: null, prove: "accept" })
    await passDays(world, 91)
    expect((await stateOf(keyArn)).KeyState).to.equal("PendingImport")
    await world.kms.clearCounts()
    const { rows } = await rewrap()
    expect(rows["w-gen"]).to.include({ outcome: "done", reason: "EXPIRED" })
    expect(rows["w-gen"]?.imports.map(({ generation }) => generation)).to.deep.equal([0, 1])
    expect(await spent()).to.deep.equal([2, 2, 0])
    expect((await stateOf(keyArn)).KeyState).to.equal("Enabled")
    const { Plaintext } = await world.sdk.decrypt({ CiphertextBlob: old.CiphertextBlob })
    expect(Buffer.from(Plaintext!).toString()).to.equal("generation 0")
    expect((await rewrap()).rows["w-gen"]?.reason).to.equal("NOT_DUE")
  })

  it("does what can be done of many, and says of each other what stands against it", async () => {
    const [good, off, leaving, gone, , claimed] = [
      await made("w-good"),
      await made("w-off"),
      await made("w-leaving"),
      await made("w-gone"),
      await made("w-lost", EC),
      await made("w-claimed"),
    ]
    const foreign = await made("w-foreign", { expiresIn: "never" })
    await world.sdk.disableKey({ KeyId: off.keyArn })
    await world.sdk.scheduleKeyDeletion({ KeyId: leaving.keyArn, PendingWindowInDays: 30 })
    await world.sdk.scheduleKeyDeletion({ KeyId: gone.keyArn, PendingWindowInDays: 7 })
    const { deps } = await world.run()
    const lost = (await deps.inventory.get("w-lost", "us-east-1"))!
    await deps.token.destroySourceKey(lost.source)
    await world.sdk.tagResource({ KeyId: claimed.keyArn, Tags: [{ TagKey: "keyferry:owner", TagValue: "other-site" }] })
    await world.kms.rotationSeconds(1)
    await importMaterial(world.sdk, foreign.keyArn, makeMaterial("SYMMETRIC_DEFAULT"), {
      ImportType: "NEW_KEY_MATERIAL",
    })
    await world.sdk.rotateKeyOnDemand({ KeyId: foreign.keyArn })
    await passDays(world, 8)
    // a listing of deletion that is to come: the 30 days are not over at day 25
    await passDays(world, 17)
    await world.kms.clearCounts()
    const { rows, exit } = await rewrap({ force: "all" })
    const said = Object.fromEntries(
      Object.entries(rows).map(([name, { outcome, reason }]) => [name, `${outcome} ${reason}`]),
    )
    expect(said).to.deep.equal({
      "w-good": "done ASKED",
      "w-off": "blocked DISABLED",
      "w-leaving": "blocked PENDING_DELETION",
      "w-gone": "blocked KEY_GONE",
      "w-lost": "blocked SOURCE_MISSING",
      "w-claimed": "blocked KEY_CLAIMED",
      "w-foreign": "blocked FOREIGN_MATERIAL",
    })
    expect(exit).to.equal("CONFIG")
    expect(await spent()).to.deep.equal([1, 1, 0])
    expect((await stateOf(off.keyArn)).KeyState).to.equal("Disabled")
    expect((await stateOf(good.keyArn)).KeyState).to.equal("Enabled")

    const { rows: taken } = await rewrap({ force: "named", includeDisabled: true }, ["w-off"])
    expect(taken["w-off"]).to.include({ outcome: "done" })
    const after = await stateOf(off.keyArn)
    expect([
      after.KeyState,
      after.ValidTo!.getTime() > (await stateOf(claimed.keyArn)).ValidTo!.getTime(),
    ]).to.deep.equal(["Disabled", true])
  })

  it("imports sealed material again, and says when its file is gone", async () => {
    for (const name of ["w-sealed", "w-emptied"]) await made(name, { custody: "sealed" })
    const { deps } = await world.run()
    const emptied = (await deps.inventory.get("w-emptied", "us-east-1"))!
    await deps.vault.remove(emptied.source.id)
    await passDays(world, 62)
    const { rows } = await rewrap()
    expect(rows["w-sealed"]).to.include({ outcome: "done", reason: "DUE", custody: "sealed" })
    expect(rows["w-emptied"]).to.include({ outcome: "blocked", reason: "SOURCE_MISSING" })
  })

  it("leaves deleted material to recover, of a key that is named too", async () => {
    const { keyArn } = await made("w-deleted")
    await world.sdk.deleteImportedKeyMaterial({ KeyId: keyArn })
    for (const options of [{ force: "all" }, { force: "named" }, { force: "named", shorten: true }] as const) {
      expect((await rewrap(options, ["w-deleted"])).rows["w-deleted"]).to.include({
        outcome: "blocked",
        reason: "MATERIAL_DELETED",
        hint: "`keyferry recover w-deleted --yes` imports it again, if that is what you want",
      })
    }
    expect((await stateOf(keyArn)).KeyState).to.equal("PendingImport")
    expect((await rewrap({ recover: { deleted: true } }, ["w-deleted"])).rows["w-deleted"]).to.include({
      outcome: "done",
      reason: "DELETED",
    })
    expect((await stateOf(keyArn)).KeyState).to.equal("Enabled")
  })

  it("goes on when one key fails; the next run does what is left, and only that", async () => {
    for (const name of ["w-1", "w-2", "w-3"]) await made(name, HMAC)
    await world.kms.fault({ kind: "access-denied", operation: "ImportKeyMaterial" })
    const first = await rewrap({ force: "all" })
    const outcomes = first.all.map(({ outcome }) => outcome).sort()
    expect([outcomes, first.exit]).to.deep.equal([["done", "done", "failed"], "NOPERM"])
    expect(first.all.find(({ outcome }) => outcome === "failed")).to.include({ reason: "ERR_KMS_ACCESS_DENIED" })
    await world.kms.clearCounts()
    const second = await rewrap()
    expect(second.all.filter(({ outcome }) => outcome === "done").map(({ reason }) => reason)).to.deep.equal([
      "INTERRUPTED",
    ])
    expect(await spent()).to.deep.equal([1, 1, 0])
  })

  it("begins nothing more once the state cannot be written, and says why of each key", async () => {
    for (const name of ["s-a", "s-b", "s-c"]) await made(name, HMAC)
    await world.kms.clearCounts()
    const run = await world.run()
    const full = new KeyferryError("ERR_STATE_WRITE", "could not write the inventory")
    const inventory = overriding(run.deps.inventory, { put: () => Promise.reject(full) })
    const deps = run.with({ inventory })
    const fleet = await fleetOf({ ...run, deps }, { width: 1 })
    const { rows, exit } = await runOver(fleet, { ...REWRAP, force: "all" })
    expect(exit).to.equal("IOERR")
    expect(rows["s-a"]?.message).to.equal("could not write the inventory")
    for (const name of ["s-b", "s-c"]) {
      expect(rows[name]).to.include({ outcome: "failed", reason: "ERR_STATE_WRITE" })
      expect(rows[name]?.message).to.equal("not begun, since for another key: could not write the inventory")
    }
    expect(await spent(), "parameters of the first alone").to.deep.equal([1, 0, 0])
  })

  it("begins nothing more with a token that refused its PIN, and goes on with the others", async () => {
    for (const name of ["p-a", "p-b", "p-other"]) await made(name, HMAC)
    const run = await world.run()
    const bindings = (await run.deps.inventory.list()).map((entry) => ({
      ...bindingOf(entry),
      token: entry.name === "p-other" ? "good" : "bad",
    }))
    const refused = new KeyferryError("ERR_TOKEN_PIN_INCORRECT", "the PIN is wrong")
    const logins: (string | null)[] = []
    const fleet = await fleetOf(run, {
      bindings,
      width: 1,
      depsOf({ token }) {
        logins.push(token)
        return token === "bad" ? Promise.reject(refused) : Promise.resolve(run.deps)
      },
    })
    const { rows, exit } = await runOver(fleet, { ...REWRAP, force: "all" })
    expect(exit).to.equal("NOPERM")
    expect([rows["p-a"]?.message, rows["p-b"]?.message]).to.deep.equal([
      "the PIN is wrong",
      "not begun, since for another key: the PIN is wrong",
    ])
    expect(rows["p-other"]).to.include({ outcome: "done", reason: "ASKED" })
    expect(logins).to.deep.equal(["bad", "good"])
  })

  it("presents a PIN once, whatever the number of keys", async () => {
    for (const name of ["w-a", "w-b", "w-c"]) await made(name, HMAC)
    await passDays(world, 62)
    await world.kms.clearCounts()
    let logins = 0
    const tokenOf = (): Promise<never> => {
      logins += 1
      return Promise.reject(new KeyferryError("ERR_TOKEN_PIN_INCORRECT", "the token refused the PIN"))
    }
    const fleet = await fleetOf(await world.run(), { tokenOf, width: 1 })
    const { all, exit } = await runOver(fleet, REWRAP)
    expect(all.map(({ outcome, reason }) => [outcome, reason])).to.deep.equal(
      Array.from({ length: 3 }, () => ["failed", "ERR_TOKEN_PIN_INCORRECT"]),
    )
    expect([logins, exit, await spent()]).to.deep.equal([1, "NOPERM", [0, 0, 0]])
  })

  it("keeps a key and those that it replaced apart, though all are due at once", async () => {
    await made("w-place")
    const { deps } = await world.run()
    const entry = async () => (await deps.inventory.get("w-place", "us-east-1"))!
    for (let round = 0; round < 2; round += 1) {
      await replaceKey(deps, await entry(), { ...AS_BEFORE, description: null })
    }
    await passDays(world, 62)
    expect((await rewrap()).all.map(({ outcome, reason }) => [outcome, reason])).to.deep.equal(
      Array.from({ length: 3 }, () => ["done", "DUE"]),
    )
    const kept = await entry()
    for (const { keyArn, importing, imports } of [kept, ...kept.former]) {
      const validTo = (await stateOf(keyArn!)).ValidTo!
      expect(importing).to.equal(null)
      expect(imports.map((one) => new Date(one.validTo!).getTime())).to.deep.equal([validTo.getTime()])
    }
  })

  it("takes another expiry, and says when it is an earlier one", async () => {
    const { keyArn } = await made("w-short", HMAC)
    const { rows, warnings } = await rewrap({ force: "named", expiresIn: "10d" }, ["w-short"])
    expect(rows["w-short"]?.outcome).to.equal("done")
    expect(rows["w-short"]?.warnings.map(({ code }) => code)).to.deep.equal(["SHORTER"])
    expect(warnings.join()).to.equal("")
    const { deps } = await world.run()
    expect(((await stateOf(keyArn)).ValidTo!.getTime() - deps.clock.now().getTime()) / 86_400_000).to.be.within(9.9, 10)
    expect((await deps.inventory.get("w-short", "us-east-1"))?.terms?.expiresIn).to.equal("10d")
  })

  it("takes a restored copy of the token, whatever its serial, for the one that was lost; no other token", async () => {
    await made("w-object")
    await made("w-sealed", { custody: "sealed" })
    const run = await world.run()
    const { token } = run.deps
    const info = { ...token.info, serial: "restored" }
    const rewrapBy = async (other: Partial<Token>) => {
      const deps = { ...run.deps, token: overriding(token, { info, ...other }) }
      return await runOver(await fleetOf({ ...run, deps }), { ...REWRAP, force: "all" })
    }
    await world.kms.clearCounts()
    const empty = await rewrapBy({
      search: () => Promise.resolve({ keys: [], strays: [] }),
      findSourceKeys: () => Promise.resolve([]),
      findCustodyKeys: () => Promise.resolve([]),
    })
    expect(empty.all.map(({ outcome, reason }) => [outcome, reason])).to.deep.equal([
      ["failed", "ERR_NAME_TAKEN"],
      ["failed", "ERR_NAME_TAKEN"],
    ])
    expect(await spent()).to.deep.equal([0, 0, 0])

    const restored = await rewrapBy({})
    expect(restored.all.map(({ outcome }) => outcome)).to.deep.equal(["done", "done"])
    expect(run.warnings.filter((text) => text.includes("restored copy"))).to.have.length(2)
    for (const name of ["w-object", "w-sealed"]) {
      expect((await run.deps.inventory.get(name, "us-east-1"))?.token?.serial).to.equal("restored")
    }
  })
})
