import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { expect } from "chai"
import { WorkWorld } from "#src/agent/work-world.js"
import { openWorld } from "#src/host/open.js"
import { lockWholeState } from "#src/store/postgres/database-lock.js"
import type { Database } from "#src/store/postgres/database.js"
import { migratedDatabase, type PostgresServer, startPostgres } from "#test/support/postgres.js"

describe("the world that jobs of a token share", () => {
  const folder = mkdtempSync(join(tmpdir(), "keyferry-jobs-"))
  const config = join(folder, "keyferry.yaml")
  let server: PostgresServer
  let database: Database
  let jobs: WorkWorld

  before(async () => {
    server = await startPostgres()
    database = await migratedDatabase(server, "jobs")
    writeFileSync(
      config,
      `version: 1
id: fleet
state: { postgres: { url: ${JSON.stringify(server.urlOf("jobs"))} } }
targets: { here: { region: eu-west-3 } }
keys: { payments: { keySpec: HMAC_256 } }
`,
    )
    const progress = { step: () => undefined, warn: () => undefined }
    const surroundings = { env: {}, progress, log: { event: () => undefined }, command: "agent" }
    jobs = new WorkWorld(
      () => openWorld({ config }, surroundings),
      () => undefined,
    )
  })
  after(async () => {
    await jobs.close()
    await database[Symbol.asyncDispose]()
    await server[Symbol.asyncDispose]()
    rmSync(folder, { recursive: true, force: true })
  })

  it("lets who waits for the state as a whole have it when the jobs in hand are done, before any other", async () => {
    const happened: string[] = []
    const { promise: isEnough, resolve: enough } = Promise.withResolvers<null>()
    const { promise: isBegun, resolve: begun } = Promise.withResolvers<null>()
    const first = jobs.use(async ({ keys, fleet }) => {
      expect([keys.length, fleet.lock]).to.deep.equal([1, null])
      begun(null)
      await isEnough
      happened.push("first job")
    })
    await isBegun
    const { promise: isWaiting, resolve: onWait } = Promise.withResolvers<string>()
    const whole = lockWholeState(database, { mode: "exclusive", command: "key reseal", timeout: null, onWait }).then(
      async (lock) => {
        happened.push("whole state")
        await sleep(1000)
        happened.push("whole state again")
        await lock[Symbol.asyncDispose]()
      },
    )
    expect(await isWaiting).to.contain("keyferry agent, process")
    const second = jobs.use(() => Promise.resolve(happened.push("second job")))
    await sleep(2000)
    enough(null)
    await Promise.all([first, whole, second])
    expect(happened).to.deep.equal(["first job", "whole state", "whole state again", "second job"])
  })
})
