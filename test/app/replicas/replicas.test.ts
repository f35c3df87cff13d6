import { expect } from "chai"
import type { KMS } from "@aws-sdk/client-kms"
import { AS_BEFORE } from "#src/app/import/terms.js"
import { provision } from "#src/app/provision/provision.js"
import { replaceKey } from "#src/app/replace/replace.js"
import { ensureReplica } from "#src/app/replicas/replicas.js"
import { rotateKey } from "#src/app/rotate/rotate.js"
import type { InventoryEntry } from "#src/core/records/inventory.js"
import type { KeyResult } from "#src/core/records/key-result.js"
import { expectCode } from "#test/support/expect-code.js"
import { kmsClient } from "#test/support/local-kms.js"
import { createKey } from "../../support/local-kms-fixture.js"
import { EC, HMAC, openWorld, requestFor, type World, worldEnvironment } from "../../support/world.js"

const HOME = "us-east-1"
const AWAY = "eu-west-3"
const FAR = "ap-south-1"

describe("multi-Region keys", () => {
  worldEnvironment()
  let world: World
  const sdks: Record<string, KMS> = {}
  before(async () => {
    world = await openWorld([HOME, AWAY, FAR])
    for (const region of [HOME, AWAY, FAR]) sdks[region] = kmsClient(world.kms, region)
  })
  beforeEach(() => world.reset())
  after(async () => {
    for (const sdk of Object.values(sdks)) sdk.destroy()
    await world[Symbol.asyncDispose]()
  })

  const sdkIn = (region: string): KMS => sdks[region] ?? expect.fail(region)
  const entryOf = async (name: string): Promise<InventoryEntry> =>
    (await (await world.run()).deps.inventory.get(name, HOME)) ?? expect.fail(`no entry of ${name}`)
  const make = async (name: string, more: Parameters<typeof requestFor>[1] = {}): Promise<KeyResult> =>
    provision((await world.run()).deps, requestFor(name, { multiRegion: true, replicas: [AWAY], ...more }))
  const stateIn = async (region: string, KeyId: string): Promise<string | undefined> =>
    (await sdkIn(region).describeKey({ KeyId })).KeyMetadata?.KeyState
  const keysIn = async (region: string): Promise<number> =>
    ((await sdkIn(region).listKeys({ Limit: 1000 })).Keys ?? []).length

  /** What was encrypted in one Region is decrypted in the other: both hold every generation. */
  const expectShared = async (KeyId: string, from = HOME, to = AWAY): Promise<void> => {
    const { CiphertextBlob } = await sdkIn(from).encrypt({ KeyId, Plaintext: Buffer.from("shared") })
    const { Plaintext } = await sdkIn(to).decrypt({ KeyId, CiphertextBlob })
    expect(Buffer.from(Plaintext ?? []).toString()).to.equal("shared")
  }

  for (const [kind, more, proof] of [
    ["symmetric", { custody: "sealed" }, "key-material-id"],
    ["HMAC", HMAC, "mac"],
    ["EC", EC, "public-key"],
  ] as const) {
    it(`has the same ${kind} material in every Region, proven there, with alias, tags and its own expiry`, async () => {
      const alias = `alias/both-${kind}`
      const request = { ...more, alias, tags: { team: "pay" }, description: "both", replicas: [AWAY, FAR] }
      const result = await make(`both-${kind}`, request)
      expect(result.replicas.map(({ region }) => region)).to.deep.equal([AWAY, FAR])
      for (const { region, keyArn, validTo, proof: there } of result.replicas) {
        expect(keyArn).to.include(`:${region}:`).and.to.include(result.keyId)
        expect(there).to.deep.equal({ kind: proof, result: "proven" })
        const { KeyMetadata } = await sdkIn(region).describeKey({ KeyId: alias })
        expect(KeyMetadata).to.include({ Arn: keyArn, KeyState: "Enabled", Description: "both" })
        expect(KeyMetadata?.ValidTo?.getTime()).to.equal(new Date(validTo ?? 0).getTime())
        const { deps } = await world.run({ region })
        expect(await deps.kms.listResourceTags(keyArn ?? "")).to.include({
          team: "pay",
          "keyferry:source": result.sourceKey.id,
        })
      }
      if (kind === "symmetric") await expectShared(result.keyId, FAR, AWAY)
      await world.kms.clearCounts()
      expect((await make(`both-${kind}`, request)).outcome).to.equal("nothing")
      expect((await world.kms.counts()).requests).to.deep.equal({ DescribeKey: 1 })
    })
  }

  it("takes a further replica later, with every generation", async () => {
    const first = await make("later", { replicas: [] })
    await rotateKey((await world.run()).deps, await entryOf("later"), AS_BEFORE)
    const { CiphertextBlob } = await sdkIn(HOME).encrypt({ KeyId: first.keyId, Plaintext: Buffer.from("new") })
    const { entry, changed } = await ensureReplica((await world.run()).deps, await entryOf("later"), AWAY, AS_BEFORE)
    expect(changed).to.equal(true)
    expect(entry.imports.filter(({ region }) => region === AWAY).map(({ generation }) => generation)).to.deep.equal([
      0, 1,
    ])
    await sdkIn(AWAY).decrypt({ KeyId: first.keyId, CiphertextBlob })
    expect((await ensureReplica((await world.run()).deps, entry, AWAY, AS_BEFORE)).changed).to.equal(false)
  })

  it("refuses, with nothing made, what cannot be: a foreign alias there, a custody that imports once, its own Region", async () => {
    const foreign = await createKey(sdkIn(AWAY))
    await sdkIn(AWAY).createAlias({ AliasName: "alias/theirs", TargetKeyId: foreign })
    await expectCode("ERR_KMS_ALIAS_TAKEN", () => make("no", { alias: "alias/theirs" }))
    await expectCode("ERR_REPLICA_REFUSED", () => make("no", { replicas: [HOME] }))
    await expectCode("ERR_USAGE", () => make("no", { multiRegion: false }))
    const once = { custody: "session", expiresIn: "never", acceptNoReimport: true } as const
    await expectCode("ERR_REPLICA_REFUSED", () => make("no", once))
    expect(await keysIn(HOME)).to.equal(0)
  })

  describe("after a stop", () => {
    const stops = [
      ["ReplicateKey", "access-denied", 1, 0],
      ["ReplicateKey", "drop-before", 1, 0],
      ["ReplicateKey", "drop-after", 1, 0],
      ["GetParametersForImport", "access-denied", 1, 1],
      ["ImportKeyMaterial", "drop-after", 3, 1],
      ["VerifyMac", "access-denied", 1, 1],
      ["CreateAlias", "drop-after", 1, 0],
    ] as const
    for (const [operation, kind, count, skip] of stops) {
      it(`there is one replica, filled: ${operation}, ${kind}`, async () => {
        const name = `stopped-${operation}-${kind}`
        const request = { ...HMAC, alias: `alias/${name}` }
        await world.kms.fault({ kind, operation, count, skip })
        const first = await make(name, request).then(
          (result) => result,
          () => null,
        )
        await world.kms.clearFaults()
        const result = first ?? (await make(name, request))
        expect(result.replicas.map(({ proof }) => proof?.result)).to.deep.equal(["proven"])
        expect(await stateIn(AWAY, `alias/${name}`)).to.equal("Enabled")
        expect(await stateIn(HOME, `alias/${name}`)).to.equal("Enabled")
        expect([await keysIn(HOME), await keysIn(AWAY)]).to.deep.equal([1, 1])
        expect(await entryOf(name)).to.include({ importing: null })
      })
    }
  })

  describe("rotate", () => {
    it("gives new material to the primary, then to every replica, then rotates", async () => {
      const first = await make("turned-both", { replicas: [AWAY, FAR] })
      const { CiphertextBlob } = await sdkIn(AWAY).encrypt({ KeyId: first.keyId, Plaintext: Buffer.from("old") })
      const result = await rotateKey((await world.run()).deps, await entryOf("turned-both"), AS_BEFORE)
      expect(result.generation).to.equal(1)
      expect(result.replicas.map(({ proof }) => proof)).to.deep.equal([
        { kind: "key-material-id", result: "proven" },
        { kind: "key-material-id", result: "proven" },
      ])
      for (const region of [HOME, AWAY, FAR]) {
        const { KeyMetadata } = await sdkIn(region).describeKey({ KeyId: first.keyId })
        expect(KeyMetadata).to.include({ KeyState: "Enabled", CurrentKeyMaterialId: result.keyMaterialId })
      }
      await expectShared(first.keyId)
      await sdkIn(FAR).decrypt({ KeyId: first.keyId, CiphertextBlob })
    })

    for (const [operation, kind, count, skip] of [
      ["ImportKeyMaterial", "drop-after", 2, 0],
      ["ImportKeyMaterial", "access-denied", 1, 1],
      ["ImportKeyMaterial", "drop-after", 3, 1],
      ["RotateKeyOnDemand", "drop-after", 1, 0],
      ["TagResource", "access-denied", 1, 1],
    ] as const) {
      it(`is one rotation in every Region after a stop: ${operation} ${skip + 1}, ${kind}`, async () => {
        const first = await make(`turn-${operation}-${kind}-${skip}`)
        const turn = async (): Promise<KeyResult> =>
          rotateKey((await world.run()).deps, await entryOf(first.name), AS_BEFORE)
        await world.kms.fault({ kind, operation, count, skip })
        const early = await turn().then(
          (result) => result,
          () => null,
        )
        await world.kms.clearFaults()
        const result = early ?? (await turn())
        expect(result.generation).to.equal(1)
        for (const region of [HOME, AWAY]) {
          const { KeyMetadata } = await sdkIn(region).describeKey({ KeyId: first.keyId })
          expect(KeyMetadata?.CurrentKeyMaterialId).to.equal(result.keyMaterialId)
        }
        await expectShared(first.keyId)
      })
    }

    it("goes to the primary where that has moved to another Region", async () => {
      const first = await make("moved")
      await sdkIn(HOME).updatePrimaryRegion({ KeyId: first.keyId, PrimaryRegion: AWAY })
      await (await world.run()).deps.sleep(60_000)
      const result = await rotateKey((await world.run()).deps, await entryOf("moved"), AS_BEFORE)
      expect(result.generation).to.equal(1)
      await expectShared(first.keyId)
    })

    it("is refused where a replica is not known, before anything is made", async () => {
      const first = await make("unknown")
      await sdkIn(HOME).replicateKey({ KeyId: first.keyId, ReplicaRegion: FAR })
      const error = await expectCode("ERR_KMS_KEY_MISMATCH", async () =>
        rotateKey((await world.run()).deps, await entryOf("unknown"), AS_BEFORE),
      )
      expect(error.hint).to.include(`--replica ${FAR}`)
      const taken = await make("unknown", { replicas: [AWAY, FAR] })
      expect(taken.replicas).to.have.length(2)
      const result = await rotateKey((await world.run()).deps, await entryOf("unknown"), AS_BEFORE)
      expect(result.generation).to.equal(1)
    })
  })

  it("replace makes the new key with the same Regions, and moves the alias in each", async () => {
    const old = await make("succeeded", { ...EC, alias: "alias/succeeded" })
    const result = await replaceKey((await world.run()).deps, await entryOf("succeeded"), {
      ...AS_BEFORE,
      description: null,
    })
    for (const region of [HOME, AWAY]) {
      const { KeyMetadata } = await sdkIn(region).describeKey({ KeyId: "alias/succeeded" })
      expect(KeyMetadata?.Arn).to.include(`:${region}:`).and.to.include(result.keyId)
      expect(await stateIn(region, old.keyId)).to.equal("Enabled")
      const { deps } = await world.run({ region })
      expect((await deps.kms.listResourceTags(old.keyId))["keyferry:replaced-by"]).to.include(result.keyId)
    }
    expect((await entryOf("succeeded")).former[0]?.replicas).to.have.length(1)
  })
})
