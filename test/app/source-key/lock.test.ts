import { expect } from "chai"
import { provision } from "#src/app/provision/provision.js"
import { lockKey } from "#src/app/source-key/lock.js"
import type { InventoryEntry } from "#src/core/records/inventory.js"
import { custodyEvents } from "#test/support/custody-events.js"
import { expectCode } from "#test/support/expect-code.js"
import { EC, HMAC, openWorld, requestFor, type Run, type World, worldEnvironment } from "../../support/world.js"

describe("lockKey", () => {
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

  const lock = (name: string, confirmed = false) =>
    lockKey(run.deps, { owner: "keyferry", name, id: undefined, confirmed })
  const entryOf = async (name: string): Promise<InventoryEntry> =>
    (await run.deps.inventory.get(name, "us-east-1")) ?? expect.fail(`no entry of ${name}`)
  const isExtractable = async (id: string): Promise<unknown> =>
    (await run.inToken.findSourceKeys({ id }))[0]?.attributes.extractable

  it("is refused, with nothing changed, while more imports are to come, and done where that was confirmed", async () => {
    const { sourceKey } = await provision(run.deps, requestFor("k-token", HMAC))
    const before = [await entryOf("k-token"), custodyEvents(run.stateDir).length]
    await expectCode("ERR_CONFIRMATION_MISSING", () => lock("k-token"))
    expect(await isExtractable(sourceKey.id)).to.equal(true)
    expect([await entryOf("k-token"), custodyEvents(run.stateDir).length]).to.deep.equal(before)
    expect(await lock("k-token", true)).to.include({ name: "k-token", outcome: "done" })
    expect(await isExtractable(sourceKey.id)).to.equal(false)
    const entry = await entryOf("k-token")
    expect([entry.custody, entry.source.attributes?.extractable]).to.deep.equal(["locked", false])
    const events = custodyEvents(run.stateDir).slice(before[1] as number)
    expect(events.map(({ event, name, source, facts }) => [event, name, source?.id, facts])).to.deep.equal([
      ["source.locked", "k-token", sourceKey.id, { extractable: false }],
    ])
    expect((await lock("k-token")).outcome, "once more").to.equal("nothing")
  })

  it("wants a proven import that never expires, of every kind of record", async () => {
    const terms = { custody: "locked", expiresIn: "never", acceptNoReimport: true } as const
    const { sourceKey } = await provision(run.deps, requestFor("k-proven", { ...EC, ...terms }))
    const locked = await entryOf("k-proven")
    expect(await isExtractable(sourceKey.id)).to.equal(false)
    // another key of the name, which is not locked yet, with what the records say of its import
    const [record] = locked.imports
    if (record === undefined) expect.fail("nothing was imported")
    const open = await run.deps.token.generateSourceKey({
      ...{ keySpec: "HMAC_256", id: "ab".repeat(16), label: "keyferry/keyferry/k-open/0" },
      ...{ custody: "token", wrapWithTrusted: false },
    })
    const entry: InventoryEntry = {
      ...locked,
      name: "k-open",
      source: { ...locked.source, id: open.id, label: open.label },
    }
    const { keyMaterialId, importedAt, requestId, proof, ...importing } = record
    expect([keyMaterialId, typeof importedAt, typeof requestId, proof.result]).to.deep.equal([
      ...[null, "string", "string", "proven"],
    ])
    const unproven: readonly Partial<InventoryEntry>[] = [
      { imports: [] },
      { imports: [{ ...record, proof: { kind: "none", result: "accepted" } }] },
      { imports: [{ ...record, validTo: "2030-01-01T00:00:00Z" }] },
      { importing },
    ]
    for (const more of unproven) {
      await run.deps.inventory.put({ ...entry, ...more })
      await expectCode("ERR_CONFIRMATION_MISSING", () => lock("k-open"))
      expect(await isExtractable(open.id)).to.equal(true)
    }
    await run.deps.inventory.put(entry)
    expect((await lock("k-open")).outcome).to.equal("done")
    expect(await isExtractable(open.id)).to.equal(false)
  })

  it("locks no sealed key", async () => {
    await provision(run.deps, requestFor("k-sealed", { ...HMAC, custody: "sealed" }))
    await expectCode("ERR_CUSTODY_REFUSED", () => lock("k-sealed", true))
    expect((await entryOf("k-sealed")).custody).to.equal("sealed")
  })
})
