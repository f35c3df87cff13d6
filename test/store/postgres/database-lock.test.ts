import { expect } from "chai"
import { assertCurrentHeld, currentFences } from "#src/store/postgres/current-hold.js"
import { lockWholeState, type WholeStateRequest } from "#src/store/postgres/database-lock.js"
import type { Database } from "#src/store/postgres/database.js"
import { bindingHolds } from "#src/store/postgres/holds.js"
import { rowTexts } from "#src/store/postgres/row-texts.js"
import { lockState } from "#src/store/postgres/whole-state.js"
import { expectCode } from "#test/support/expect-code.js"
import { migratedDatabase, type PostgresServer, startPostgres } from "#test/support/postgres.js"

describe("lockWholeState", () => {
  let server: PostgresServer
  let database: Database
  before(async () => {
    server = await startPostgres()
    database = await migratedDatabase(server, "locked")
  })
  after(async () => {
    await database[Symbol.asyncDispose]()
    await server[Symbol.asyncDispose]()
  })

  const take = (mode: WholeStateRequest["mode"], more: Partial<WholeStateRequest> = {}) =>
    lockWholeState(database, { mode, command: `command-${mode}`, timeout: 0, ...more })

  it("is shared by many, or one has it alone, who is named to others", async () => {
    const first = await take("shared")
    const second = await take("shared")
    const error = await expectCode("ERR_STATE_LOCKED", () => take("exclusive"))
    expect(error.message).to.contain(`keyferry command-shared, process ${process.pid} on `)
    await first[Symbol.asyncDispose]()
    await expectCode("ERR_STATE_LOCKED", () => take("exclusive"))
    await second[Symbol.asyncDispose]()
    await using alone = await take("exclusive", { timeout: 10_000 })
    await expectCode("ERR_STATE_LOCKED", () => take("shared"))
    expect(await alone.isAwaited()).to.equal(false)
  })

  it("is given to who waits for it alone before others share it", async () => {
    const first = await take("shared", { timeout: 10_000 })
    let isTold: () => void = () => undefined
    const told = new Promise<void>((resolve) => (isTold = resolve))
    const waiting = take("exclusive", { timeout: 60_000, onWait: () => isTold() })
    await told
    await expectCode("ERR_STATE_LOCKED", () => take("shared"))
    await first[Symbol.asyncDispose]()
    await (await waiting)[Symbol.asyncDispose]()
    await using next = await take("shared", { timeout: 10_000 })
    expect(await next.isAwaited()).to.equal(false)
  })

  it("is passed on to who waits for it, and taken again", async () => {
    await using shared = await take("shared", { timeout: 10_000 })
    const told: string[] = []
    const waiting = take("exclusive", { timeout: 60_000, onWait: (holder) => told.push(holder) })
    while (!(await shared.isAwaited())) await Promise.resolve()
    const again = shared.passOn()
    await (await waiting)[Symbol.asyncDispose]()
    await again
    expect(told).to.have.length(1)
    await expectCode("ERR_STATE_LOCKED", () => take("exclusive"))
  })

  it("of who had it alone, and lost it to another, lets nothing more be written", async () => {
    const holds = bindingHolds(database, { holder: "this test" })
    const others = bindingHolds(database, { holder: "another" })
    const request = { mode: "exclusive", command: "key destroy", timeout: 10_000 } as const
    const texts = rowTexts(database, currentFences)
    await using alone = await lockState(database, holds, request)
    await texts.put(["operations", "first.json"], "1")
    // as the server ends it of a process that is stopped
    server.sql("locked", "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'")
    await using shared = await lockState(database, others, { ...request, mode: "shared" })
    expect(await shared.isAwaited()).to.equal(false)
    await expectCode("ERR_BINDING_LOST", () => assertCurrentHeld())
    await expectCode("ERR_BINDING_LOST", () => texts.put(["operations", "second.json"], "2"))
    expect(await texts.names(["operations"])).to.deep.equal(["first.json"])
    expect(alone).to.not.equal(undefined)
    await holds[Symbol.asyncDispose]()
    await others[Symbol.asyncDispose]()
  })
})
