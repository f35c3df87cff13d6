import { expect } from "chai"
import { bindingHolds, type Hold } from "#src/store/postgres/holds.js"
import type { Database } from "#src/store/postgres/database.js"
import { expectCode } from "#test/support/expect-code.js"
import { migratedDatabase, type PostgresServer, startPostgres } from "#test/support/postgres.js"

const KEY = { name: "payments", target: "frankfurt" }
const OTHER = { name: "ledger", target: "frankfurt" }

describe("bindingHolds", () => {
  let server: PostgresServer
  let database: Database
  let count = 0

  before(async () => {
    server = await startPostgres()
  })
  after(() => server[Symbol.asyncDispose]())
  beforeEach(async () => {
    database = await migratedDatabase(server, `holds_${(count += 1)}`)
  })
  afterEach(() => database[Symbol.asyncDispose]())

  const sessionsOfHolds = (): number =>
    Number(server.sql(`holds_${count}`, "SELECT count(DISTINCT pid) FROM pg_locks WHERE locktype = 'advisory'"))
  const fenceOf = ({ fences }: Hold): bigint => BigInt(fences[0]?.fence ?? 0)

  it("keeps a second task of the same process out, names the holder, and raises the fence with each taking", async () => {
    await using holds = bindingHolds(database, { holder: "process 1 on alpha" })
    const first = await holds.hold([KEY])
    await first.assertHeld()
    const error = await expectCode("ERR_KEY_HELD", () => holds.hold([KEY]))
    expect(error.message).to.match(
      /^payments \(frankfurt\) is being worked on by process 1 on alpha, since \d{4}-\d\d-\d\dT/,
    )
    expect(error.key).to.equal("payments")
    await first[Symbol.asyncDispose]()
    await using second = await holds.hold([KEY])
    expect(fenceOf(second)).to.equal(fenceOf(first) + 1n)
    await expectCode("ERR_BINDING_LOST", () => first.assertHeld())
    await second.assertHeld()
  })

  it("takes all or none, and another key of the same name stays free", async () => {
    await using holds = bindingHolds(database, { holder: "alpha" })
    await using others = bindingHolds(database, { holder: "beta" })
    const held = await holds.hold([OTHER])
    const error = await expectCode("ERR_KEY_HELD", () => others.hold([KEY, OTHER, { ...KEY, target: "a" }]))
    expect(error.message).to.contain("ledger (frankfurt) is being worked on by alpha, since")
    await using key = await holds.hold([KEY, { ...KEY, target: "a" }])
    await key.assertHeld()
    await held[Symbol.asyncDispose]()
    await using both = await others.hold([OTHER, OTHER])
    expect(both.fences).to.have.length(1)
  })

  it("of two that want the same keys in opposite orders one gets all of them, again and again", async () => {
    await using holds = bindingHolds(database, { holder: "alpha" })
    await using others = bindingHolds(database, { holder: "beta" })
    for (let times = 0; times < 200; times += 1) {
      const outcomes = await Promise.allSettled([holds.hold([KEY, OTHER]), others.hold([OTHER, KEY])])
      const got = outcomes.filter((outcome) => outcome.status === "fulfilled")
      expect(got).to.have.length(1)
      await got[0]?.value[Symbol.asyncDispose]()
    }
  })

  it("holds 1,000 keys at once on one connection", async () => {
    await using holds = bindingHolds(database, { holder: "alpha" })
    const keys = Array.from({ length: 1000 }, (_, index) => ({ name: `key-${index}`, target: "frankfurt" }))
    const held = await Promise.all(keys.map((key) => holds.hold([key])))
    expect(sessionsOfHolds()).to.equal(1)
    await Promise.all(held.map((hold) => hold.assertHeld()))
    await Promise.all(held.map((hold) => hold[Symbol.asyncDispose]()))
    expect(sessionsOfHolds()).to.equal(0)
  })

  it("loses what it held when the server restarts, and takes it again under a greater fence", async () => {
    await using holds = bindingHolds(database, { holder: "alpha" })
    const lost = await holds.hold([KEY])
    await server.stop("immediate")
    await expectCode("ERR_BINDING_LOST", () => lost.assertHeld())
    await server.start()
    await expectCode("ERR_BINDING_LOST", () => lost.assertHeld())
    await lost[Symbol.asyncDispose]()
    await using next = await holds.hold([KEY])
    await next.assertHeld()
    expect(fenceOf(next) > fenceOf(lost)).to.equal(true)
  })

  it("is asked for again where the answer is old when it is read", async () => {
    await using holds = bindingHolds(database, { holder: "alpha" })
    const held = await holds.hold([KEY])
    const asking = expectCode("ERR_BINDING_LOST", () => held.assertHeld())
    // the question is sent before anything is read
    for (let turns = 0; turns < 20; turns += 1) await new Promise<void>((resolve) => process.nextTick(resolve))
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 6_000)
    server.sql(`holds_${count}`, "UPDATE keyferry.binding SET fence = fence + 1")
    await asking
  })

  it("is lost where its session is ended, and where another has raised the fence", async () => {
    await using holds = bindingHolds(database, { holder: "alpha" })
    const first = await holds.hold([KEY])
    server.sql(
      `holds_${count}`,
      "SELECT pg_terminate_backend(pid) FROM (SELECT DISTINCT pid FROM pg_locks WHERE locktype = 'advisory') AS sessions",
    )
    await expectCode("ERR_BINDING_LOST", () => first.assertHeld())
    await first[Symbol.asyncDispose]()
    await using second = await holds.hold([KEY])
    server.sql(`holds_${count}`, "UPDATE keyferry.binding SET fence = fence + 1")
    await expectCode("ERR_BINDING_LOST", () => second.assertHeld())
  })
})
