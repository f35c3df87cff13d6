import { randomBytes } from "node:crypto"
import type { KMS, KeyMetadata } from "@aws-sdk/client-kms"
import { expect } from "chai"
import type { KeySpec } from "#src/core/key/key-spec.js"
import { kmsClient, type LocalKmsProcess, startLocalKms } from "#test/support/local-kms.js"
import {
  createKey,
  getParameters,
  importMaterial,
  makeMaterial,
  refusalOf,
  spkiOf,
  wrapWith,
} from "../support/local-kms-fixture.js"

const [HOME, PARIS, TOKYO] = ["us-east-1", "eu-west-3", "ap-northeast-1"] as const
const DAY = 24 * 3600
const NEW = { ImportType: "NEW_KEY_MATERIAL" } as const
const EXISTING = { ImportType: "EXISTING_KEY_MATERIAL" } as const
const WAITING = "PENDING_MULTI_REGION_IMPORT_AND_ROTATION"

describe("local KMS: multi-Region keys", () => {
  let kms: LocalKmsProcess
  let home: KMS
  let paris: KMS
  let tokyo: KMS
  /** The ID that all Regions share. */
  let KeyId: string
  let first: Buffer
  let firstId: string
  before(async () => {
    kms = await startLocalKms({ regions: [HOME, PARIS, TOKYO, "cn-north-1"] })
    await kms.clock.freeze()
    home = kmsClient(kms, HOME)
    paris = kmsClient(kms, PARIS)
    tokyo = kmsClient(kms, TOKYO)
  })
  after(() => kms.stop())
  beforeEach(async () => {
    KeyId = await createMultiRegion()
    first = randomBytes(32)
    firstId = (await importMaterial(home, KeyId, first))!
  })

  async function createMultiRegion(keySpec: KeySpec = "SYMMETRIC_DEFAULT", usage?: "SIGN_VERIFY"): Promise<string> {
    const KeyUsage = usage ?? (keySpec === "SYMMETRIC_DEFAULT" ? "ENCRYPT_DECRYPT" : "GENERATE_VERIFY_MAC")
    const { KeyMetadata } = await home.createKey({ Origin: "EXTERNAL", MultiRegion: true, KeySpec: keySpec, KeyUsage })
    return KeyMetadata!.KeyId!
  }
  const arn = (region: string, id = KeyId) => `arn:aws:kms:${region}:111122223333:key/${id}`
  const at = (region: string, id?: string) => ({ Arn: arn(region, id), Region: region })
  const describeIn = async (client: KMS): Promise<KeyMetadata> => (await client.describeKey({ KeyId })).KeyMetadata!
  const stateIn = async (client: KMS) => (await describeIn(client)).KeyState
  const listIn = async (client: KMS) =>
    (await client.listKeyRotations({ KeyId, IncludeKeyMaterial: "ALL_KEY_MATERIAL" })).Rotations!
  const materialsIn = async (client: KMS) =>
    (await listIn(client)).map((entry) => `${entry.KeyMaterialState} ${entry.ImportState}`)
  async function replicate(region: string = PARIS): Promise<void> {
    await home.replicateKey({ KeyId, ReplicaRegion: region })
    await kms.clock.advance(2)
  }
  /** A replica that holds the first material. */
  async function ready(...clients: [KMS, string][]): Promise<void> {
    for (const [client, region] of clients) {
      await replicate(region)
      await importMaterial(client, KeyId, first)
    }
  }
  const refusal = async (call: Promise<unknown>) => {
    const { name, message } = await refusalOf(call)
    return [name, message]
  }

  describe("ReplicateKey", () => {
    it("makes a replica with the same ID, spec and material ID and with properties of its own", async () => {
      await home.tagResource({ KeyId, Tags: [{ TagKey: "a", TagValue: "home" }] })
      const answer = await home.replicateKey({
        KeyId: arn(HOME),
        ReplicaRegion: PARIS,
        Description: "in Paris",
        Policy: "{}",
        BypassPolicyLockoutSafetyCheck: true,
        Tags: [{ TagKey: "b", TagValue: "Paris" }],
      })
      expect(answer.ReplicaKeyMetadata).to.deep.include({
        KeyId,
        Arn: arn(PARIS),
        KeyState: "Creating",
        Enabled: false,
        Origin: "EXTERNAL",
        MultiRegion: true,
        KeySpec: "SYMMETRIC_DEFAULT",
        KeyUsage: "ENCRYPT_DECRYPT",
        Description: "in Paris",
        MultiRegionConfiguration: { MultiRegionKeyType: "REPLICA", PrimaryKey: at(HOME), ReplicaKeys: [at(PARIS)] },
      })
      expect(answer.ReplicaPolicy).to.equal("{}")
      expect(answer.ReplicaTags).to.deep.equal([{ TagKey: "b", TagValue: "Paris" }])
      expect((await paris.listResourceTags({ KeyId })).Tags).to.deep.equal(answer.ReplicaTags)
      expect((await paris.getKeyPolicy({ KeyId })).Policy).to.equal("{}")
      expect((await home.listResourceTags({ KeyId })).Tags).to.deep.equal([{ TagKey: "a", TagValue: "home" }])
      const { CurrentKeyMaterialId, MultiRegionConfiguration, Description, KeyState } = await describeIn(home)
      expect([CurrentKeyMaterialId, Description, KeyState]).to.deep.equal([firstId, "", "Enabled"])
      expect(MultiRegionConfiguration).to.deep.equal({
        MultiRegionKeyType: "PRIMARY",
        PrimaryKey: at(HOME),
        ReplicaKeys: [at(PARIS)],
      })
    })

    it("leaves it Creating for a while, then PendingImport: neither takes material before nor works after", async () => {
      await home.replicateKey({ KeyId, ReplicaRegion: PARIS })
      const creating = ["KMSInvalidStateException", `${arn(PARIS)} is creating.`]
      expect(await refusal(getParameters(paris, KeyId, "RSAES_OAEP_SHA_256"))).to.deep.equal(creating)
      expect(await refusal(paris.disableKey({ KeyId }))).to.deep.equal(creating)
      await paris.updateKeyDescription({ KeyId, Description: "can be managed" })
      await kms.clock.advance(1)
      expect(await stateIn(paris)).to.equal("Creating")
      await kms.clock.advance(1)
      expect(await stateIn(paris)).to.equal("PendingImport")
      expect(await refusal(paris.encrypt({ KeyId, Plaintext: first }))).to.deep.equal([
        "KMSInvalidStateException",
        `${arn(PARIS)} is pending import.`,
      ])
      await kms.replicationSeconds(60)
      await home.replicateKey({ KeyId, ReplicaRegion: TOKYO })
      await kms.replicationSeconds(2)
      await kms.clock.advance(59)
      expect(await stateIn(tokyo)).to.equal("Creating")
      await kms.clock.advance(1)
      expect(await stateIn(tokyo)).to.equal("PendingImport")
    })

    it("refuses what is no primary key, or not one in use, and Regions that have or can have none", async () => {
      const to = (ReplicaRegion: string) => home.replicateKey({ KeyId, ReplicaRegion })
      const name = async (call: Promise<unknown>) => (await refusalOf(call)).name
      const single = await createKey(home)
      expect(await name(home.replicateKey({ KeyId: single, ReplicaRegion: PARIS }))).to.equal(
        "UnsupportedOperationException",
      )
      await replicate()
      expect(await name(paris.replicateKey({ KeyId, ReplicaRegion: TOKYO }))).to.equal("UnsupportedOperationException")
      expect(await name(to(PARIS))).to.equal("AlreadyExistsException")
      expect(await name(to(HOME))).to.equal("ValidationException")
      for (const region of ["cn-north-1", "eu-north-1", "Paris"]) {
        expect(await name(to(region)), region).to.equal("ValidationException")
      }
      expect(await name(home.replicateKey({ KeyId: "alias/x", ReplicaRegion: TOKYO }))).to.equal("NotFoundException")
      await home.disableKey({ KeyId })
      expect(await name(to(TOKYO))).to.equal("DisabledException")
      await home.deleteImportedKeyMaterial({ KeyId })
      expect(await refusal(to(TOKYO))).to.deep.equal(["KMSInvalidStateException", `${arn(HOME)} is pending import.`])
      expect(await name(tokyo.describeKey({ KeyId }))).to.equal("NotFoundException")
    })

    it("costs two requests of CreateKey in the Region of the replica", async () => {
      await kms.quotas({ preset: "off", rates: { CreateKey: 2 } })
      await createKey(paris)
      const call = () => home.replicateKey({ KeyId, ReplicaRegion: PARIS })
      expect((await refusalOf(call())).name).to.equal("ThrottlingException")
      await kms.clock.advance(1)
      await call()
      await kms.quotas({ preset: "off" })
    })
  })

  describe("import", () => {
    it("takes only the primary key's material, under wrapping keys and tokens of the Region", async () => {
      await replicate()
      const other = randomBytes(32)
      for (const options of [{}, EXISTING, { KeyMaterialId: firstId, ...EXISTING }]) {
        expect(await refusal(importMaterial(paris, KeyId, other, options))).to.deep.equal([
          "IncorrectKeyMaterialException",
          `Imported key material does not have the expected identifier (${firstId}).`,
        ])
      }
      expect(await refusal(importMaterial(paris, KeyId, other, NEW))).to.deep.equal([
        "ValidationException",
        "Input parameter ImportType NEW_KEY_MATERIAL cannot be used on replica Multi-Region keys",
      ])
      expect(await refusal(importMaterial(paris, KeyId, first, { KeyMaterialDescription: "x" }))).to.deep.equal([
        "ValidationException",
        "Key material description can only be specified on primary Multi-Region keys",
      ])
      const lent = await getParameters(home, KeyId, "RSAES_OAEP_SHA_256")
      const call = paris.importKeyMaterial({
        KeyId,
        ImportToken: lent.importToken,
        EncryptedKeyMaterial: wrapWith("RSAES_OAEP_SHA_256", lent.publicKey, first),
        ExpirationModel: "KEY_MATERIAL_DOES_NOT_EXPIRE",
      })
      expect((await refusalOf(call)).name).to.equal("InvalidImportTokenException")
      expect(await importMaterial(paris, KeyId, first)).to.equal(firstId)
      expect(await stateIn(paris)).to.equal("Enabled")
      const { CiphertextBlob } = await home.encrypt({ KeyId, Plaintext: Buffer.from("plaintext") })
      const { Plaintext, KeyId: used } = await paris.decrypt({ CiphertextBlob })
      expect([Buffer.from(Plaintext!).toString(), used]).to.deep.equal(["plaintext", arn(PARIS)])
    })

    for (const keySpec of ["HMAC_256", "ECC_NIST_P256"] as const) {
      it(`takes only the primary key's material for ${keySpec} too`, async () => {
        KeyId = await createMultiRegion(keySpec, keySpec === "HMAC_256" ? undefined : "SIGN_VERIFY")
        const material = makeMaterial(keySpec)
        await importMaterial(home, KeyId, material, { keySpec })
        await replicate()
        const other = importMaterial(paris, KeyId, makeMaterial(keySpec), { keySpec })
        expect((await refusalOf(other)).message).to.match(
          /^Imported key material does not have the expected identifier \([0-9a-f]{64}\)\.$/,
        )
        expect(await stateIn(paris)).to.equal("PendingImport")
        await importMaterial(paris, KeyId, material, { keySpec })
        if (keySpec === "HMAC_256") {
          const request = { KeyId, Message: first, MacAlgorithm: "HMAC_SHA_256" } as const
          const [mac, again] = [await home.generateMac(request), await paris.generateMac(request)]
          expect(again.Mac).to.deep.equal(mac.Mac)
        } else {
          const { PublicKey } = await paris.getPublicKey({ KeyId })
          expect(Buffer.from(PublicKey!)).to.deep.equal(spkiOf(material))
        }
      })
    }

    it("expires, is disabled and is deleted in each Region apart", async () => {
      await ready([paris, PARIS], [tokyo, TOKYO])
      const ValidTo = new Date((await kms.clock.now()).getTime() + DAY * 1000)
      await importMaterial(paris, KeyId, first, { ValidTo })
      await tokyo.disableKey({ KeyId })
      await tokyo.createAlias({ AliasName: "alias/tokyo", TargetKeyId: KeyId })
      await kms.clock.advance(DAY)
      expect([await stateIn(home), await stateIn(paris), await stateIn(tokyo)]).to.deep.equal([
        ...["Enabled", "PendingImport", "Disabled"],
      ])
      expect(await describeIn(home)).to.include({ ExpirationModel: "KEY_MATERIAL_DOES_NOT_EXPIRE" })
      expect((await home.listAliases({ KeyId })).Aliases).to.deep.equal([])
      await home.deleteImportedKeyMaterial({ KeyId })
      await importMaterial(paris, KeyId, first)
      expect([await stateIn(home), await stateIn(paris), await stateIn(tokyo)]).to.deep.equal([
        ...["PendingImport", "Enabled", "Disabled"],
      ])
      expect(await materialsIn(home)).to.deep.equal(["CURRENT PENDING_IMPORT"])
      expect(await materialsIn(tokyo)).to.deep.equal(["CURRENT IMPORTED"])
    })
  })

  describe("rotation", () => {
    it("waits until every replica has the new material, then happens in all Regions", async () => {
      await ready([paris, PARIS], [tokyo, TOKYO])
      const second = randomBytes(32)
      const secondId = (await importMaterial(home, KeyId, second, { ...NEW, KeyMaterialDescription: "second" }))!
      const tooEarly = [
        "KMSInvalidStateException",
        "Cannot perform key material rotation: Key material has not been imported for replicas of the Multi-Region key.",
      ]
      expect(await materialsIn(home)).to.deep.equal(["CURRENT IMPORTED", `${WAITING} IMPORTED`])
      expect(await materialsIn(paris)).to.deep.equal(["CURRENT IMPORTED", `${WAITING} PENDING_IMPORT`])
      expect(await refusal(home.rotateKeyOnDemand({ KeyId }))).to.deep.equal(tooEarly)
      expect(await importMaterial(paris, KeyId, second, { ...EXISTING, KeyMaterialId: secondId })).to.equal(secondId)
      expect(await materialsIn(home)).to.deep.equal(["CURRENT IMPORTED", `${WAITING} IMPORTED`])
      expect(await refusal(home.rotateKeyOnDemand({ KeyId }))).to.deep.equal(tooEarly)
      await importMaterial(tokyo, KeyId, second, EXISTING)
      for (const client of [home, paris, tokyo]) {
        expect(await materialsIn(client)).to.deep.equal(["CURRENT IMPORTED", "PENDING_ROTATION IMPORTED"])
      }
      expect((await refusalOf(paris.rotateKeyOnDemand({ KeyId }))).name).to.equal("UnsupportedOperationException")
      const old = await tokyo.encrypt({ KeyId, Plaintext: Buffer.from("old") })
      await home.rotateKeyOnDemand({ KeyId })
      expect((await paris.getKeyRotationStatus({ KeyId })).OnDemandRotationStartDate).to.be.instanceOf(Date)
      await kms.clock.advance(150)
      for (const client of [paris, home, tokyo]) {
        expect((await describeIn(client)).CurrentKeyMaterialId).to.equal(secondId)
        expect(await materialsIn(client)).to.deep.equal(["NON_CURRENT IMPORTED", "CURRENT IMPORTED"])
        expect((await client.decrypt({ CiphertextBlob: old.CiphertextBlob })).KeyMaterialId).to.equal(firstId)
        expect((await listIn(client))[1]).to.include({ RotationType: "ON_DEMAND", KeyMaterialDescription: "second" })
      }
      const fresh = await paris.encrypt({ KeyId, Plaintext: Buffer.from("new") })
      expect((await home.decrypt({ CiphertextBlob: fresh.CiphertextBlob })).KeyMaterialId).to.equal(secondId)
      // every generation, in every Region
      await paris.deleteImportedKeyMaterial({ KeyId, KeyMaterialId: firstId })
      expect([await stateIn(paris), await stateIn(home)]).to.deep.equal(["PendingImport", "Enabled"])
    })

    it("leaves a replica that is made later without any generation; it wants them all", async () => {
      const second = randomBytes(32)
      const secondId = await importMaterial(home, KeyId, second, NEW)
      expect(await materialsIn(home)).to.deep.equal(["CURRENT IMPORTED", "PENDING_ROTATION IMPORTED"])
      await home.rotateKeyOnDemand({ KeyId })
      await kms.clock.advance(150)
      await replicate()
      expect(await materialsIn(paris)).to.deep.equal(["NON_CURRENT PENDING_IMPORT", "CURRENT PENDING_IMPORT"])
      await importMaterial(paris, KeyId, second)
      expect(await describeIn(paris)).to.include({ KeyState: "PendingImport", CurrentKeyMaterialId: secondId })
      await importMaterial(paris, KeyId, first, { ...EXISTING, KeyMaterialId: firstId })
      expect(await stateIn(paris)).to.equal("Enabled")
    })

    it("forgets pending material everywhere when the primary key's is deleted, in one Region when a replica's is", async () => {
      await ready([paris, PARIS], [tokyo, TOKYO])
      const second = randomBytes(32)
      const KeyMaterialId = await importMaterial(home, KeyId, second, NEW)
      await importMaterial(paris, KeyId, second)
      await importMaterial(tokyo, KeyId, second)
      await paris.deleteImportedKeyMaterial({ KeyId, KeyMaterialId })
      expect(await materialsIn(paris)).to.deep.equal(["CURRENT IMPORTED", `${WAITING} PENDING_IMPORT`])
      expect(await materialsIn(tokyo)).to.deep.equal(["CURRENT IMPORTED", `${WAITING} IMPORTED`])
      expect((await refusalOf(home.rotateKeyOnDemand({ KeyId }))).name).to.equal("KMSInvalidStateException")
      await home.deleteImportedKeyMaterial({ KeyId, KeyMaterialId })
      for (const client of [home, paris, tokyo]) {
        expect(await materialsIn(client)).to.deep.equal(["CURRENT IMPORTED"])
      }
      const refused = importMaterial(tokyo, KeyId, second)
      expect((await refusalOf(refused)).name).to.equal("IncorrectKeyMaterialException")
      await importMaterial(home, KeyId, second, NEW)
    })
  })

  describe("UpdatePrimaryRegion", () => {
    it("swaps the roles; both keys are Updating for a while and work meanwhile", async () => {
      await ready([paris, PARIS], [tokyo, TOKYO])
      const lent = await getParameters(paris, KeyId, "RSAES_OAEP_SHA_256")
      await home.updatePrimaryRegion({ KeyId, PrimaryRegion: PARIS })
      for (const client of [home, paris]) {
        expect(await stateIn(client)).to.equal("Updating")
        await client.encrypt({ KeyId, Plaintext: first })
        for (const call of [client.disableKey({ KeyId }), getParameters(client, KeyId, "RSAES_OAEP_SHA_256")]) {
          expect((await refusalOf(call)).message).to.match(/is updating\.$/)
        }
      }
      await paris.importKeyMaterial({
        KeyId,
        ImportToken: lent.importToken,
        EncryptedKeyMaterial: wrapWith("RSAES_OAEP_SHA_256", lent.publicKey, first),
        ExpirationModel: "KEY_MATERIAL_DOES_NOT_EXPIRE",
      })
      expect(await stateIn(tokyo)).to.equal("Enabled")
      await kms.clock.advance(2)
      expect([await stateIn(home), await stateIn(paris)]).to.deep.equal(["Enabled", "Enabled"])
      for (const client of [home, paris, tokyo]) {
        const { MultiRegionConfiguration } = await describeIn(client)
        expect(MultiRegionConfiguration).to.deep.equal({
          MultiRegionKeyType: client === paris ? "PRIMARY" : "REPLICA",
          PrimaryKey: at(PARIS),
          ReplicaKeys: [at(HOME), at(TOKYO)],
        })
      }
      expect((await refusalOf(importMaterial(home, KeyId, randomBytes(32), NEW))).name).to.equal("ValidationException")
      await importMaterial(paris, KeyId, randomBytes(32), NEW)
    })

    it("refuses replicas, Regions without one, and keys that are not enabled", async () => {
      await replicate()
      const to = (client: KMS, PrimaryRegion: string) => refusalOf(client.updatePrimaryRegion({ KeyId, PrimaryRegion }))
      expect((await to(paris, HOME)).name).to.equal("UnsupportedOperationException")
      expect((await to(home, TOKYO)).name).to.equal("NotFoundException")
      expect((await to(home, HOME)).name).to.equal("ValidationException")
      expect((await to(home, PARIS)).message).to.equal(`${arn(PARIS)} is pending import.`)
      await importMaterial(paris, KeyId, first)
      await paris.disableKey({ KeyId })
      expect((await to(home, PARIS)).name).to.equal("DisabledException")
    })
  })

  describe("deletion", () => {
    it("of a primary key waits for its replicas, then for its own window", async () => {
      await ready([paris, PARIS], [tokyo, TOKYO])
      const answer = await home.scheduleKeyDeletion({ KeyId, PendingWindowInDays: 7 })
      expect(answer).to.include({ KeyState: "PendingReplicaDeletion", PendingWindowInDays: 7 })
      expect(answer).not.to.have.property("DeletionDate")
      expect(await describeIn(home)).to.include({ KeyState: "PendingReplicaDeletion", PendingDeletionWindowInDays: 7 })
      expect(await refusal(home.encrypt({ KeyId, Plaintext: first }))).to.deep.equal([
        "KMSInvalidStateException",
        `${arn(HOME)} is pending replica deletion.`,
      ])
      await paris.encrypt({ KeyId, Plaintext: first })
      await paris.scheduleKeyDeletion({ KeyId, PendingWindowInDays: 7 })
      await tokyo.scheduleKeyDeletion({ KeyId, PendingWindowInDays: 10 })
      await kms.clock.advance(8 * DAY)
      expect((await refusalOf(paris.describeKey({ KeyId }))).name).to.equal("NotFoundException")
      expect(await describeIn(home))
        .to.have.nested.property("MultiRegionConfiguration.ReplicaKeys")
        .with.length(1)
      expect(await stateIn(home)).to.equal("PendingReplicaDeletion")
      await kms.clock.advance(8 * DAY)
      const { KeyState, DeletionDate, PendingDeletionWindowInDays } = await describeIn(home)
      expect([KeyState, PendingDeletionWindowInDays]).to.deep.equal(["PendingDeletion", undefined])
      // ten days for Tokyo, then the seven of the primary key; sixteen have gone by
      expect(DeletionDate!.getTime() - (await kms.clock.now()).getTime()).to.equal(DAY * 1000)
      await kms.clock.advance(DAY)
      expect((await refusalOf(home.describeKey({ KeyId }))).name).to.equal("NotFoundException")
      expect((await home.listKeys({})).Keys!.map((key) => key.KeyId)).not.to.include(KeyId)
    })

    it("can be cancelled, and a replica that is gone can be made again", async () => {
      await ready([paris, PARIS])
      await home.scheduleKeyDeletion({ KeyId })
      await home.cancelKeyDeletion({ KeyId })
      expect(await stateIn(home)).to.equal("Disabled")
      await home.enableKey({ KeyId })
      await paris.createAlias({ AliasName: "alias/gone", TargetKeyId: KeyId })
      await paris.scheduleKeyDeletion({ KeyId, PendingWindowInDays: 7 })
      const again = () => home.replicateKey({ KeyId, ReplicaRegion: PARIS })
      expect((await refusalOf(again())).name).to.equal("AlreadyExistsException")
      await kms.clock.advance(7 * DAY)
      await again()
      await kms.clock.advance(2)
      expect(await stateIn(paris)).to.equal("PendingImport")
      expect((await paris.listAliases({})).Aliases!.map((alias) => alias.AliasName)).not.to.include("alias/gone")
      await importMaterial(paris, KeyId, first)
    })
  })
})
