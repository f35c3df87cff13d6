import { createPublicKey, generateKeyPairSync, randomBytes, verify } from "node:crypto"
import { expect } from "chai"
import type { ErrorCode } from "#src/core/base/error.js"
import type { Kms } from "#src/core/ports/kms.js"
import type { FaultKind } from "#src/local-kms/server/faults.js"
import { expectCode } from "#test/support/expect-code.js"
import { type LocalKmsProcess, startLocalKms } from "#test/support/local-kms.js"
import { wrapOaep } from "#test/support/openssl.js"
import { awsEnvironment, openAt, SYMMETRIC } from "../support/aws-environment.js"

const DAY = 24 * 3600 * 1000

describe("the life of a KMS key, against the local KMS", () => {
  awsEnvironment()
  let local: LocalKmsProcess
  let kms: Kms & Disposable
  before(async () => {
    local = await startLocalKms()
    kms = (await openAt(local)).kms
  })
  after(async () => {
    kms[Symbol.dispose]()
    await local.stop()
  })

  const made = async (request: Partial<Parameters<Kms["createKey"]>[0]> = {}): Promise<string> =>
    (await kms.createKey({ ...SYMMETRIC, ...request })).key.keyArn

  const importInto = async (
    keyArn: string,
    terms: Parameters<Kms["importKeyMaterial"]>[3] = { validTo: null },
    material: Uint8Array = randomBytes(32),
  ): Promise<string> => {
    const parameters = await kms.getParametersForImport(keyArn, "RSAES_OAEP_SHA_256", "RSA_3072")
    const wrapped = wrapOaep(parameters.wrappingKey.spki, material, "sha256")
    return (await kms.importKeyMaterial(keyArn, parameters.importToken, wrapped, terms)).keyMaterialId ?? ""
  }

  const aliases = async (keyArn?: string): Promise<string[]> => {
    const found: string[] = []
    for await (const { alias } of kms.listAliases(keyArn)) found.push(alias)
    return found
  }

  it("is disabled, enabled, and scheduled to be deleted", async () => {
    const keyArn = await made()
    await importInto(keyArn)
    await kms.disableKey(keyArn)
    await kms.disableKey(keyArn)
    expect(await kms.describeKey(keyArn)).to.include({ keyState: "Disabled" })
    await kms.enableKey(keyArn)
    expect(await kms.describeKey(keyArn)).to.include({ keyState: "Enabled" })
    const { deletionDate } = await kms.scheduleKeyDeletion(keyArn, 7)
    expect(await kms.describeKey(keyArn)).to.include({ keyState: "PendingDeletion" })
    expect(Math.round(((deletionDate?.getTime() ?? 0) - Date.now()) / DAY)).to.equal(7)
    expect((await kms.describeKey(keyArn)).deletionDate).to.deep.equal(deletionDate)
    await expectCode("ERR_KMS_KEY_STATE", () => kms.scheduleKeyDeletion(keyArn, 7))
  })

  it("changes its description, policy and tags", async () => {
    const policy = JSON.stringify({ Version: "2012-10-17", Statement: [] })
    const keyArn = await made({ description: "before", policy, tags: { a: "1", b: "2" } })
    expect(JSON.parse(await kms.getKeyPolicy(keyArn))).to.deep.equal(JSON.parse(policy))
    await kms.putKeyPolicy(keyArn, '{"Version":"2012-10-17"}')
    await kms.updateKeyDescription(keyArn, "after")
    await kms.untagResource(keyArn, ["a"])
    expect(JSON.parse(await kms.getKeyPolicy(keyArn))).to.deep.equal({ Version: "2012-10-17" })
    expect((await kms.describeKey(keyArn)).description).to.equal("after")
    expect(await kms.listResourceTags(keyArn)).to.deep.equal({ b: "2" })
  })

  it("moves an alias from key to key", async () => {
    const [first, second] = [await made(), await made()]
    await kms.createAlias("alias/moves", first)
    expect(await aliases(first)).to.deep.equal(["alias/moves"])
    await kms.updateAlias("alias/moves", second)
    expect(await aliases(first)).to.deep.equal([])
    expect(await aliases(second)).to.deep.equal(["alias/moves"])
    expect(await aliases()).to.include("alias/moves")
    await expectCode("ERR_KMS_KEY_NOT_FOUND", () => kms.updateAlias("alias/none", second))
  })

  it("rotates to new key material and forgets none", async () => {
    await local.rotationSeconds(2)
    const keyArn = await made()
    const first = await importInto(keyArn)
    await expectCode("ERR_KMS_KEY_STATE", () => kms.rotateKeyOnDemand(keyArn))
    const validTo = new Date(Math.ceil(Date.now() / 1000) * 1000 + DAY)
    const second = await importInto(keyArn, { validTo, importType: "NEW_KEY_MATERIAL" })
    expect((await kms.keyRotationStatus(keyArn)).onDemandRotationStartDate).to.equal(null)
    await kms.rotateKeyOnDemand(keyArn)
    expect((await kms.keyRotationStatus(keyArn)).onDemandRotationStartDate).to.be.instanceOf(Date)
    await local.clock.advance(3)
    const [older, newer] = await kms.listKeyRotations(keyArn)
    expect(older).to.deep.equal({
      keyMaterialId: first,
      importState: "IMPORTED",
      keyMaterialState: "NON_CURRENT",
      expirationModel: "KEY_MATERIAL_DOES_NOT_EXPIRE",
      validTo: null,
      rotationDate: null,
      rotationType: null,
    })
    expect(newer).to.include({ keyMaterialId: second, keyMaterialState: "CURRENT", rotationType: "ON_DEMAND" })
    expect(newer?.rotationDate).to.be.instanceOf(Date)
    await kms.deleteImportedKeyMaterial(keyArn, first)
    await kms.deleteImportedKeyMaterial(keyArn, first)
    expect((await kms.listKeyRotations(keyArn))[0]?.importState).to.equal("PENDING_IMPORT")
    expect((await kms.describeKey(keyArn)).keyState).to.equal("PendingImport")
    await expectCode("ERR_KMS_KEY_MATERIAL", () => kms.deleteImportedKeyMaterial(keyArn, "0".repeat(64)))
    await local.clock.set(new Date())
  })

  it("signs what the public key verifies", async () => {
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" })
    const keyArn = await made({ keySpec: "ECC_NIST_P256", keyUsage: "SIGN_VERIFY" })
    await importInto(keyArn, { validTo: null }, privateKey.export({ format: "der", type: "pkcs8" }))
    const message = randomBytes(100)
    const signature = await kms.sign(keyArn, message, "ECDSA_SHA_256")
    const spki = createPublicKey({ key: Buffer.from(await kms.getPublicKey(keyArn)), format: "der", type: "spki" })
    expect(verify("sha256", message, spki, signature)).to.equal(true)
    await expectCode("ERR_KMS_KEY_STATE", async () => {
      await kms.disableKey(keyArn)
      await kms.sign(keyArn, message, "ECDSA_SHA_256")
    })
  })

  it("knows what it is among the Regions of a multi-Region key", async () => {
    const primary = await kms.describeKey(await made({ multiRegion: true }))
    expect(primary.multiRegionConfiguration).to.deep.equal({
      type: "PRIMARY",
      primary: { arn: primary.keyArn, region: "us-east-1" },
      replicas: [],
    })
    expect((await kms.describeKey(await made())).multiRegionConfiguration).to.equal(null)
  })

  /** One dropped answer after it took effect: what comes of it, after how many requests. */
  const cases: [
    operation: string,
    fault: FaultKind,
    run: (keyArn: string) => Promise<unknown>,
    expected: ErrorCode | null,
    sent: number,
  ][] = [
    ["DisableKey", "drop-after", (key) => kms.disableKey(key), null, 2],
    ["EnableKey", "internal", (key) => kms.enableKey(key), null, 2],
    ["UntagResource", "drop-after", (key) => kms.untagResource(key, ["a"]), null, 2],
    ["PutKeyPolicy", "drop-after", (key) => kms.putKeyPolicy(key, "{}"), null, 2],
    ["UpdateKeyDescription", "drop-after", (key) => kms.updateKeyDescription(key, "x"), null, 2],
    ["DeleteImportedKeyMaterial", "drop-after", (key) => kms.deleteImportedKeyMaterial(key, null), null, 2],
    ["ScheduleKeyDeletion", "throttle", (key) => kms.scheduleKeyDeletion(key, 7), null, 2],
    ["ScheduleKeyDeletion", "drop-after", (key) => kms.scheduleKeyDeletion(key, 7), "ERR_KMS_OUTCOME_UNKNOWN", 1],
    ["RotateKeyOnDemand", "drop-after", (key) => kms.rotateKeyOnDemand(key), "ERR_KMS_OUTCOME_UNKNOWN", 1],
    ["GetKeyPolicy", "drop-after", (key) => kms.getKeyPolicy(key), null, 2],
    ["ListAliases", "internal", (key) => aliases(key), null, 2],
  ]
  for (const [operation, kind, run, expected, sent] of cases) {
    it(`${operation} after ${kind}: ${expected ?? "done"} after ${sent} of them`, async () => {
      const keyArn = await made({ tags: { a: "1" } })
      await importInto(keyArn)
      if (operation === "RotateKeyOnDemand") await importInto(keyArn, { validTo: null, importType: "NEW_KEY_MATERIAL" })
      await local.clearCounts()
      await local.fault({ kind, operation, count: 1, skip: 0 })
      if (expected === null) await run(keyArn)
      else await expectCode(expected, () => run(keyArn))
      expect((await local.counts()).requests[operation]).to.equal(sent)
      await local.clearFaults()
    })
  }
})
