import { expect } from "chai"
import { provision } from "#src/app/provision/provision.js"
import type { ReconcileOptions } from "#src/app/fleet/reconcile.js"
import { KeyferryError } from "#src/core/base/error.js"
import type { Inventory } from "#src/core/ports/inventory.js"
import { custodyEvents } from "#test/support/custody-events.js"
import { fleetOf, passDays, REWRAP, runOver } from "../../support/fleet-world.js"
import { EC, HMAC, openWorld, overriding, requestFor, type World, worldEnvironment } from "../../support/world.js"

const HERE = "us-east-1"

describe("an import that was stopped before its outcome was written down", () => {
  worldEnvironment()
  let world: World
  before(async () => {
    world = await openWorld()
  })
  beforeEach(() => world.reset())
  after(() => world[Symbol.asyncDispose]())

  /** Imports again, and can write down nothing more once the intention of an import was. */
  async function stopped(name: string, options: Partial<ReconcileOptions>): Promise<void> {
    await passDays(world, 1)
    const run = await world.run()
    let isIntended = false
    const put: Inventory["put"] = async (entry) => {
      if (isIntended) throw new KeyferryError("ERR_STATE_WRITE", "the disk is full")
      isIntended = entry.importing !== null
      await run.deps.inventory.put(entry)
    }
    const deps = run.with({ inventory: overriding(run.deps.inventory, { put }) })
    await runOver(await fleetOf({ ...run, deps }), { ...REWRAP, ...options }, [name])
    expect((await run.deps.inventory.get(name, HERE))?.importing).to.not.equal(null)
    await world.kms.clearCounts()
  }

  async function rewrapped(name: string, options: Partial<ReconcileOptions> = {}) {
    const run = await world.run()
    const { rows } = await runOver(await fleetOf(run), { ...REWRAP, ...options }, [name])
    const { outcome, reason } = rows[name] ?? expect.fail(name)
    const entry = (await run.deps.inventory.get(name, HERE)) ?? expect.fail(name)
    expect(entry.importing).to.equal(null)
    const events = custodyEvents(run.stateDir).filter(({ event }) => event.startsWith("import."))
    const sent = [await world.requests("GetParametersForImport"), await world.requests("ImportKeyMaterial")]
    return { row: `${outcome} ${reason}`, sent, record: entry.imports.at(-1), events: events.slice(-2) }
  }
  const made = async (name: string, more: Parameters<typeof requestFor>[1] = {}) =>
    await provision((await world.run()).deps, requestFor(name, more))

  it("is not sent again once KMS has that material with that expiry, and is written down", async () => {
    const { keyMaterialId } = await made("t-taken")
    await stopped("t-taken", { force: "all" })
    const { row, sent, record, events } = await rewrapped("t-taken")
    expect([row, sent]).to.deep.equal(["done INTERRUPTED", [0, 0]])
    expect(record).to.deep.include({
      keyMaterialId,
      requestId: null,
      proof: { kind: "key-material-id", result: "proven" },
    })
    expect(events.map(({ event }) => event)).to.deep.equal(["import.done", "import.proven"])
  })

  it("is not sent again where the material had been lost, whether it expires or never does", async () => {
    for (const expiresIn of ["90d", "never"]) {
      const name = `t-lost-${expiresIn}`
      const { keyArn } = await made(name, { expiresIn })
      await world.sdk.deleteImportedKeyMaterial({ KeyId: keyArn })
      const recover = { recover: { deleted: true }, actions: new Set(["rewrap"] as const) }
      await stopped(name, recover)
      const { row, sent, record } = await rewrapped(name, recover)
      expect([row, sent, record?.deletedAt]).to.deep.equal(["done INTERRUPTED", [0, 0], undefined])
    }
  })

  it("is sent again where KMS never got it", async () => {
    const { keyArn } = await made("t-unsent")
    await world.sdk.deleteImportedKeyMaterial({ KeyId: keyArn })
    const recover = { recover: { deleted: true }, actions: new Set(["rewrap"] as const) }
    await world.kms.fault({ kind: "access-denied", operation: "ImportKeyMaterial" })
    await stopped("t-unsent", recover)
    expect((await rewrapped("t-unsent", recover)).sent).to.deep.equal([1, 1])
  })

  it("is sent again where another expiry is wanted by now", async () => {
    await made("t-other")
    await stopped("t-other", { force: "all" })
    const { sent, record } = await rewrapped("t-other", { force: "all", expiresIn: "180d" })
    expect(sent).to.deep.equal([1, 1])
    expect(Date.parse(record?.validTo ?? "") - Date.now()).to.be.above(180 * 86_400_000)
  })

  it("is sent again where nothing tells an import of material that never expires from the one before", async () => {
    await made("t-never", { expiresIn: "never" })
    await stopped("t-never", { force: "all" })
    expect((await rewrapped("t-never")).sent).to.deep.equal([1, 1])
  })

  it("is not sent again, and is proven by MAC or public key, where KMS names no material", async () => {
    for (const [name, spec, kind] of [
      ["t-mac", HMAC, "mac"],
      ["t-ec", EC, "public-key"],
    ] as const) {
      await made(name, spec)
      await stopped(name, { force: "all" })
      const { row, sent, record } = await rewrapped(name)
      expect([row, sent, record?.proof]).to.deep.equal(["done INTERRUPTED", [0, 0], { kind, result: "proven" }])
    }
  })
})
