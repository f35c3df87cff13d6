import { expect } from "chai"
import { provision } from "#src/app/provision/provision.js"
import type { ProvisionRequest } from "#src/app/provision/request.js"
import { expectCode } from "#test/support/expect-code.js"
import { type Answer, type KmsProxy, startKmsProxy } from "#test/support/kms-proxy.js"
import { makePkcs8, spkiOf } from "../../support/local-kms-fixture.js"
import { EC, HMAC, openWorld, requestFor, type World, worldEnvironment } from "../../support/world.js"

describe("the proof that KMS holds the same key material", () => {
  worldEnvironment()
  let world: World
  let proxy: KmsProxy
  before(async () => {
    world = await openWorld()
    proxy = await startKmsProxy(world.kms.endpoint)
  })
  beforeEach(() => world.reset())
  afterEach(() => {
    for (const operation of ["GetPublicKey", "VerifyMac", "ImportKeyMaterial", "GetParametersForImport"]) {
      proxy.alter(operation)
    }
  })
  after(async () => {
    await proxy[Symbol.asyncDispose]()
    await world[Symbol.asyncDispose]()
  })

  const other = spkiOf(makePkcs8("ECC_NIST_P384")).toString("base64")
  const foreignId = "ab".repeat(32)
  const failures: readonly (readonly [
    kind: string,
    request: Partial<ProvisionRequest>,
    operation: string,
    change: (answer: Answer) => Answer,
  ])[] = [
    ["public-key", EC, "GetPublicKey", (answer) => ({ ...answer, PublicKey: other })],
    ["mac", HMAC, "VerifyMac", (answer) => ({ ...answer, MacValid: false })],
    ["key-material-id", { prove: "full" }, "ImportKeyMaterial", (answer) => ({ ...answer, KeyMaterialId: foreignId })],
  ]
  for (const [kind, request, operation, change] of failures) {
    it(`fails by ${kind}, is kept as failed, and is not taken for done`, async () => {
      proxy.alter(operation, change)
      const { deps } = await world.run({ endpoint: proxy.endpoint })
      const wanted = requestFor(`failed-${kind}`, { ...request, alias: `alias/failed-${kind}` })
      const error = await expectCode("ERR_PROOF_FAILED", () => provision(deps, wanted))
      expect(error.exit).to.equal("PROOF")
      const [entry] = await deps.inventory.list()
      expect(entry?.imports.at(-1)?.proof).to.deep.equal({ kind, result: "failed" })
      expect(error.key).to.include(entry?.keyArn)
      expect(await world.requests("CreateAlias"), "no alias to a key of unknown material").to.equal(0)
      proxy.alter(operation)
      const again = await provision(deps, wanted)
      expect(again).to.deep.include({ outcome: "done", proof: { kind, result: "proven" } })
    })
  }

  it("is accepted where KMS names no KeyMaterialId, and refused where the full proof was asked for", async () => {
    proxy.alter("ImportKeyMaterial", ({ KeyId }) => ({ KeyId }))
    const { deps } = await world.run({ endpoint: proxy.endpoint })
    const result = await provision(deps, requestFor("nameless", { prove: "accept" }))
    expect(result).to.deep.include({ proof: { kind: "none", result: "accepted" }, keyMaterialId: null })
    const full = requestFor("nameless-full", { prove: "full" })
    for (const time of ["first", "second"]) {
      const error = await expectCode("ERR_KMS_ANSWER", () => provision(deps, full))
      expect([error.exit, error.message.includes("KeyMaterialId")], time).to.deep.equal(["PROOF", true])
    }
    expect(await world.requests("CreateKey")).to.equal(2)
    proxy.alter("ImportKeyMaterial")
    const proven = await provision(deps, full)
    expect(proven).to.deep.include({ proof: { kind: "key-material-id", result: "proven" } })
  })

  it("is not reached with a wrapping key from KMS that is not what was asked for", async () => {
    const weak = spkiOf(makePkcs8("RSA_3072")).toString("base64")
    proxy.alter("GetParametersForImport", (answer) => ({ ...answer, PublicKey: weak }))
    const { deps } = await world.run({ endpoint: proxy.endpoint })
    const error = await expectCode("ERR_WRAPPING_KEY_INVALID", () => provision(deps, requestFor("weak")))
    expect(error.key).to.match(/^arn:|weak, arn:/)
    expect(await world.requests("ImportKeyMaterial")).to.equal(0)
    proxy.alter("GetParametersForImport")
    expect((await provision(deps, requestFor("weak"))).outcome).to.equal("done")
    expect(await world.requests("CreateKey")).to.equal(1)
  })
})
