import { execFileSync } from "node:child_process"
import { expect } from "chai"
import { adoptKey } from "#src/app/adopt/adopt.js"
import type { AdoptDeps, AdoptRequest } from "#src/app/adopt/request.js"
import { provision } from "#src/app/provision/provision.js"
import type { KeySpec } from "#src/core/key/key-spec.js"
import { newSourceKeyId, type SourceKey } from "#src/core/key/source-key.js"
import { expectCode } from "#test/support/expect-code.js"
import { createKey } from "../../support/local-kms-fixture.js"
import { EC, HMAC, openWorld, requestFor, type World, worldEnvironment } from "../../support/world.js"

describe("key adopt", () => {
  worldEnvironment()
  let world: World
  let deps: AdoptDeps
  before(async () => {
    world = await openWorld()
  })
  beforeEach(async () => {
    await world.reset()
    deps = await opened()
    for (const key of await deps.token.findCustodyKeys("keyferry")) await deps.token.destroyCustodyKey(key)
    for (const key of await deps.token.findSourceKeys()) await deps.token.destroySourceKey(key)
  })
  after(async () => {
    for (const key of await deps.token.findCustodyKeys("keyferry")) await deps.token.destroyCustodyKey(key)
    await world[Symbol.asyncDispose]()
  })

  const opened = async (): Promise<AdoptDeps> => {
    const run = (await world.run()).deps
    return { ...run, token: run.token.hsm }
  }
  /** A key as keyferry would make it, under a label of somebody else's. */
  const existing = (label: string, keySpec: KeySpec = "SYMMETRIC_DEFAULT"): Promise<SourceKey> =>
    deps.token.generateSourceKey({ keySpec, id: newSourceKeyId(), label, custody: "token", wrapWithTrusted: false })
  const adopt = (name: string, more: Partial<AdoptRequest>) =>
    adoptKey(deps, {
      owner: "keyferry",
      name,
      custody: "token",
      wrappingKeySpec: "RSA_2048",
      by: {},
      kmsKey: null,
      ...more,
    })
  /** What another program makes: by pkcs11-tool, with the attributes that it gives. */
  const foreign = (label: string, id: string, ...flags: readonly string[]): void => {
    const { module, label: token, pin, env } = world.testToken
    const login = ["--module", module, "--token-label", token, "--login", "--pin", "env:USER_PIN"]
    const make = ["--keygen", "--key-type", "AES:32", "--label", label, "--id", id, ...flags]
    execFileSync("pkcs11-tool", [...login, ...make], { env: { ...process.env, ...env, USER_PIN: pin }, stdio: "pipe" })
  }
  const withLabel = (label: string): Promise<readonly SourceKey[]> => deps.token.findKeys({ label })

  it("gives a token object its name and keeps its CKA_ID; provision takes it from there", async () => {
    const key = await existing("prod MAC", "HMAC_256")
    const adopted = await adopt("mac", { by: { label: "prod MAC" } })
    expect(adopted).to.deep.include({
      outcome: "done",
      id: key.id,
      custody: "token",
      was: { id: key.id, label: "prod MAC" },
    })
    expect(adopted.label).to.equal("keyferry/keyferry/mac/0")
    expect(await withLabel("prod MAC")).to.deep.equal([])
    expect((await adopt("mac", { by: { id: key.id } })).outcome).to.equal("nothing")
    const result = await provision((await world.run()).deps, requestFor("mac", HMAC))
    expect(result.sourceKey.id).to.equal(key.id)
    expect(result.proof).to.deep.equal({ kind: "mac", result: "proven" })
  })

  it("moves a key into the vault, whatever its usages were, and says what it was", async () => {
    foreign("legacy AES", "0a0b", "--sensitive", "--extractable")
    const adopted = await adopt("legacy", { by: { label: "legacy AES" }, custody: "sealed" })
    expect(adopted).to.include({ outcome: "done", custody: "sealed", id: "0a0b" })
    expect(adopted.judgement.join()).to.include("CKA_ENCRYPT")
    expect(await withLabel("legacy AES")).to.deep.equal([])
    const sealed = await deps.vault.get("0a0b")
    expect(sealed?.provenance.origin).to.equal("adopted")
    expect(sealed?.label).to.equal("keyferry/keyferry/legacy/0")
    expect((await adopt("legacy", { by: { label: "legacy AES" }, custody: "sealed" })).outcome).to.equal("nothing")
    const result = await provision((await world.run()).deps, requestFor("legacy", { custody: "sealed" }))
    expect(result.outcome).to.equal("done")
  })

  it("refuses a key that can be read, one with usages that is to stay, and a name that is taken", async () => {
    foreign("readable", "0c", "--extractable")
    foreign("used", "0d", "--sensitive", "--extractable")
    foreign("stuck", "0e", "--sensitive")
    await existing("fine")
    await expectCode("ERR_KEY_ATTRIBUTES", () => adopt("readable", { by: { label: "readable" }, custody: "sealed" }))
    await expectCode("ERR_KEY_ATTRIBUTES", () => adopt("used", { by: { id: "0d" } }))
    await expectCode("ERR_KEY_NOT_EXTRACTABLE", () => adopt("stuck", { by: { id: "0e" } }))
    await expectCode("ERR_KEY_NOT_FOUND", () => adopt("nobody", { by: { label: "nobody" } }))
    await provision((await world.run()).deps, requestFor("taken", HMAC))
    await expectCode("ERR_NAME_TAKEN", () => adopt("taken", { by: { label: "fine" } }))
    for (const label of ["readable", "used", "stuck", "fine"]) {
      const [key] = await withLabel(label)
      expect(key?.label).to.equal(label)
      if (key !== undefined) await deps.token.destroySourceKey(key)
    }
  })

  describe("for a KMS key", () => {
    const keyId = (arn: string) => ({ keyId: arn, target: "us-east-1" })

    it("that has its material proves a pair at once, and refuses another one", async () => {
      const other = await provision((await world.run()).deps, requestFor("first", EC))
      const key = await existing("another pair", EC.keySpec)
      const before = await deps.inventory.list()
      await expectCode("ERR_NAME_TAKEN", () => adopt("pair", { by: { id: key.id }, kmsKey: keyId(other.keyArn) }))
      await world.sdk.untagResource({ KeyId: other.keyArn, TagKeys: ["keyferry:owner", "keyferry:name"] })
      await deps.inventory.remove("first", "us-east-1")
      await expectCode("ERR_PROOF_FAILED", () => adopt("pair", { by: { id: key.id }, kmsKey: keyId(other.keyArn) }))
      expect(await withLabel("another pair")).to.have.length(1)

      // the right one, as it would be after the state was lost
      const [right] = await deps.token.findSourceKeys({ label: "keyferry/keyferry/first/0" })
      const back = await deps.token.relabel(right!, { id: right!.id, label: "somebody's pair" })
      const adopted = await adopt("pair", { by: { label: back.label }, kmsKey: keyId(other.keyArn) })
      expect(adopted.kmsKey?.proof).to.deep.equal({ kind: "public-key", result: "proven" })
      const [entry] = await deps.inventory.list("pair")
      expect(entry).to.deep.include({ keyArn: other.keyArn, custody: "token", imports: [] })
      expect(entry?.source).to.include({ id: back.id, label: "keyferry/keyferry/pair/0" })
      expect(before).to.have.length(1)
      await deps.token.destroySourceKey(key)
    })

    it("that is symmetric says that the next import is the proof, and KMS makes it so", async () => {
      const first = await provision((await world.run()).deps, requestFor("sym"))
      await deps.inventory.remove("sym", "us-east-1")
      const [right] = await deps.token.findSourceKeys({ label: "keyferry/keyferry/sym/0" })
      await deps.token.relabel(right!, { id: right!.id, label: "aes" })
      const wrong = await existing("wrong aes")
      const adopted = await adopt("sym", { by: { label: "aes" }, kmsKey: keyId(first.keyArn) })
      expect(adopted.kmsKey?.proof?.result).to.equal("accepted")
      const request = requestFor("sym", { keyId: first.keyArn, prove: "full" })
      const again = await provision((await world.run()).deps, request)
      expect(again).to.include({ outcome: "done", keyArn: first.keyArn, keyMaterialId: first.keyMaterialId })
      await deps.token.destroySourceKey(wrong)
    })

    it("that waits for material is bound, tagged and taken up again", async () => {
      const arn = await createKey(world.sdk)
      const key = await existing("waiting")
      await world.kms.fault({ kind: "access-denied", operation: "TagResource" })
      const request = { by: { label: "waiting" }, custody: "sealed", kmsKey: keyId(arn) } as const
      await expectCode("ERR_KMS_ACCESS_DENIED", () => adopt("waits", request))
      expect(await withLabel("waiting")).to.have.length(1)
      expect(await adopt("waits", request)).to.include({ outcome: "done", id: key.id })
      const { Tags = [] } = await world.sdk.listResourceTags({ KeyId: arn })
      expect(Object.fromEntries(Tags.map(({ TagKey, TagValue }) => [TagKey, TagValue]))).to.include({
        "keyferry:owner": "keyferry",
        "keyferry:name": "waits",
        "keyferry:source": key.id,
      })
      expect((await adopt("waits", request)).outcome).to.equal("nothing")
      const result = await provision((await world.run()).deps, requestFor("waits", { custody: "sealed", keyId: arn }))
      expect(result).to.include({ outcome: "done", custody: "sealed" })
    })
  })
})
