import { readFileSync } from "node:fs"
import { join } from "node:path"
import { expect } from "chai"
import { provision } from "#src/app/provision/provision.js"
import { replaceKey } from "#src/app/replace/replace.js"
import { rotateKey } from "#src/app/rotate/rotate.js"
import type { ImportAgainWishes } from "#src/core/records/operation.js"
import type { CustodyEvent } from "#src/core/records/custody-event.js"
import type { InventoryEntry } from "#src/core/records/inventory.js"
import type { KeyResult } from "#src/core/records/key-result.js"
import { CUSTODY_LOG } from "#src/store/archive/log-parts.js"
import { expectCode } from "#test/support/expect-code.js"
import { importMaterial, makeMaterial } from "../../support/local-kms-fixture.js"
import { EC, openWorld, overriding, requestFor, type World, worldEnvironment } from "../../support/world.js"

const SAME: ImportAgainWishes = { expiresIn: null, wrappingAlgorithm: null, wrappingKeySpec: null, prove: "accept" }

describe("rotate", () => {
  worldEnvironment()
  let world: World
  before(async () => {
    world = await openWorld()
  })
  beforeEach(() => world.reset())
  after(() => world[Symbol.asyncDispose]())

  const entryOf = async (name: string): Promise<InventoryEntry> => {
    const entry = await (await world.run()).deps.inventory.get(name, "us-east-1")
    return entry ?? expect.fail(`no entry of ${name}`)
  }
  const make = async (...args: Parameters<typeof requestFor>): Promise<KeyResult> =>
    provision((await world.run()).deps, requestFor(...args))
  const rotate = async (name: string, wishes: Partial<ImportAgainWishes> = {}): Promise<KeyResult> =>
    rotateKey((await world.run()).deps, await entryOf(name), { ...SAME, ...wishes })
  const encrypt = async (KeyId: string): Promise<Uint8Array> =>
    (await world.sdk.encrypt({ KeyId, Plaintext: Buffer.from("kept") })).CiphertextBlob ?? expect.fail()
  const decrypt = async (CiphertextBlob: Uint8Array): Promise<string> =>
    Buffer.from((await world.sdk.decrypt({ CiphertextBlob })).Plaintext ?? []).toString()
  const listed = async (KeyId: string) =>
    (await world.sdk.listKeyRotations({ KeyId, IncludeKeyMaterial: "ALL_KEY_MATERIAL" })).Rotations ?? []

  /** One KMS key, rotated once, and everything that says so. */
  const expectRotated = async (first: KeyResult, result: KeyResult, generation = 1): Promise<void> => {
    expect(result).to.include({ outcome: "done", generation, keyArn: first.keyArn, name: first.name })
    const rotations = await listed(first.keyArn)
    expect(rotations.map((one) => one.KeyMaterialState).sort()).to.deep.equal(
      ["CURRENT", ...Array<string>(generation).fill("NON_CURRENT")].sort(),
    )
    const current = rotations.find((one) => one.KeyMaterialState === "CURRENT")
    expect(current?.KeyMaterialId).to.equal(result.keyMaterialId)
    const entry = await entryOf(first.name)
    expect(entry.source).to.include({ id: result.sourceKey.id, generation })
    expect(entry.earlier.map((one) => one.generation)).to.deep.equal([...Array(generation).keys()])
    expect(entry).to.include({ importing: null, rotating: false })
    const { deps } = await world.run()
    expect((await deps.kms.listResourceTags(first.keyArn))["keyferry:source"]).to.equal(result.sourceKey.id)
    const labels = Array.from({ length: generation + 1 }, (_, at) => `keyferry/keyferry/${first.name}/${at}`)
    for (const label of labels) expect(await deps.token.findSourceKeys({ label }), label).to.have.length(1)
    expect(
      await deps.token.findSourceKeys({ label: `keyferry/keyferry/${first.name}/${generation + 1}` }),
    ).to.have.length(0)
  }

  it("gives the KMS key new material from the token, again and again, and every old ciphertext decrypts", async () => {
    const first = await make("turned", { expiresIn: "30d" })
    const ciphertexts = [await encrypt(first.keyArn)]
    for (const generation of [1, 2]) {
      const result = await rotate("turned")
      await expectRotated(first, result, generation)
      expect(result.proof).to.deep.equal({ kind: "none", result: "accepted" })
      const days = (new Date(result.validTo ?? 0).getTime() - new Date(result.importedAt).getTime()) / 86_400_000
      expect(Math.round(days), "as it was imported before").to.equal(30)
      ciphertexts.push(await encrypt(first.keyArn))
    }
    for (const ciphertext of ciphertexts) expect(await decrypt(ciphertext)).to.equal("kept")
  })

  it("proves the new material with --prove full, and takes another expiry", async () => {
    const first = await make("turned-proven")
    const result = await rotate("turned-proven", { prove: "full", expiresIn: "never" })
    await expectRotated(first, result)
    expect(result.proof).to.deep.equal({ kind: "key-material-id", result: "proven" })
    expect(result.validTo).to.equal(null)
    expect((await entryOf("turned-proven")).terms).to.include({ expiresIn: "never" })
  })

  it("refuses what KMS cannot rotate, with replace as the hint, and what is not provisioned", async () => {
    await make("turned-ec", EC)
    const error = await expectCode("ERR_ROTATION_UNSUPPORTED", () => rotate("turned-ec"))
    expect(error.hint).to.include("keyferry replace")
  })

  it("refuses a key whose state an import would change, before anything is made", async () => {
    const { keyArn } = await make("turned-off")
    await world.sdk.disableKey({ KeyId: keyArn })
    await expectCode("ERR_KMS_KEY_STATE", () => rotate("turned-off"))
    expect((await entryOf("turned-off")).source.generation).to.equal(0)
    expect((await world.sdk.describeKey({ KeyId: keyArn })).KeyMetadata?.KeyState).to.equal("Disabled")
  })

  describe("whose answer was lost", () => {
    const steps = [
      ["TagResource", "drop-after"],
      ["TagResource", "drop-before"],
      ["ImportKeyMaterial", "drop-after"],
      ["RotateKeyOnDemand", "drop-after"],
    ] as const
    for (const [operation, kind] of steps) {
      it(`goes on: ${operation}, ${kind}`, async () => {
        const first = await make(`lost-${operation}-${kind}`)
        await world.kms.clearCounts()
        await world.kms.fault({ kind, operation })
        await expectRotated(first, await rotate(first.name))
        expect(await world.requests("GetParametersForImport")).to.equal(1)
      })
    }

    // nothing says that KMS did it: the run ends, and the next one looks
    const stops = [
      ["GetParametersForImport", "access-denied", 1],
      ["ImportKeyMaterial", "access-denied", 1],
      ["ImportKeyMaterial", "drop-before", 2],
      ["ImportKeyMaterial", "drop-after", 2],
      ["RotateKeyOnDemand", "access-denied", 1],
      ["RotateKeyOnDemand", "drop-before", 1],
      ["TagResource", "access-denied", 1],
      ["TagResource", "drop-after", 9],
    ] as const
    for (const [operation, kind, count] of stops) {
      it(`is one rotation after a stop: ${operation}, ${kind}`, async () => {
        const first = await make(`stop-${operation}-${kind}`)
        await world.kms.fault({ kind, operation, count })
        const error = await rotate(first.name).then(
          () => null,
          (thrown: unknown) => thrown,
        )
        expect(error).to.be.instanceOf(Error)
        await world.kms.clearFaults()
        await expectRotated(first, await rotate(first.name))
        await expectRotated(first, await rotate(first.name), 2)
      })
    }

    it("is the expiry that was asked for last, where the import of an earlier run had another", async () => {
      const first = await make("other-expiry")
      await world.kms.fault({ kind: "drop-after", operation: "ImportKeyMaterial", count: 2 })
      await expectCode("ERR_KMS_OUTCOME_UNKNOWN", () => rotate(first.name, { expiresIn: "10d" }))
      const result = await rotate(first.name, { expiresIn: "20d" })
      expect(result.proof, "KMS compared it").to.deep.equal({ kind: "key-material-id", result: "proven" })
      const [current] = (await listed(first.keyArn)).filter((one) => one.KeyMaterialState === "CURRENT")
      expect(current?.ValidTo?.getTime()).to.equal(new Date(result.validTo ?? 0).getTime())
    })
  })

  it("waits no longer than it must say 'still rotating', and goes on from there", async () => {
    const first = await make("slow-turn")
    await world.kms.rotationSeconds(7200)
    const error = await expectCode("ERR_ROTATION_PENDING", () => rotate(first.name))
    expect(error.exit).to.equal("TEMPFAIL")
    await world.kms.rotationSeconds(150)
    await world.kms.clock.advance(7200)
    await expectRotated(first, await rotate(first.name))
    expect(await world.requests("RotateKeyOnDemand")).to.equal(1)
  })

  it("imports pending material again before it rotates to it, when that is about to expire", async () => {
    const first = await make("late-turn")
    await world.kms.fault({ kind: "access-denied", operation: "RotateKeyOnDemand" })
    await expectCode("ERR_KMS_ACCESS_DENIED", () => rotate(first.name, { expiresIn: "2d" }))
    const { deps } = await world.run()
    await deps.sleep(46 * 3600 * 1000)
    const result = await rotate(first.name, { expiresIn: "2d" })
    await expectRotated(first, result)
    expect(new Date(result.validTo ?? 0).getTime()).to.be.greaterThan(deps.clock.now().getTime() + 40 * 3600 * 1000)
  })

  it("generates nothing in the place of a lost source key whose material waits in KMS", async () => {
    const first = await make("lost-turn")
    await world.kms.fault({ kind: "access-denied", operation: "RotateKeyOnDemand" })
    await expectCode("ERR_KMS_ACCESS_DENIED", () => rotate(first.name, { expiresIn: "2d" }))
    const { deps } = await world.run()
    const { source } = await entryOf(first.name)
    await deps.token.destroySourceKey(source)
    await deps.sleep(46 * 3600 * 1000)
    await world.kms.clearCounts()
    const error = await expectCode("ERR_KEY_NOT_FOUND", () => rotate(first.name, { expiresIn: "2d" }))
    expect(error.message).to.include(`has the material of ${source.label}`)
    expect(await deps.token.findSourceKeys({ label: source.label })).to.deep.equal([])
    expect(await world.requests("GetParametersForImport")).to.equal(0)
  })

  it("imports pending material as new that was deleted from KMS meanwhile", async () => {
    const first = await make("deleted-turn")
    await world.kms.fault({ kind: "access-denied", operation: "RotateKeyOnDemand" })
    await expectCode("ERR_KMS_ACCESS_DENIED", () => rotate(first.name))
    const pending = (await listed(first.keyArn)).find((one) => one.KeyMaterialState === "PENDING_ROTATION")
    await world.sdk.deleteImportedKeyMaterial({ KeyId: first.keyArn, KeyMaterialId: pending?.KeyMaterialId })
    await expectRotated(first, await rotate(first.name))
  })

  for (const [what, state] of [
    ["CURRENT", "in use"],
    ["PENDING_ROTATION", "waiting"],
  ] as const) {
    it(`makes nothing where KMS holds material ${state} that this state does not know`, async () => {
      const first = await make(`unknown-${what.slice(0, 4).toLowerCase()}`)
      const foreign = makeMaterial("SYMMETRIC_DEFAULT")
      await importMaterial(world.sdk, first.keyArn, foreign, { ImportType: "NEW_KEY_MATERIAL" })
      if (what === "CURRENT") {
        await world.kms.rotationSeconds(0)
        await world.sdk.rotateKeyOnDemand({ KeyId: first.keyArn })
      }
      const before = await listed(first.keyArn)
      expect(before.map(({ KeyMaterialState }) => KeyMaterialState)).to.include(what)
      const code = what === "CURRENT" ? "ERR_STATE_INCOMPLETE" : "ERR_KMS_KEY_STATE"
      const { deps } = await world.run()
      const replace = async () => replaceKey(deps, await entryOf(first.name), SAME)
      for (const step of [() => rotate(first.name), replace]) {
        const error = await expectCode(code, step)
        expect(error.hint).to.include("keyferry state merge DIR")
      }
      expect(await listed(first.keyArn)).to.deep.equal(before)
      expect((await entryOf(first.name)).replacement).to.equal(null)
      expect((await entryOf(first.name)).source.generation).to.equal(0)
    })
  }

  it("rotates no second time where another host rotates between this one's look and its import, and says so", async () => {
    const first = await make("overtaken")
    await world.kms.rotationSeconds(0)
    const run = await world.run()
    const overtaking = overriding(run.deps.kms, {
      getParametersForImport: async (...args) => {
        await importMaterial(world.sdk, first.keyArn, makeMaterial("SYMMETRIC_DEFAULT"), {
          ImportType: "NEW_KEY_MATERIAL",
        })
        await world.sdk.rotateKeyOnDemand({ KeyId: first.keyArn })
        return await run.deps.kms.getParametersForImport(...args)
      },
    })
    const deps = run.with({ kms: overtaking, kmsIn: () => Promise.resolve(overtaking) })
    const entry = await entryOf("overtaken")
    const error = await expectCode("ERR_STATE_INCOMPLETE", () => rotateKey(deps, entry, SAME))
    expect(error.hint).to.include("keyferry state merge DIR")
    expect(await entryOf("overtaken")).to.include({ rotating: false, importing: null })
    expect((await entryOf("overtaken")).source.generation).to.equal(0)
    expect((await listed(first.keyArn)).map(({ KeyMaterialState }) => KeyMaterialState)).to.have.members([
      "CURRENT",
      "NON_CURRENT",
    ])
    const lines = readFileSync(join(run.stateDir, CUSTODY_LOG), "utf8").trimEnd().split("\n")
    expect(lines.filter((line) => line.includes('"rotation.abandoned"'))).to.have.length(2)
  })

  it("leaves somebody else's pending material alone", async () => {
    const first = await make("foreign-turn")
    await importMaterial(world.sdk, first.keyArn, makeMaterial("SYMMETRIC_DEFAULT"), { ImportType: "NEW_KEY_MATERIAL" })
    await expectCode("ERR_KMS_KEY_STATE", () => rotate(first.name))
    expect((await entryOf(first.name)).source.generation).to.equal(0)
    const { deps } = await world.run()
    expect(await deps.token.findSourceKeys({ label: "keyferry/keyferry/foreign-turn/1" })).to.deep.equal([])
  })

  it("counts the rotations of the key's life: warns from 20, refuses at 25 before anything is made", async () => {
    const first = await make("worn", { expiresIn: "never" })
    await world.kms.rotationSeconds(0)
    const warned: number[] = []
    for (let turn = 1; turn <= 25; turn += 1) {
      const { deps, warnings } = await world.run()
      await rotateKey(deps, await entryOf("worn"), SAME)
      if (warnings.some((text) => text.includes("on-demand rotations"))) warned.push(turn)
    }
    expect(warned).to.deep.equal([21, 22, 23, 24, 25])
    await world.kms.clearCounts()
    const error = await expectCode("ERR_KMS_LIMIT", () => rotate("worn"))
    expect(error.hint).to.include("keyferry replace worn")
    expect(await world.requests("GetParametersForImport")).to.equal(0)
    expect((await entryOf("worn")).source.generation).to.equal(25)
    await world.kms.rotationSeconds(150)
    expect(await decrypt(await encrypt(first.keyArn))).to.equal("kept")
  })

  it("seals the new source key as the old one was, in the vault before KMS gets it, and says so in the custody log", async () => {
    const first = await make("sealed-turn", { custody: "sealed" })
    const stop = ["ImportKeyMaterial", "RotateKeyOnDemand"] as const
    for (const operation of stop) {
      await world.kms.fault({ kind: "access-denied", operation })
      await expectCode("ERR_KMS_ACCESS_DENIED", () => rotate("sealed-turn"))
    }
    const result = await rotate("sealed-turn")
    expect(result).to.include({ generation: 1, custody: "sealed", keyArn: first.keyArn })
    const { deps, inToken, stateDir } = await world.run()
    const { sealed } = await deps.vault.list({ owner: "keyferry", name: "sealed-turn" })
    expect(sealed.map(({ generation }) => generation).sort()).to.deep.equal([0, 1])
    expect((await inToken.search({ id: result.sourceKey.id })).keys).to.deep.equal([])
    const lines = readFileSync(join(stateDir, CUSTODY_LOG), "utf8").trimEnd().split("\n")
    const events = lines.map((line) => JSON.parse(line) as CustodyEvent)
    const names = events.filter(({ source }) => source?.generation === 1).map(({ event }) => event)
    expect(names.filter((event) => event === "source.sealed")).to.have.length(1)
    expect(names.indexOf("source.sealed")).to.be.lessThan(names.indexOf("import.intended"))
    expect(names.slice(-3)).to.deep.equal(["rotation.requested", "rotation.requested", "rotation.done"])
  })

  it("is refused where policy no longer allows the custody, before anything is made", async () => {
    await make("ruled-out")
    const { deps } = await world.run()
    const policy = { ...deps.policy, allowCustody: ["sealed"] as const }
    const entry = await entryOf("ruled-out")
    await expectCode("ERR_POLICY_REFUSED", () => rotateKey({ ...deps, policy }, entry, SAME))
    const wishes = { ...SAME, description: null }
    await expectCode("ERR_POLICY_REFUSED", () => replaceKey({ ...deps, policy }, entry, wishes))
    expect(await entryOf("ruled-out")).to.deep.equal(entry)
  })

  it("takes no source key from another target that has not imported it", async () => {
    const { deps } = await world.run()
    await make("begun-there")
    await provision(deps, requestFor("begun-there", { target: "other" }))
    await world.kms.fault({ kind: "access-denied", operation: "GetParametersForImport", count: 9 })
    await expectCode("ERR_KMS_ACCESS_DENIED", () => rotate("begun-there"))
    await world.kms.clearFaults()
    const begun = await entryOf("begun-there")
    expect(begun.source.generation).to.equal(1)
    const other = (await deps.inventory.get("begun-there", "other")) ?? expect.fail()
    const there = await rotateKey(deps, other, SAME)
    expect(there.sourceKey.id, "of its own").not.to.equal(begun.source.id)
    expect((await rotate("begun-there")).sourceKey.id).to.equal(begun.source.id)
  })

  it("gives two targets of one name the same new source key", async () => {
    const { deps } = await world.run()
    await make("two-targets")
    await provision(deps, requestFor("two-targets", { target: "other" }))
    const one = await rotate("two-targets")
    const other = await deps.inventory.get("two-targets", "other")
    const two = await rotateKey(deps, other ?? expect.fail(), SAME)
    expect(two.sourceKey.id).to.equal(one.sourceKey.id)
    expect(two.keyArn).not.to.equal(one.keyArn)
  })
})
