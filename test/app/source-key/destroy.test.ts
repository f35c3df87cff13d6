import { expect } from "chai"
import { provision } from "#src/app/provision/provision.js"
import { destroyKey, type DestroyDoors, type DestroyRequest } from "#src/app/source-key/destroy.js"
import { KeyferryError } from "#src/core/base/error.js"
import { custodyEvents } from "#test/support/custody-events.js"
import { expectCode } from "#test/support/expect-code.js"
import { HMAC, openWorld, requestFor, type Run, type World, worldEnvironment } from "../../support/world.js"

describe("destroyKey", () => {
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

  const doors = (more: Partial<DestroyDoors> = {}): DestroyDoors => ({
    openRegion: () => Promise.resolve(run.deps.kms),
    openKms: () => Promise.resolve(run.deps.kms),
    ...more,
  })
  const destroy = (name: string, more: Partial<DestroyRequest> = {}, from = doors()) =>
    destroyKey(run.deps, { owner: "keyferry", name, id: undefined, unrecorded: false, erase: null, ...more }, from)
  const generate = async (name: string): Promise<string> =>
    (
      await run.deps.token.generateSourceKey({
        ...{ keySpec: "HMAC_256", id: Buffer.from(name.padEnd(16)).toString("hex"), custody: "token" },
        ...{ label: `keyferry/keyferry/${name}/0`, wrapWithTrusted: false },
      })
    ).id
  const isThere = async (id: string): Promise<boolean> => (await run.inToken.findSourceKeys({ id })).length > 0

  it("is refused while a KMS key that is recorded has the material, or may have", async () => {
    const { keyArn, sourceKey } = await provision(run.deps, requestFor("d-used", HMAC))
    const unreachable = () => Promise.reject(new KeyferryError("ERR_KMS_UNREACHABLE", "no route"))
    for (const from of [
      doors(),
      doors({ openRegion: () => Promise.resolve(null) }),
      doors({ openRegion: unreachable }),
    ]) {
      for (const unrecorded of [false, true]) {
        const error = await expectCode("ERR_KEY_IN_USE", () => destroy("d-used", { unrecorded }, from))
        expect(error.message).to.include(keyArn)
      }
    }
    await world.sdk.deleteImportedKeyMaterial({ KeyId: keyArn })
    await expectCode("ERR_KEY_IN_USE", () => destroy("d-used"))
    expect(await isThere(sourceKey.id)).to.equal(true)
  })

  it("is refused where a KMS key without a record says that its material is from it", async () => {
    const { keyArn, sourceKey } = await provision(run.deps, requestFor("d-unknown", HMAC))
    await run.deps.inventory.remove("d-unknown", "us-east-1")
    for (const unrecorded of [false, true]) {
      const error = await expectCode("ERR_KEY_IN_USE", () => destroy("d-unknown", { unrecorded }))
      expect(error.message).to.include(keyArn)
    }
    expect(await isThere(sourceKey.id)).to.equal(true)
  })

  it("is refused where KMS cannot tell, unless the operator knows", async () => {
    const id = await generate("d-silent")
    const from = doors({ openKms: () => Promise.reject(new KeyferryError("ERR_KMS_UNREACHABLE", "no route")) })
    await expectCode("ERR_KEY_IN_USE", () => destroy("d-silent", {}, from))
    expect(await isThere(id)).to.equal(true)
    expect(await destroy("d-silent", { unrecorded: true }, from)).to.include({ id, destroyed: true, custody: "token" })
    expect(await isThere(id)).to.equal(false)
    expect(run.warnings.join()).to.include("could not be asked")
  })

  it("destroys what nothing depends on, says it before and after, and asks for no erasure of what is not sealed", async () => {
    const id = await generate("d-free")
    const erase = (): Promise<never> => Promise.reject(new Error("erased"))
    await expectCode("ERR_CUSTODY_REFUSED", () => destroy("d-free", { erase }))
    const before = custodyEvents(run.stateDir).length
    expect(await destroy("d-free")).to.deep.include({ id, destroyed: true, note: null, erasure: null })
    expect(await isThere(id)).to.equal(false)
    const events = custodyEvents(run.stateDir).slice(before)
    expect(
      events.map(({ event, source, facts }) => [event, source?.id, facts?.["step"], facts?.["custody"]]),
    ).to.deep.equal([
      ["source.destroyed", id, "intended", "token"],
      ["source.destroyed", id, "done", "token"],
    ])
  })
})
