import { once } from "node:events"
import { setTimeout as sleep } from "node:timers/promises"
import { expect } from "chai"
import { lockLog } from "#src/store/postgres/custody-log-table.js"
import type { Database } from "#src/store/postgres/database.js"
import { rowTexts } from "#src/store/postgres/row-texts.js"
import { expectCode } from "#test/support/expect-code.js"
import { type HoldingProcess, holdingProcess } from "#test/support/holding-process.js"
import { migratedDatabase, type PostgresServer, startPostgres } from "#test/support/postgres.js"

describe("a key that a worker of another process holds", () => {
  let server: PostgresServer
  let database: Database
  let first: HoldingProcess
  let second: HoldingProcess
  let count = 0

  before(async () => {
    server = await startPostgres()
  })
  after(() => server[Symbol.asyncDispose]())
  beforeEach(async () => {
    database = await migratedDatabase(server, `taken_${(count += 1)}`)
    const url = server.urlOf(`taken_${count}`)
    first = holdingProcess(url, "payments")
    second = holdingProcess(url, "payments")
    expect(await first.ask("hold")).to.equal("done")
    expect(await second.ask("hold")).to.equal("ERR_KEY_HELD")
  })
  afterEach(async () => {
    await first[Symbol.asyncDispose]()
    await second[Symbol.asyncDispose]()
    await database[Symbol.asyncDispose]()
  })

  const written = () => rowTexts(database).read(["keys", "payments"])
  const lines = (): string => server.sql(`taken_${count}`, "SELECT count(*) FROM keyferry.custody_log").trim()

  async function takenOver(): Promise<void> {
    while ((await second.ask("hold")) !== "done") await sleep(100)
  }

  it("is free as soon as it is killed", async () => {
    first.child.kill("SIGKILL")
    await once(first.child, "exit")
    await takenOver()
    expect(await second.ask("assert")).to.equal("done")
  })

  it("is free as soon as it gives it back", async () => {
    expect(await first.ask("put")).to.equal("done")
    expect(await first.ask("free")).to.equal("done")
    expect(await second.ask("hold")).to.equal("done")
    expect(await first.ask("put")).to.equal("ERR_BINDING_LOST")
    expect(await written()).to.equal(`written by ${first.child.pid}`)
  })

  it("is taken over when it is stopped, and when woken it writes nothing more", async () => {
    expect(await first.ask("put")).to.equal("done")
    expect(await first.ask("log")).to.equal("done")
    expect(await first.ask("assert")).to.equal("done")
    first.child.kill("SIGSTOP")
    await takenOver()
    expect(await second.ask("put")).to.equal("done")
    first.child.kill("SIGCONT")
    for (const action of ["put", "log", "assert"] as const) {
      expect(await first.ask(action), action).to.equal("ERR_BINDING_LOST")
    }
    expect(await written()).to.equal(`written by ${second.child.pid}`)
    expect(lines()).to.equal("1")
    expect(await second.ask("assert")).to.equal("done")
    expect(await second.ask("log")).to.equal("done")
  })

  it("keeps nobody from the custody log where its worker is stopped in the middle of writing there", async () => {
    const writing = database.transaction(async (connection) => {
      await lockLog(connection)
      expect(await second.ask("log")).to.equal("done")
      await connection.query("SELECT 1")
    })
    await expectCode("ERR_DATABASE_UNREACHABLE", () => writing)
    expect(lines()).to.equal("1")
  })
})
