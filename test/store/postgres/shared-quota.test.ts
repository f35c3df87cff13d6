import { expect } from "chai"
import type { SharedQuotas } from "#src/core/ports/shared-quotas.js"
import type { Database } from "#src/store/postgres/database.js"
import { sharedQuotas } from "#src/store/postgres/shared-quota.js"
import { migratedDatabase, type PostgresServer, startPostgres } from "#test/support/postgres.js"

/** So far apart that the time a test takes does not count. */
const HOUR = 3_600_000

describe("sharedQuotas", () => {
  let postgres: PostgresServer
  let database: Database
  let quotas: SharedQuotas
  let accounts = 0
  let name: { account: string; region: string; operation: string }

  before(async () => {
    postgres = await startPostgres()
    database = await migratedDatabase(postgres, "quotas")
    quotas = sharedQuotas(database)
  })
  after(async () => {
    await database[Symbol.asyncDispose]()
    await postgres[Symbol.asyncDispose]()
  })
  beforeEach(() => {
    accounts += 1
    name = { account: String(accounts), region: "us-east-1", operation: "ImportKeyMaterial" }
  })

  const take = (count = 1) => quotas.takeSlots(name, { everyMs: HOUR, burst: 3, count })
  const hours = (ms: number): number => Math.round((ms / HOUR) * 100) / 100
  const arrival = (place: string | null = null) => quotas.takeArrival(name, { everyMs: HOUR, place })

  it("gives a burst at once, then one slot after the other, to all who ask at the same time", async () => {
    const slots = await Promise.all(Array.from({ length: 20 }, () => take()))
    const waits = slots.map(({ waitMs }) => Math.round(hours(waitMs))).sort((one, other) => one - other)
    expect(waits).to.deep.equal([0, 0, 0, ...Array.from({ length: 17 }, (_, index) => index + 1)])
  })

  it("gives several slots together, each account, Region and operation for itself", async () => {
    expect(await take(5)).to.deep.equal({ waitMs: 0, everyMs: HOUR })
    expect(hours((await take()).waitMs)).to.equal(3)
    for (const other of [{ account: "another" }, { region: "eu-west-1" }, { operation: "CreateKey" }]) {
      const slots = await quotas.takeSlots({ ...name, ...other }, { everyMs: HOUR, burst: 1, count: 1 })
      expect(slots.waitMs).to.equal(0)
    }
  })

  it("saves no more than a burst in a pause", async () => {
    await take()
    await database.query("UPDATE keyferry.quota SET next_at = next_at - interval '10 days' WHERE account = $1", [
      name.account,
    ])
    await take(3)
    expect(hours((await take()).waitMs)).to.equal(1)
  })

  it("slows all down when KMS throttles, once for what was under way together, and comes back by steps", async () => {
    await take()
    await quotas.throttled(name, HOUR)
    await quotas.throttled(name, HOUR)
    const slots = await take()
    expect(hours(slots.everyMs)).to.equal(2)
    // no burst is left
    expect(hours(slots.waitMs)).to.equal(2)
    for (const factor of [0.625, 0.75, 0.875, 1, 1]) {
      await database.query("UPDATE keyferry.quota SET slowed_at = slowed_at - interval '5 s' WHERE account = $1", [
        name.account,
      ])
      expect(hours((await take()).everyMs)).to.equal(hours(HOUR / factor))
    }
  })

  it("does not stand still when the database's clock was set back", async () => {
    await take()
    await database.query(
      "UPDATE keyferry.quota SET next_at = now() + interval '1 year', arrival_at = now() + interval '1 year', slowed_to = 0.5, slowed_at = now() + interval '1 year' WHERE account = $1",
      [name.account],
    )
    const slots = await take()
    expect(slots.waitMs).to.equal(0)
    expect(hours(slots.everyMs)).to.equal(2)
    expect(hours((await arrival()).waitMs)).to.equal(2)
  })

  it("grants arrivals in the order of asking, each when it is near", async () => {
    const first = await arrival()
    expect(first).to.include({ waitMs: 0, granted: true })
    const [second, third] = [await arrival(), await arrival()]
    expect([second.granted, third.granted]).to.deep.equal([false, false])
    expect([hours(second.waitMs), hours(third.waitMs)]).to.deep.equal([1, 2])
    // who asks again keeps its place
    const again = await arrival(second.place)
    expect(again).to.include({ granted: false, place: second.place })
    expect(hours(again.waitMs)).to.equal(1)
  })

  it("counts what arrived late", async () => {
    const first = await arrival()
    const second = await arrival()
    await quotas.arrived(name, first.at + HOUR / 2, HOUR)
    expect(hours((await arrival(second.place)).waitMs)).to.equal(1.5)
    // one that came in time moves nothing
    await quotas.arrived(name, first.at, HOUR)
    expect(hours((await arrival(second.place)).waitMs)).to.equal(1.5)
  })

  it("grants nothing while the one before has no answer", async () => {
    const soon = (place: string | null) => quotas.takeArrival(name, { everyMs: 1, place })
    const first = await soon(null)
    const second = await soon(null)
    expect([first.granted, second.granted]).to.deep.equal([true, false])
    expect((await soon(second.place)).granted).to.equal(false)
    await quotas.arrived(name, first.at, 1)
    expect((await soon(second.place)).granted).to.equal(true)
  })

  it("waits for the place where who had it died", async () => {
    await arrival()
    await arrival()
    expect(hours((await arrival()).waitMs)).to.equal(2)
  })
})
