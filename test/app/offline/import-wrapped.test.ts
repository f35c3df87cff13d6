import { expect } from "chai"
import { importWrapped, type ImportRequest } from "#src/app/offline/import-wrapped.js"
import { params } from "#src/app/offline/params.js"
import { wrap } from "#src/app/offline/wrap.js"
import { provision } from "#src/app/provision/provision.js"
import type { ImportParameters } from "#src/core/key/wrapping-key.js"
import type { Bundle } from "#src/core/records/transfer.js"
import { custodyEvents } from "#test/support/custody-events.js"
import { expectCode } from "#test/support/expect-code.js"
import { createKey } from "../../support/local-kms-fixture.js"
import { HMAC, openWorld, requestFor, type Run, type World, worldEnvironment } from "../../support/world.js"

const OWNER = "keyferry"
const TARGET = "us-east-1"

describe("importWrapped", () => {
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

  let parameters: ImportParameters
  let bundle: Bundle
  let bytes: Uint8Array
  let keyArn: string
  beforeEach(async () => {
    const name = `i-${(number += 1)}`
    const { sourceKey } = await provision(run.deps, requestFor(name, HMAC))
    const [source] = await run.deps.token.findSourceKeys({ id: sourceKey.id })
    keyArn = await createKey(world.sdk, "HMAC_256")
    ;({ parameters } = await params(run.deps, {
      ...{ owner: OWNER, target: TARGET, name: null, keyId: keyArn, create: null },
      ...{ wrappingAlgorithm: "RSAES_OAEP_SHA_1", wrappingKeySpec: "RSA_2048" },
    }))
    const wrapped = await wrap(run.deps, source!, { parameters, expectFingerprint: null, accounts: [] })
    bundle = wrapped.bundle
    bytes = wrapped.wrapped.bytes
    // the online host has a state of its own
    await run.deps.inventory.remove(name, TARGET)
  })
  let number = 0
  const request = (more: Partial<ImportRequest> = {}): ImportRequest => ({
    ...{ owner: OWNER, name: bundle.name, target: TARGET, keyId: keyArn, parameters, bundle },
    ...{ encryptedKeyMaterial: bytes, expiresIn: "90d" },
    ...more,
  })
  const online = () => ({ ...run.deps, token: null })
  const refused = async (code: Parameters<typeof expectCode>[0], more: Partial<ImportRequest>) => {
    const before = custodyEvents(run.stateDir).length
    const imports = await world.requests("ImportKeyMaterial")
    const error = await expectCode(code, () => importWrapped(online(), request(more)))
    expect(await world.requests("ImportKeyMaterial")).to.equal(imports)
    expect(custodyEvents(run.stateDir)).to.have.length(before)
    expect(await run.deps.inventory.list()).to.deep.equal([])
    return error
  }

  it("is proven by the bundle, without a token, and recorded as what was wrapped", async () => {
    const result = await importWrapped(online(), request())
    expect(result).to.deep.include({ keyArn, outcome: "done", proof: { kind: "mac", result: "proven" } })
    const entry = await run.deps.inventory.get(bundle.name, TARGET)
    expect(entry).to.deep.include({ keyArn, custody: "token", creating: false, token: bundle.token })
    expect(entry?.source).to.include({ id: bundle.sourceKey.id, generation: 0 })
    const { mechanisms, wrapPath } = entry?.imports[0] ?? expect.fail("no import")
    expect({ mechanisms, wrapPath }).to.deep.equal({ mechanisms: bundle.mechanisms, wrapPath: bundle.wrapPath })
    const { Tags = [] } = await world.sdk.listResourceTags({ KeyId: keyArn })
    const tags = Object.fromEntries(Tags.map(({ TagKey = "", TagValue }) => [TagKey, TagValue]))
    expect(tags).to.include({ "keyferry:owner": OWNER, "keyferry:name": bundle.name })
    // and again, from the entry that is there now
    const again = { name: bundle.name, keyId: keyArn.split("/").at(-1) ?? "" }
    expect(await importWrapped(online(), request(again))).to.include({ keyArn })
  })

  it("is refused where parameters, ciphertext and bundle do not belong together", async () => {
    const digest = `sha256:${"00".repeat(32)}`
    for (const more of [
      { encryptedKeyMaterial: bytes.slice(1) },
      { name: "another" },
      { bundle: { ...bundle, wrappingKeyFingerprint: digest } },
      { bundle: { ...bundle, importTokenDigest: digest } },
      { bundle: { ...bundle, wrappingAlgorithm: "RSAES_OAEP_SHA_256" } as Bundle },
      { keyId: await createKey(world.sdk, "HMAC_256") },
      { bundle: { ...bundle, keyId: await createKey(world.sdk, "HMAC_256") } },
    ]) {
      await refused("ERR_TRANSFER_INVALID", more)
    }
    await refused("ERR_KMS_KEY_MISMATCH", { bundle: { ...bundle, keySpec: "HMAC_384" } })
  })

  it("is refused once the parameters have ended, and with an expiry that has passed, by KMS' time", async () => {
    await refused("ERR_EXPIRY_INVALID", { expiresIn: "2020-01-01T00:00:00Z" })
    await run.deps.sleep(25 * 3_600_000)
    await refused("ERR_IMPORT_TOKEN_EXPIRED", {})
  })

  it("is refused for a name that stands for another KMS key, or has a later generation", async () => {
    await importWrapped(online(), request())
    const entry = (await run.deps.inventory.get(bundle.name, TARGET)) ?? expect.fail("no entry")
    const imports = await world.requests("ImportKeyMaterial")
    await run.deps.inventory.put({ ...entry, source: { ...entry.source, generation: 1 } })
    const older = await expectCode("ERR_TRANSFER_INVALID", () => importWrapped(online(), request()))
    expect(older.hint).to.include(`keyferry rewrap ${bundle.name}`)
    await run.deps.inventory.put({ ...entry, keyArn: keyArn.replace(/.$/, (end) => (end === "0" ? "1" : "0")) })
    await expectCode("ERR_NAME_TAKEN", () => importWrapped(online(), request()))
    expect(await world.requests("ImportKeyMaterial")).to.equal(imports)
  })

  it("is refused where the bundle's custody or source key is not that of the token or of an import before", async () => {
    const { sourceKey } = bundle
    const saying = (changed: Partial<Bundle["sourceKey"]>) =>
      request({ bundle: { ...bundle, sourceKey: { ...sourceKey, ...changed } } })
    const imports = await world.requests("ImportKeyMaterial")
    const byToken = await expectCode("ERR_TRANSFER_INVALID", () =>
      importWrapped(run.deps, saying({ custody: "sealed" })),
    )
    expect(byToken.message).to.match(/says custody sealed, and the token has/)
    expect(await world.requests("ImportKeyMaterial")).to.equal(imports)

    await importWrapped(online(), request())
    const entry = await run.deps.inventory.get(bundle.name, TARGET)
    for (const changed of [
      { custody: "sealed" },
      { custody: "session" },
      { id: "00".repeat(16) },
      { publicKeyFingerprint: null, kcv: "000000" },
    ] as const) {
      await expectCode("ERR_TRANSFER_INVALID", () => importWrapped(online(), saying(changed)))
    }
    expect(await world.requests("ImportKeyMaterial")).to.equal(imports + 1)
    expect(await run.deps.inventory.get(bundle.name, TARGET)).to.deep.equal(entry)
  })

  it("says that nothing but KMS' acceptance is known where there is neither bundle nor token", async () => {
    const result = await importWrapped(online(), request({ bundle: null }))
    expect(result.proof).to.include({ result: "accepted" })
    expect(run.warnings.join()).to.include("KMS' acceptance is all that can be said")
  })

  it("is proven by the token where there is no bundle", async () => {
    const result = await importWrapped(run.deps, request({ bundle: null }))
    expect(result.proof).to.deep.equal({ kind: "mac", result: "proven" })
    expect(result.sourceKey).to.include({ id: bundle.sourceKey.id })
  })
})
