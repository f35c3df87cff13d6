import { expect } from "chai"
import { ensureCustodyKey } from "#src/app/custody/custody-key.js"
import { seal, type SealStep, type VaultDeps } from "#src/app/custody/seal.js"
import { labelOf, newSourceKeyId, type SourceKey } from "#src/core/key/source-key.js"
import type { SealedMaterial } from "#src/core/records/sealed-material.js"
import { custodyEvents } from "#test/support/custody-events.js"
import { expectCode } from "#test/support/expect-code.js"
import { openWorld, overriding, type World, worldEnvironment } from "../../support/world.js"

const OWNER = "keyferry"

describe("sealing a token object", () => {
  worldEnvironment()
  let world: World
  let deps: VaultDeps
  let stateDir: string
  before(async () => {
    world = await openWorld()
  })
  beforeEach(async () => {
    await world.reset()
    const run = await world.run()
    stateDir = run.stateDir
    deps = { ...run.deps, token: run.inToken }
  })
  afterEach(async () => {
    for (const key of await deps.token.findSourceKeys()) await deps.token.destroySourceKey(key)
  })
  after(() => world[Symbol.asyncDispose]())

  const made = (name: string): Promise<SourceKey> =>
    deps.token.generateSourceKey({
      keySpec: "SYMMETRIC_DEFAULT",
      custody: "token",
      id: newSourceKeyId(),
      label: labelOf({ owner: OWNER, name, generation: 0 }),
      wrapWithTrusted: false,
    })
  const stepOf = async (object: SourceKey, name: string): Promise<SealStep> => ({
    object,
    identity: { owner: OWNER, name, generation: 0, id: object.id, label: object.label },
    origin: "generated",
    custodyKey: await ensureCustodyKey(deps, OWNER),
    unenforced: null,
  })
  const inToken = async ({ id }: SourceKey): Promise<number> => (await deps.token.findSourceKeys({ id })).length
  const events = (): readonly string[] =>
    custodyEvents(stateDir)
      .filter(({ event }) => event.startsWith("source."))
      .map(({ event, facts }) => `${event} ${String(facts?.["step"] ?? "")} ${String(facts?.["reason"] ?? "")}`.trim())
  /** A token that opens another key than it is given. */
  const opening = (other: SealedMaterial): VaultDeps => ({
    ...deps,
    token: overriding(deps.token, { unseal: ({ id, label }) => deps.token.unseal({ ...other, id, label }) }),
  })

  it("destroys it once the copy is in the vault, and says both before and after", async () => {
    const object = await made("moved")
    const sealed = await seal(deps, await stepOf(object, "moved"))
    expect(await inToken(object)).to.equal(0)
    expect(await deps.vault.get(object.id)).to.deep.equal(sealed)
    expect(events()).to.deep.equal([
      "source.sealed",
      "source.destroyed intended sealed",
      "source.destroyed done sealed",
    ])
  })

  it("is refused where it opens to another key: the object stays, and nothing is in the vault", async () => {
    const other = await seal(deps, await stepOf(await made("other"), "other"))
    const object = await made("kept")
    const before = events()
    await expectCode("ERR_SEALED_UNREADABLE", async () => seal(opening(other), await stepOf(object, "kept")))
    expect(await inToken(object)).to.equal(1)
    expect(await deps.vault.get(object.id)).to.equal(undefined)
    expect(events()).to.deep.equal(before)
  })

  /** The file is there and the object as well, as a run leaves them that was killed in between. */
  const halfway = async (name: string): Promise<SourceKey> => {
    const object = await made(name)
    const dying = overriding(deps.token, {
      destroySourceKey: ({ id }) =>
        id === object.id
          ? Promise.reject(new Error("killed"))
          : deps.token.destroySourceKey({ id, label: object.label }),
    })
    let killed: unknown
    try {
      await seal({ ...deps, token: dying }, await stepOf(object, name))
    } catch (error) {
      killed = error
    }
    expect(String(killed)).to.include("killed")
    return object
  }

  it("is finished by the next run, which seals nothing anew", async () => {
    const object = await halfway("half")
    const before = await deps.vault.get(object.id)
    await seal(deps, await stepOf(object, "half"))
    expect([await inToken(object), await deps.vault.get(object.id)]).to.deep.equal([0, before])
  })

  it("is not finished over a file that does not open to the same key", async () => {
    const other = await seal(deps, await stepOf(await made("other-half"), "other-half"))
    const object = await halfway("unread")
    await expectCode("ERR_SEALED_UNREADABLE", async () => seal(opening(other), await stepOf(object, "unread")))
    expect(await inToken(object)).to.equal(1)
  })

  it("is not finished over the file of another key", async () => {
    const other = await seal(deps, await stepOf(await made("first"), "first"))
    const object = await made("second")
    const { id, label } = object
    await deps.vault.put({ ...other, name: "second", id, label })
    await expectCode("ERR_NAME_TAKEN", async () => seal(deps, await stepOf(object, "second")))
    expect(await inToken(object)).to.equal(1)
  })
})
