import { expect } from "chai"
import { type ChildProcess, spawn } from "node:child_process"
import { createInterface } from "node:readline"
import { setTimeout as sleep } from "node:timers/promises"
import { fileURLToPath } from "node:url"
import { KeyferryError } from "#src/core/base/error.js"
import type { JobKey } from "#src/core/records/dead-letter.js"
import { migrateJobs } from "#src/jobs/connection.js"
import { readTroubledJobs } from "#src/jobs/troubled-jobs.js"
import { type Jobs, openJobs } from "#src/jobs/jobs.js"
import { type Database, openDatabase } from "#src/store/postgres/database.js"
import { grantsFor } from "#src/store/postgres/grants.js"
import { migrate } from "#src/store/postgres/migrations.js"
import { type PostgresServer, startPostgres } from "../support/postgres.js"

const keyNamed = (name: string): JobKey => ({ name, target: "paris", replaced: false })

describe("jobs of all agents", () => {
  let server: PostgresServer
  let url: string
  let database: Database
  const opened: Jobs[] = []
  const processes: ChildProcess[] = []
  let count = 0

  before(async () => {
    server = await startPostgres()
  })
  after(async () => {
    await server[Symbol.asyncDispose]()
  })
  beforeEach(async () => {
    count += 1
    url = await server.createDatabase(`jobs${count}`)
    database = openDatabase({ url }, "keyferry test")
    await migrateJobs(database)
  })
  afterEach(async () => {
    for (const child of processes.splice(0)) child.kill("SIGKILL")
    for (const jobs of opened.splice(0)) await jobs.stop(1000)
    await database[Symbol.asyncDispose]()
  })

  const open = async (as: Database = database): Promise<Jobs> => {
    const jobs = await openJobs(as, () => undefined)
    opened.push(jobs)
    return jobs
  }

  /** An agent in a process of its own, and what it says, with the time of it. */
  const agent = (mode: string) => {
    const child = spawn(
      process.execPath,
      [fileURLToPath(new URL("../support/jobs-process.js", import.meta.url)), url, mode],
      {
        stdio: ["ignore", "pipe", "inherit"],
      },
    )
    processes.push(child)
    const said: { readonly words: string; readonly at: number }[] = []
    createInterface({ input: child.stdout }).on("line", (words) => said.push({ words, at: Date.now() }))
    const heard = (words: string) =>
      until(
        () => said.find((line) => line.words.startsWith(words)),
        (line) => line !== undefined,
      )
    return { child, said, heard }
  }

  it("refuses a database without its tables, and says what to run", async () => {
    const empty = openDatabase({ url: await server.createDatabase(`empty${count}`) }, "keyferry test")
    try {
      await openJobs(empty, () => undefined)
      expect.fail("it opened")
    } catch (error) {
      expect(error).to.be.instanceOf(KeyferryError).with.property("code", "ERR_STATE_VERSION")
      expect((error as KeyferryError).hint).to.contain("state migrate")
    } finally {
      await empty[Symbol.asyncDispose]()
    }
  })

  it("makes its tables once, whoever else makes them", async () => {
    await Promise.all([migrateJobs(database), migrateJobs(database)])
  })

  it("does each job that was queued, of any name of a token, and of no other token", async () => {
    const jobs = await open()
    const token = "Übungs token_1/ä"
    const did: string[] = []
    expect(await jobs.queue(token, ["a", "b", "c"].map(keyNamed))).to.equal(3)
    await jobs.queue("other", [keyNamed("d")])
    await jobs.workOn(token, { width: 2 }, async ({ name }) => {
      did.push(name)
      return await Promise.resolve(null)
    })
    await until(
      () => did.length,
      (done) => done === 3,
    )
    expect(did.sort()).to.deep.equal(["a", "b", "c"])
    expect(
      server.sql(`jobs${count}`, "SELECT count(*) FROM keyferry_jobs.job WHERE state = 'created'").trim(),
    ).to.equal("1")
  })

  it("takes keys in their order, and what is tried again before those that come after it", async () => {
    const jobs = await open()
    const names = Array.from({ length: 6 }, (_, index) => `key-${index}`)
    await jobs.queue("t1", names.map(keyNamed))
    const taken: string[] = []
    await jobs.workOn("t1", { width: 1 }, async ({ name }) => {
      taken.push(name)
      // the waits of the engine are not what is asked here
      const isTriedAgain = taken.filter((other) => other === "key-1").length > 1
      if (name === "key-2" && !isTriedAgain) {
        server.sql(`jobs${count}`, "UPDATE keyferry_jobs.job SET start_after = now() WHERE state = 'retry'")
      }
      if (name === "key-1" && !isTriedAgain) throw new KeyferryError("ERR_KEY_HELD", "another has it")
      return await Promise.resolve(null)
    })
    await until(
      () => taken,
      (list) => list.length === 7,
    )
    expect(taken).to.deep.equal(["key-0", "key-1", "key-2", "key-1", "key-3", "key-4", "key-5"])
  })

  it("queues a key once, for as long as it is queued or worked on", async () => {
    const jobs = await open()
    let end = (): void => undefined
    const isLetGo = new Promise<void>((resolve) => (end = resolve))
    expect(await jobs.queue("t1", [keyNamed("a")])).to.equal(1)
    expect(await jobs.queue("t1", [keyNamed("a"), keyNamed("b")])).to.equal(1)
    const began: string[] = []
    await jobs.workOn("t1", { width: 2 }, async ({ name }) => {
      began.push(name)
      await isLetGo
      return null
    })
    await until(
      () => began.length,
      (taken) => taken === 2,
    )
    expect(await jobs.queue("t1", [keyNamed("a"), keyNamed("b")])).to.equal(0)
    // another KMS key of the same name is other work
    expect(await jobs.queue("t1", [{ ...keyNamed("a"), replaced: true }])).to.equal(1)
    end()
    await until(
      () => jobs.queue("t1", [keyNamed("a")]),
      (queued) => queued === 1,
    )
  })

  it("plans in one process at a time", async () => {
    const agents = [agent("plans"), agent("plans")]
    await Promise.all(agents.map(({ heard }) => heard("ready")))
    // the start of each, and the schedule
    const spans = await until(
      () => agents.flatMap(({ said }) => spansOf(said.map(({ words }) => words))).sort((a, b) => a.began - b.began),
      (ended) => ended.length >= 2,
    )
    for (const [index, { began }] of spans.entries()) expect(began).to.be.greaterThan(spans[index - 1]?.ended ?? 0)
  })

  for (const signal of ["SIGKILL", "SIGSTOP"] as const) {
    it(`gives the job of a process that had ${signal} to another`, async () => {
      const jobs = await open()
      await jobs.queue("t1", [keyNamed("a")])
      const first = agent("hangs")
      await first.heard("begins a")
      const second = agent("works")
      await second.heard("ready")
      first.child.kill(signal)
      const at = Date.now()
      await second.heard("ends a")
      process.stdout.write(`      taken over ${((Date.now() - at) / 1000).toFixed(1)} s after ${signal}\n`)
      expect(await jobs.deadLetters()).to.deep.equal([])
    })
  }

  it("tries a key that fails three times, later each time, and keeps it as a dead letter until it goes well", async () => {
    const jobs = await open()
    /** By the database: when it was to be tried, and when it was; the engine looks every few seconds. */
    const tries: { readonly due: number; readonly at: number }[] = []
    let isBroken = true
    await jobs.queue("t1", [keyNamed("a")])
    await jobs.workOn("t1", { width: 1 }, async () => {
      const { rows } = await database.query<{ due: number; at: number }>(
        "SELECT extract(epoch FROM start_after)::float8 AS due, extract(epoch FROM clock_timestamp())::float8 AS at FROM keyferry_jobs.job WHERE name = 'rows/t1' AND state = 'active'",
      )
      tries.push(...rows)
      return await Promise.resolve(
        isBroken ? { code: "ERR_TOKEN_NO_MECHANISM", message: "no way to wrap", counts: true } : null,
      )
    })
    const [letter] = await until(
      () => jobs.deadLetters(),
      (dead) => dead.length === 1,
    )
    expect(letter).to.include({
      ...keyNamed("a"),
      token: "t1",
      code: "ERR_TOKEN_NO_MECHANISM",
      message: "no way to wrap",
    })
    expect(tries).to.have.length(3)
    const [second = 0, third = 0] = tries.slice(1).map(({ due }, index) => due - (tries[index]?.at ?? 0))
    expect(third).to.be.greaterThan(second)
    // as who does not work there reads them
    expect(await readTroubledJobs(database)).to.deep.equal({ dead: [letter], untaken: [] })
    isBroken = false
    expect(await jobs.queue("t1", [keyNamed("a")])).to.equal(1)
    await until(
      () => jobs.deadLetters(),
      (dead) => dead.length === 0,
    )
  })

  it("tells of jobs that no agent takes, and of none of a long queue that somebody works on", async () => {
    const jobs = await open()
    for (const token of ["t1", "t/2"]) await jobs.queue(token, [keyNamed("a"), keyNamed("b")])
    const sql = (text: string): string => server.sql(`jobs${count}`, text)
    const ago = (minutes: number): string => `now() - interval '${minutes} minutes'`
    const untakenTokens = async () =>
      (await readTroubledJobs(database)).untaken.map(({ token, count: waiting }) => [token, waiting])
    expect(await untakenTokens()).to.deep.equal([])
    sql(`UPDATE keyferry_jobs.job SET start_after = ${ago(16)}`)
    expect(await untakenTokens()).to.deep.equal([
      ["t1", 2],
      ["t/2", 2],
    ])
    // the last job of t1 was begun so long ago
    const took = (minutes: number): string =>
      sql(`INSERT INTO keyferry_jobs.job (name, state, started_on) VALUES ('rows/t1', 'completed', ${ago(minutes)})`)
    took(16)
    expect(await untakenTokens()).to.deep.include(["t1", 2])
    took(14)
    expect(await untakenTokens()).to.deep.equal([["t/2", 2]])
    // one that waits before it is tried again is not due
    sql(`UPDATE keyferry_jobs.job SET start_after = now() + interval '1 hour', state = 'retry' WHERE name <> 'rows/t1'`)
    expect(await untakenTokens()).to.deep.equal([])
  })

  it("forgets the dead letter of a key that needs no work any more, and no other", async () => {
    const jobs = await open()
    server.sql(
      `jobs${count}`,
      `INSERT INTO keyferry_jobs.job (name, data) SELECT 'dead', jsonb_build_object('name', n, 'target', 'paris', 'replaced', false) FROM unnest('{a,b}'::text[]) AS n`,
    )
    await jobs.forget([keyNamed("a")])
    expect((await jobs.deadLetters()).map(({ name }) => name)).to.deep.equal(["b"])
  })

  it("does not count against a key that another process holds it", async () => {
    const jobs = await open()
    await jobs.queue("t1", [keyNamed("a")])
    let tries = 0
    await jobs.workOn("t1", { width: 1 }, async () => {
      tries += 1
      if (tries < 4) throw new KeyferryError("ERR_KEY_HELD", "another has it")
      return await Promise.resolve(null)
    })
    // the waits of the engine are not what is asked here
    await until(
      () => {
        server.sql(`jobs${count}`, "UPDATE keyferry_jobs.job SET start_after = now() WHERE state = 'retry'")
        return tries
      },
      (made) => made === 4,
    )
    await until(
      () => jobs.queue("t1", [keyNamed("a")]),
      (queued) => queued === 1,
    )
    expect(await jobs.deadLetters()).to.deep.equal([])
  })

  it("gives back what is not done when it stops", async () => {
    const jobs = await openJobs(database, () => undefined)
    await jobs.queue("t1", [keyNamed("a")])
    let signalled: AbortSignal | undefined
    await jobs.workOn("t1", { width: 1 }, async (_, signal) => {
      signalled = signal
      await sleep(3_600_000, undefined, { signal, ref: false }).catch(() => undefined)
      return null
    })
    await until(
      () => signalled,
      (signal) => signal !== undefined,
    )
    await jobs.stop(1000)
    expect(signalled?.aborted).to.equal(true)
    expect(server.sql(`jobs${count}`, "SELECT state FROM keyferry_jobs.job WHERE name = 'rows/t1'").trim()).to.equal(
      "retry",
    )
  })

  it("loses no job when PostgreSQL is restarted, or killed, while jobs run", async () => {
    const jobs = await open()
    const names = Array.from({ length: 40 }, (_, index) => `key-${index}`)
    const ended = new Set<string>()
    await jobs.queue("t1", names.map(keyNamed))
    await jobs.workOn("t1", { width: 4 }, async ({ name }) => {
      await sleep(300)
      ended.add(name)
      return null
    })
    for (const mode of ["fast", "immediate"] as const) {
      await sleep(1000)
      await server.stop(mode)
      await server.start()
    }
    await until(
      () => server.sql(`jobs${count}`, "SELECT count(*) FROM keyferry_jobs.job WHERE state <> 'completed'").trim(),
      (open) => open === "0",
    )
    expect(ended.size).to.equal(names.length)
  })

  it("works as a role that may make no table", async () => {
    const role = `agent${count}`
    await migrate(database)
    server.sql(`jobs${count}`, `CREATE ROLE ${role} LOGIN; ${grantsFor(role)}`)
    const asAgent = openDatabase({ url: server.urlOf(`jobs${count}`, role) }, "keyferry test")
    try {
      await asAgent.query("CREATE TABLE keyferry_jobs.other (id integer)")
      expect.fail("it may make tables")
    } catch (error) {
      expect(error).to.have.property("code", "ERR_DATABASE_REFUSED")
    }
    const troubles: Error[] = []
    const jobs = await openJobs(asAgent, (error) => troubles.push(error))
    opened.push(jobs)
    let planned = 0
    const did: string[] = []
    await jobs.planOn({ cron: "0 3 * * *", timeZone: "Europe/Berlin" }, async () => {
      planned += 1
      await jobs.queue("t2", [keyNamed("a")])
    })
    await jobs.planNow()
    await jobs.workOn("t2", { width: 1 }, async ({ name }) => {
      did.push(name)
      return await Promise.resolve({ code: "ERR_KEY_HELD", message: "held", counts: false })
    })
    await until(
      () => did.length,
      (done) => done > 0,
    )
    // longer than two looks of the supervision
    await sleep(12_000)
    expect(planned).to.equal(1)
    expect(troubles.map(({ message }) => message)).to.deep.equal([])
    await asAgent[Symbol.asyncDispose]()
  })
})

/** Waits for what is asked anew each time. The test's own time limit ends it. */
async function until<T>(ask: () => T | Promise<T>, isSo: (answer: T) => boolean): Promise<NonNullable<T>> {
  for (;;) {
    const answer = await ask()
    if (isSo(answer)) return answer as NonNullable<T>
    await sleep(100)
  }
}

function spansOf(words: readonly string[]): readonly { readonly began: number; readonly ended: number }[] {
  const timesOf = (start: string) =>
    words.filter((line) => line.startsWith(start)).map((line) => Number(line.slice(start.length)))
  const ends = timesOf("plan ends ")
  return timesOf("plan begins ").flatMap((began, index) => {
    const ended = ends[index]
    return ended === undefined ? [] : [{ began, ended }]
  })
}
