import { expect } from "chai"
import { caughtUpSoon, settled, WAITS_MS } from "#src/app/kms-key/eventual.js"
import { assertTakesImport, findKmsKey, resolveKey } from "#src/app/kms-key/find.js"
import { expectCode } from "#test/support/expect-code.js"
import { createKey } from "../../support/local-kms-fixture.js"
import { openWorld, type World, worldEnvironment } from "../../support/world.js"

const TAKES = { keySpec: "SYMMETRIC_DEFAULT", keyUsage: "ENCRYPT_DECRYPT", pendingOnly: false }

describe("a KMS key that KMS may not know yet", () => {
  worldEnvironment()
  let world: World
  let keyArn: string
  before(async () => {
    world = await openWorld()
  })
  beforeEach(async () => {
    await world.reset()
    keyArn = await createKey(world.sdk)
  })
  after(() => world[Symbol.asyncDispose]())

  /** Asks for parameters, and gives how long was waited in between. */
  async function waits(): Promise<readonly number[]> {
    const { deps } = await world.run()
    const slept: number[] = []
    const sleep = (ms: number): Promise<void> => {
      slept.push(ms)
      return Promise.resolve()
    }
    await settled({ ...deps, sleep }, keyArn, () =>
      deps.kms.getParametersForImport(keyArn, "RSAES_OAEP_SHA_256", "RSA_2048"),
    )
    return slept
  }
  const unknown = (count: number): Promise<void> =>
    world.kms.fault({ kind: "error", operation: "GetParametersForImport", name: "NotFoundException", count })

  it("is asked again until it does, each time later, and no more often than that", async () => {
    expect(await waits()).to.deep.equal([])
    await unknown(2)
    expect(await waits()).to.deep.equal([250, 500])
    await unknown(99)
    await expectCode("ERR_KMS_KEY_NOT_FOUND", waits)
    expect(await world.requests("GetParametersForImport")).to.equal(1 + 3 + WAITS_MS.length + 1)
  })

  it("is not asked again about what does not pass by itself", async () => {
    await world.kms.fault({ kind: "access-denied", operation: "GetParametersForImport" })
    await expectCode("ERR_KMS_ACCESS_DENIED", waits)
    await world.sdk.scheduleKeyDeletion({ KeyId: keyArn, PendingWindowInDays: 7 })
    const state = await expectCode("ERR_KMS_KEY_STATE", waits)
    expect(await world.requests("GetParametersForImport")).to.equal(2)
    const { deps } = await world.run()
    expect(await caughtUpSoon(deps, keyArn, state)).to.equal(false)
    expect(await caughtUpSoon(deps, keyArn, new Error("a bug"))).to.equal(false)
    // what the operation said counts where asking why fails as well
    await world.kms.fault({ kind: "access-denied", operation: "DescribeKey" })
    expect(await caughtUpSoon(deps, keyArn, state)).to.equal(false)
  })

  it("is none where KMS knows no such key, and named by what was asked for", async () => {
    const { kms } = (await world.run()).deps
    const gone = keyArn.replace(/[^/]+$/, "11111111-2222-3333-4444-555555555555")
    expect(await findKmsKey(kms, gone)).to.equal(null)
    expect((await resolveKey(kms, keyArn)).keyArn).to.equal(keyArn)
    expect((await expectCode("ERR_KMS_KEY_NOT_FOUND", () => resolveKey(kms, gone))).message).to.include(gone)
    const alias = await expectCode("ERR_KMS_KEY_NOT_FOUND", () => resolveKey(kms, "alias/none"))
    expect(alias.message).to.equal("no KMS key has the alias alias/none")
    await world.kms.fault({ kind: "access-denied", operation: "DescribeKey", count: 2 })
    await expectCode("ERR_KMS_ACCESS_DENIED", () => findKmsKey(kms, keyArn))
    await expectCode("ERR_KMS_ACCESS_DENIED", () => resolveKey(kms, keyArn))
  })

  it("takes an import only where origin, state, key spec and usage are right", async () => {
    const { kms } = (await world.run()).deps
    const pending = await kms.describeKey(keyArn)
    assertTakesImport(pending, TAKES)
    assertTakesImport(pending, { ...TAKES, pendingOnly: true })
    const full = { ...pending, keyState: "Enabled" }
    assertTakesImport(full, TAKES)
    const refused: [code: Parameters<typeof expectCode>[0], key: typeof pending, target: typeof TAKES][] = [
      ["ERR_KMS_KEY_STATE", full, { ...TAKES, pendingOnly: true }],
      ["ERR_KMS_KEY_STATE", { ...pending, keyState: "PendingDeletion" }, TAKES],
      ["ERR_KMS_KEY_ORIGIN", { ...pending, origin: "AWS_KMS" }, TAKES],
      ["ERR_KMS_KEY_MISMATCH", pending, { ...TAKES, keySpec: "HMAC_256" }],
      ["ERR_KMS_KEY_MISMATCH", pending, { ...TAKES, keyUsage: "GENERATE_VERIFY_MAC" }],
    ]
    for (const [code, key, target] of refused) {
      expect((await expectCode(code, () => assertTakesImport(key, target))).key).to.equal(keyArn)
    }
  })
})
