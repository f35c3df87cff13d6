import { expect } from "chai"
import { type Database, openDatabase } from "#src/store/postgres/database.js"
import { databaseError } from "#src/store/postgres/database-error.js"
import { assertSchema, migrate, MIGRATIONS } from "#src/store/postgres/migrations.js"
import { rowTexts } from "#src/store/postgres/row-texts.js"
import { expectCode } from "#test/support/expect-code.js"
import { migratedDatabase, type PostgresServer, startPostgres } from "#test/support/postgres.js"

describe("the database", () => {
  let server: PostgresServer
  const opened: Database[] = []
  const open = (name: string, role?: string): Database => {
    const database = openDatabase({ url: server.urlOf(name, role) }, "keyferry test")
    opened.push(database)
    return database
  }

  before(async () => {
    server = await startPostgres()
    await (await migratedDatabase(server, "kept"))[Symbol.asyncDispose]()
  })
  afterEach(async () => {
    for (const database of opened.splice(0)) await database[Symbol.asyncDispose]()
  })
  after(async () => {
    await server[Symbol.asyncDispose]()
  })

  it("has the settings that the state rests on, whatever role and database have", async () => {
    const hostile = {
      synchronous_commit: "off",
      default_transaction_isolation: "serializable",
      DateStyle: "German",
      idle_session_timeout: "1",
      idle_in_transaction_session_timeout: "1",
      statement_timeout: "1",
      lock_timeout: "1",
    }
    const sets = Object.entries(hostile).map(([name, value]) => `ALTER ROLE strange SET ${name} = '${value}'`)
    server.sql("kept", ["CREATE ROLE strange LOGIN", ...sets].join("; "))
    const { rows } = await open("kept", "strange").query<{ name: string; setting: string }>(
      "SELECT lower(name) AS name, setting FROM pg_settings WHERE lower(name) = ANY ($1)",
      [Object.keys(hostile).map((name) => name.toLowerCase())],
    )
    expect(Object.fromEntries(rows.map(({ name, setting }) => [name, setting]))).to.deep.equal({
      synchronous_commit: "on",
      default_transaction_isolation: "read committed",
      datestyle: "ISO, MDY",
      idle_session_timeout: "0",
      idle_in_transaction_session_timeout: "15000",
      statement_timeout: "60000",
      lock_timeout: "30000",
    })
  })

  it("ends once all that was asked of it is answered", async () => {
    const database = open("kept")
    await database.query("CREATE TABLE asked (number integer)")
    // its connection waits for another asking
    const asked = [1, 2, 3].map((number) => database.query("INSERT INTO asked VALUES ($1)", [number]))
    await opened.pop()?.[Symbol.asyncDispose]()
    await Promise.all(asked)
    const { rows } = await open("kept").query("SELECT number FROM asked ORDER BY number")
    expect(rows).to.deep.equal([{ number: 1 }, { number: 2 }, { number: 3 }])
  })

  it("does a transaction whole or not at all, and lends its connection again without a trace", async () => {
    const database = open("kept")
    const insert = "INSERT INTO keyferry.text VALUES ($1, '')"
    const warnings: Error[] = []
    const warned = (warning: Error): void => void warnings.push(warning)
    process.on("warning", warned)
    for (let times = 0; times < 30; times += 1) {
      const thrown = await database
        .transaction(async (connection) => {
          await connection.query(insert, ["half"])
          throw new Error("of the work")
        })
        .catch((error: unknown) => error)
      expect((thrown as Error).message).to.equal("of the work")
    }
    process.off("warning", warned)
    // of listeners that are never taken away, for one
    expect(warnings).to.deep.equal([])
    const read = await database.transaction(
      (connection) => connection.query("SELECT 1 FROM keyferry.text WHERE path = 'half'"),
      { readOnly: true },
    )
    expect(read.rows).to.deep.equal([])
    await expectCode("ERR_STATE_WRITE", () =>
      database.transaction((connection) => connection.query(insert, ["a"]), { readOnly: true }),
    )
  })

  it("is told to be gone while it is, and goes on after a restart or a crash, in the middle of work too", async () => {
    const database = open("kept")
    for (const mode of ["fast", "immediate"] as const) {
      const held = await database.connect()
      await held.query("SELECT 1")
      await Promise.all([1, 2, 3].map(() => database.query("SELECT 1")))
      const asleep = expectCode("ERR_DATABASE_UNREACHABLE", () => database.query("SELECT pg_sleep(50)"))
      await server.stop(mode)
      await asleep
      await expectCode("ERR_DATABASE_UNREACHABLE", () => held.query("SELECT 1"))
      held.release(true)
      await expectCode("ERR_DATABASE_UNREACHABLE", () => database.query("SELECT 1"))
      await expectCode("ERR_DATABASE_UNREACHABLE", () => database.transaction(() => Promise.resolve()))
      await server.start()
      expect((await database.query("SELECT 1 AS one")).rows, mode).to.deep.equal([{ one: 1 }])
      await rowTexts(database).put(["a", "b"], mode)
    }
  })

  it("survives a connection that the server ends in the middle of a transaction", async () => {
    const database = open("kept")
    const error = await expectCode("ERR_DATABASE_UNREACHABLE", () =>
      database.transaction(async (connection) => {
        const { rows } = await connection.query<{ pid: number }>("SELECT pg_backend_pid() AS pid")
        server.sql("postgres", `SELECT pg_terminate_backend(${rows[0]?.pid ?? 0}, 5000)`)
        await connection.query("SELECT 1")
      }),
    )
    expect(error.message).to.include(database.place)
    await database.query("SELECT 1")
  })

  it("says who is not let in, and which database is not there", async () => {
    await expectCode("ERR_DATABASE_REFUSED", () => open("kept", "nobody_here").query("SELECT 1"))
    const error = await expectCode("ERR_DATABASE_REFUSED", () => open("nothing").query("SELECT 1"))
    expect(error.message).to.include('"nothing"')
    expect(error.hint).to.include("make that database")
    server.sql("kept", "CREATE ROLE bare LOGIN")
    const bare = await expectCode("ERR_DATABASE_REFUSED", () => rowTexts(open("kept", "bare")).read(["a", "b"]))
    expect(bare.hint).to.include("keyferry policy postgres")
  })

  it("says that tables are missing, or newer, and how that is helped", async () => {
    await server.createDatabase("empty")
    const empty = open("empty")
    for (const ask of [() => assertSchema(empty), () => rowTexts(empty).read(["a", "b"])]) {
      expect((await expectCode("ERR_STATE_VERSION", ask)).hint).to.include("keyferry state migrate")
    }
    expect(await migrate(empty)).to.deep.equal({ from: 0, to: MIGRATIONS.length })
    expect(await migrate(empty)).to.deep.equal({ from: MIGRATIONS.length, to: MIGRATIONS.length })
    await assertSchema(empty)
    server.sql("empty", `INSERT INTO keyferry.migration (version) VALUES (${MIGRATIONS.length + 1})`)
    for (const ask of [() => assertSchema(empty), () => migrate(empty)]) {
      expect((await expectCode("ERR_STATE_VERSION", ask)).hint).to.include("newer")
    }
  })

  it("says that nothing can be written there: read only, or a full disk", async () => {
    await (await migratedDatabase(server, "standby"))[Symbol.asyncDispose]()
    server.sql("postgres", "ALTER DATABASE standby SET default_transaction_read_only = on")
    const standby = await expectCode("ERR_STATE_WRITE", () => rowTexts(open("standby")).put(["a", "b"], ""))
    expect(standby.hint).to.include("name the primary server")
    const raise = "DO $$ BEGIN RAISE EXCEPTION 'no space left on device' USING ERRCODE = 'disk_full'; END $$"
    const full = await expectCode("ERR_STATE_WRITE", () => open("kept").query(raise))
    expect(full.hint).to.include("disk of the PostgreSQL server is full")
    const wrong = await expectCode("ERR_STATE_WRITE", () => open("kept").query("SELECT 1 / 0"))
    expect(wrong.hint).to.include("log of the PostgreSQL server")
  })

  it("waits neither for a lock nor for an answer without end", async () => {
    const database = open("kept")
    const holder = await database.connect()
    await holder.query("BEGIN")
    await holder.query("LOCK TABLE keyferry.text")
    const waits: [setting: string, sql: string][] = [
      ["lock_timeout", "SELECT 1 FROM keyferry.text"],
      ["statement_timeout", "SELECT pg_sleep(50)"],
    ]
    for (const [setting, sql] of waits) {
      const error = await expectCode("ERR_DATABASE_UNREACHABLE", () =>
        database.transaction(async (connection) => {
          await connection.query(`SET LOCAL ${setting} = 50`)
          await connection.query(sql)
        }),
      )
      expect(error.hint, setting).to.include("pg_stat_activity")
    }
    await holder.query("ROLLBACK")
    holder.release()
  })

  const CODES: [code: string, expected: string][] = [
    ["ECONNREFUSED", "ERR_DATABASE_UNREACHABLE"],
    ["EPIPE", "ERR_DATABASE_UNREACHABLE"],
    ["", "ERR_DATABASE_UNREACHABLE"],
    ["57P03", "ERR_DATABASE_UNREACHABLE"],
    ["25P03", "ERR_DATABASE_UNREACHABLE"],
    ["08006", "ERR_DATABASE_UNREACHABLE"],
    ["53300", "ERR_DATABASE_UNREACHABLE"],
    ["40P01", "ERR_DATABASE_UNREACHABLE"],
    ["CERT_HAS_EXPIRED", "ERR_DATABASE_REFUSED"],
    ["ERR_SSL_TLSV1_ALERT_UNKNOWN_CA", "ERR_DATABASE_REFUSED"],
    ["42704", "ERR_DATABASE_REFUSED"],
    ["58030", "ERR_STATE_WRITE"],
    ["XX001", "ERR_STATE_WRITE"],
    ["42703", "ERR_STATE_VERSION"],
  ]
  it("knows failures by their codes", () => {
    for (const [code, expected] of CODES) {
      expect(databaseError("the database", Object.assign(new Error("words"), { code })), code).to.include({
        code: expected,
      })
    }
    const error = new Error("of the work")
    expect(databaseError("the database", "no error")).to.equal("no error")
    expect(databaseError("the database", error)).to.have.property("cause", error)
  })
})
