import { randomBytes } from "node:crypto"
import type { KMS } from "@aws-sdk/client-kms"
import { expect } from "chai"
import { kmsClient, type LocalKmsProcess, startLocalKms } from "#test/support/local-kms.js"
import { createKey, importedKey, importMaterial, makeMaterial, refusalOf } from "../support/local-kms-fixture.js"

const DAY = 24 * 3600

describe("local KMS: generations, rotation, expiry", () => {
  let kms: LocalKmsProcess
  let client: KMS
  let KeyId: string
  let first: Buffer
  let firstId: string
  before(async () => {
    kms = await startLocalKms()
    client = kmsClient(kms)
    await kms.clock.freeze()
  })
  after(() => kms.stop())
  beforeEach(async () => {
    KeyId = await createKey(client)
    first = randomBytes(32)
    firstId = (await importMaterial(client, KeyId, first))!
  })

  const describeKey = async () => (await client.describeKey({ KeyId })).KeyMetadata!
  const encrypt = () => client.encrypt({ KeyId, Plaintext: Buffer.from("plaintext") })
  const inSeconds = async (seconds: number) => new Date((await kms.clock.now()).getTime() + seconds * 1000)
  const rotations = async () =>
    (await client.listKeyRotations({ KeyId, IncludeKeyMaterial: "ALL_KEY_MATERIAL" })).Rotations!
  const states = async () =>
    (await rotations()).map(({ ImportState, KeyMaterialState }) => `${KeyMaterialState} ${ImportState}`)
  /** Stages new material and rotates to it. */
  async function rotate(material: Buffer, options: { ValidTo?: Date } = {}): Promise<string> {
    const id = await importMaterial(client, KeyId, material, { ImportType: "NEW_KEY_MATERIAL", ...options })
    await client.rotateKeyOnDemand({ KeyId })
    await kms.clock.advance(150)
    return id!
  }

  it("gives a material 64 hex digits that depend on key and material", async () => {
    expect(firstId).to.match(/^[0-9a-f]{64}$/)
    expect(await importMaterial(client, KeyId, first)).to.equal(firstId)
    const other = await createKey(client)
    expect(await importMaterial(client, other, first)).not.to.equal(firstId)
  })

  it("stages new material, rotates to it after a while, and decrypts with every generation", async () => {
    const old = await encrypt()
    const secondId = await importMaterial(client, KeyId, randomBytes(32), {
      ImportType: "NEW_KEY_MATERIAL",
      KeyMaterialDescription: "second one",
    })
    expect(await states()).to.deep.equal(["CURRENT IMPORTED", "PENDING_ROTATION IMPORTED"])
    expect(await describeKey()).to.include({ KeyState: "Enabled", CurrentKeyMaterialId: firstId })

    await client.rotateKeyOnDemand({ KeyId })
    const { OnDemandRotationStartDate } = await client.getKeyRotationStatus({ KeyId })
    expect(OnDemandRotationStartDate).to.deep.equal(await kms.clock.now())
    await kms.clock.advance(149)
    expect((await describeKey()).CurrentKeyMaterialId).to.equal(firstId)
    await kms.clock.advance(1)
    expect((await describeKey()).CurrentKeyMaterialId).to.equal(secondId)
    expect(await client.getKeyRotationStatus({ KeyId })).not.to.have.property("OnDemandRotationStartDate")
    expect(await states()).to.deep.equal(["NON_CURRENT IMPORTED", "CURRENT IMPORTED"])
    const [, second] = await rotations()
    expect(second).to.include({ KeyMaterialDescription: "second one", RotationType: "ON_DEMAND" })
    expect((await client.listKeyRotations({ KeyId })).Rotations!.length).to.equal(1)

    const fresh = await encrypt()
    expect((await client.decrypt({ CiphertextBlob: old.CiphertextBlob })).KeyMaterialId).to.equal(firstId)
    expect((await client.decrypt({ CiphertextBlob: fresh.CiphertextBlob })).KeyMaterialId).to.equal(secondId)
  })

  it("is unusable while any generation is missing, and usable once it is back", async () => {
    const old = await encrypt()
    await rotate(randomBytes(32))
    const deleted = await client.deleteImportedKeyMaterial({ KeyId, KeyMaterialId: firstId })
    expect(deleted.KeyMaterialId).to.equal(firstId)
    expect(await states()).to.deep.equal(["NON_CURRENT PENDING_IMPORT", "CURRENT IMPORTED"])
    expect((await describeKey()).KeyState).to.equal("PendingImport")
    expect((await refusalOf(encrypt())).name).to.equal("KMSInvalidStateException")
    expect((await refusalOf(client.decrypt({ CiphertextBlob: old.CiphertextBlob }))).name).to.equal(
      "KMSInvalidStateException",
    )
    await importMaterial(client, KeyId, first, { ImportType: "EXISTING_KEY_MATERIAL", KeyMaterialId: firstId })
    await client.decrypt({ CiphertextBlob: old.CiphertextBlob })
  })

  it("deletes idempotently and forgets pending material", async () => {
    const pending = await importMaterial(client, KeyId, randomBytes(32), { ImportType: "NEW_KEY_MATERIAL" })
    await client.deleteImportedKeyMaterial({ KeyId, KeyMaterialId: pending })
    expect(await states()).to.deep.equal(["CURRENT IMPORTED"])
    await client.deleteImportedKeyMaterial({ KeyId })
    await client.deleteImportedKeyMaterial({ KeyId })
    const { CurrentKeyMaterialId, KeyState, ExpirationModel } = await describeKey()
    expect({ CurrentKeyMaterialId, KeyState, ExpirationModel }).to.deep.equal({
      CurrentKeyMaterialId: firstId,
      KeyState: "PendingImport",
      ExpirationModel: undefined,
    })
    const empty = await createKey(client)
    expect(await client.deleteImportedKeyMaterial({ KeyId: empty })).not.to.have.property("KeyMaterialId")
  })

  it("rotates in what replaced the pending material meanwhile", async () => {
    const pending = await importMaterial(client, KeyId, randomBytes(32), { ImportType: "NEW_KEY_MATERIAL" })
    await client.rotateKeyOnDemand({ KeyId })
    await client.deleteImportedKeyMaterial({ KeyId, KeyMaterialId: pending })
    const replacement = await importMaterial(client, KeyId, randomBytes(32), { ImportType: "NEW_KEY_MATERIAL" })
    await kms.clock.advance(150)
    expect((await describeKey()).CurrentKeyMaterialId).to.equal(replacement)
  })

  it("refuses a rotation while one is under way, and the 26th", async () => {
    await importMaterial(client, KeyId, randomBytes(32), { ImportType: "NEW_KEY_MATERIAL" })
    await client.rotateKeyOnDemand({ KeyId })
    expect((await refusalOf(client.rotateKeyOnDemand({ KeyId }))).name).to.equal("ConflictException")
    await kms.clock.advance(150)
    for (let i = 1; i < 25; i++) await rotate(randomBytes(32))
    expect((await states()).length).to.equal(26)
    await importMaterial(client, KeyId, randomBytes(32), { ImportType: "NEW_KEY_MATERIAL" })
    expect((await refusalOf(client.rotateKeyOnDemand({ KeyId }))).name).to.equal("LimitExceededException")
  })

  it("takes as long to rotate as it was told", async () => {
    await kms.rotationSeconds(10)
    const id = await importMaterial(client, KeyId, randomBytes(32), { ImportType: "NEW_KEY_MATERIAL" })
    await client.rotateKeyOnDemand({ KeyId })
    await kms.clock.advance(10)
    await kms.rotationSeconds(150)
    expect((await describeKey()).CurrentKeyMaterialId).to.equal(id)
  })

  it("cuts ValidTo to whole seconds, and a later import changes it", async () => {
    const now = await kms.clock.now()
    const ValidTo = new Date(Math.floor(now.getTime() / 1000) * 1000 + 100_750)
    await importMaterial(client, KeyId, first, { ValidTo })
    const { ValidTo: kept, ExpirationModel } = await describeKey()
    expect({ kept, ExpirationModel }).to.deep.equal({
      kept: new Date(ValidTo.getTime() - 750),
      ExpirationModel: "KEY_MATERIAL_EXPIRES",
    })
    await importMaterial(client, KeyId, first)
    expect(await describeKey()).to.include({ ExpirationModel: "KEY_MATERIAL_DOES_NOT_EXPIRE" })
  })

  it("loses material that expires, lists it still, and takes it back", async () => {
    const old = await encrypt()
    await importMaterial(client, KeyId, first, { ValidTo: await inSeconds(DAY) })
    await kms.clock.advance(DAY - 1)
    expect((await describeKey()).KeyState).to.equal("Enabled")
    await kms.clock.advance(1)
    const { KeyState, Enabled, ExpirationModel, ValidTo } = await describeKey()
    expect({ KeyState, Enabled, ExpirationModel, ValidTo }).to.deep.equal({
      KeyState: "PendingImport",
      Enabled: false,
      ExpirationModel: undefined,
      ValidTo: undefined,
    })
    const [listed] = await rotations()
    expect(listed!.ImportState).to.equal("IMPORTED")
    expect(listed!.ValidTo!.getTime()).to.be.at.most((await kms.clock.now()).getTime())
    expect((await refusalOf(encrypt())).name).to.equal("KMSInvalidStateException")
    expect((await refusalOf(importMaterial(client, KeyId, randomBytes(32)))).name).to.equal(
      "IncorrectKeyMaterialException",
    )
    await importMaterial(client, KeyId, first)
    await client.decrypt({ CiphertextBlob: old.CiphertextBlob })
  })

  it("names the earliest expiry of all generations", async () => {
    const [soon, late] = [await inSeconds(DAY), await inSeconds(300 * DAY)]
    await importMaterial(client, KeyId, first, { ValidTo: soon })
    await rotate(randomBytes(32), { ValidTo: late })
    const truncated = new Date(Math.floor(soon.getTime() / 1000) * 1000)
    expect((await describeKey()).ValidTo).to.deep.equal(truncated)
    await kms.clock.advance(DAY)
    expect((await describeKey()).KeyState).to.equal("PendingImport")
  })

  it("does not enforce the expiry of pending material until it is rotated in", async () => {
    const id = await importMaterial(client, KeyId, randomBytes(32), {
      ImportType: "NEW_KEY_MATERIAL",
      ValidTo: await inSeconds(60),
    })
    await kms.clock.advance(900)
    expect(await states()).to.deep.equal(["CURRENT IMPORTED", "PENDING_ROTATION IMPORTED"])
    await client.rotateKeyOnDemand({ KeyId })
    await kms.clock.advance(150)
    expect(await describeKey()).to.include({ KeyState: "PendingImport", CurrentKeyMaterialId: id })
  })

  it("keeps one material for ever in keys that are not symmetric", async () => {
    const material = makeMaterial("HMAC_256")
    const hmac = await importedKey(client, "HMAC_256", material)
    const other = importMaterial(client, hmac, makeMaterial("HMAC_256"), { keySpec: "HMAC_256" })
    expect((await refusalOf(other)).name).to.equal("IncorrectKeyMaterialException")
    await client.deleteImportedKeyMaterial({ KeyId: hmac })
    const again = importMaterial(client, hmac, makeMaterial("HMAC_256"), { keySpec: "HMAC_256" })
    expect((await refusalOf(again)).message).to.match(
      /^Imported key material does not have the expected identifier \([0-9a-f]{64}\)\.$/,
    )
    expect(await importMaterial(client, hmac, material, { keySpec: "HMAC_256" })).to.equal(undefined)
  })

  it("keeps the description of a material until another is given", async () => {
    const describe = async () => (await rotations())[0]!.KeyMaterialDescription
    await importMaterial(client, KeyId, first, { KeyMaterialDescription: "box 7" })
    await importMaterial(client, KeyId, first)
    expect(await describe()).to.equal("box 7")
    await importMaterial(client, KeyId, first, { KeyMaterialDescription: "box 8" })
    expect(await describe()).to.equal("box 8")
  })
})
