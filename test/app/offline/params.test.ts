import { expect } from "chai"
import { params, type ParamsRequest } from "#src/app/offline/params.js"
import { provision } from "#src/app/provision/provision.js"
import { DEFAULT_SETTINGS, settingsFor } from "#src/core/manifest/key-settings.js"
import { expectCode } from "#test/support/expect-code.js"
import { createKey } from "../../support/local-kms-fixture.js"
import { HMAC, openWorld, requestFor, type Run, type World, worldEnvironment } from "../../support/world.js"

const OWNER = "keyferry"
const TARGET = "us-east-1"

describe("params", () => {
  worldEnvironment()
  let world: World
  let run: Run
  before(async () => {
    world = await openWorld()
  })
  beforeEach(async () => {
    await world.reset()
    run = await world.run()
  })
  after(() => world[Symbol.asyncDispose]())

  const asked = (more: Partial<ParamsRequest>): ParamsRequest => ({
    ...{ owner: OWNER, target: TARGET, name: null, keyId: null, create: null },
    ...{ wrappingAlgorithm: "RSAES_OAEP_SHA_1", wrappingKeySpec: "RSA_2048" },
    ...more,
  })
  const creation = (name: string): NonNullable<ParamsRequest["create"]> => ({
    ...settingsFor("params", { ...DEFAULT_SETTINGS, ...HMAC }),
    ...{ owner: OWNER, name, target: TARGET },
  })

  it("makes one KMS key of a name, however often it is asked, and takes no other key spec for it", async () => {
    const first = await params(run.deps, asked({ create: creation("p-once") }))
    const second = await params(run.deps, asked({ create: creation("p-once") }))
    expect(second.parameters.keyArn).to.equal(first.parameters.keyArn)
    expect(await world.requests("CreateKey")).to.equal(1)
    const other = { ...creation("p-once"), keySpec: "HMAC_512" } as const
    await expectCode("ERR_NAME_TAKEN", () => params(run.deps, asked({ create: other })))
    expect(await world.requests("GetParametersForImport")).to.equal(2)
  })

  it("makes none where the name has material, or KMS has one that this state does not know", async () => {
    await provision(run.deps, requestFor("p-full", HMAC))
    await expectCode("ERR_NAME_TAKEN", () => params(run.deps, asked({ create: creation("p-full") })))
    await run.deps.inventory.remove("p-full", TARGET)
    const { deps } = await world.run()
    await expectCode("ERR_STATE_INCOMPLETE", () => params(deps, asked({ create: creation("p-full") })))
    expect(await world.requests("CreateKey")).to.equal(1)
    await expectCode("ERR_KMS_KEY_MISMATCH", () => params(deps, asked({})))
  })

  it("spends no parameters on a KMS key that takes no import", async () => {
    const keyId = await createKey(world.sdk, "HMAC_256")
    await world.sdk.scheduleKeyDeletion({ KeyId: keyId, PendingWindowInDays: 7 })
    await expectCode("ERR_KMS_KEY_STATE", () => params(run.deps, asked({ keyId })))
    expect(await world.requests("GetParametersForImport")).to.equal(0)
  })
})
