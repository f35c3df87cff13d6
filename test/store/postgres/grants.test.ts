import { expect } from "chai"
import { migrateJobs } from "#src/jobs/connection.js"
import { openJobs } from "#src/jobs/jobs.js"
import { custodyLogTable } from "#src/store/postgres/custody-log-table.js"
import { type Database, openDatabase } from "#src/store/postgres/database.js"
import { grantsFor } from "#src/store/postgres/grants.js"
import { bindingHolds } from "#src/store/postgres/holds.js"
import { keyHistories } from "#src/store/postgres/key-history-rows.js"
import { assertSchema, migrate } from "#src/store/postgres/migrations.js"
import { rowTexts } from "#src/store/postgres/row-texts.js"
import { sharedQuotas } from "#src/store/postgres/shared-quota.js"
import { keyferry } from "#test/support/cli.js"
import { expectCode } from "#test/support/expect-code.js"
import { type PostgresServer, startPostgres } from "#test/support/postgres.js"

const OWNER = "keyferry_owner"
const ROLES = ["keyferry", `odd" $keyferry$ 'Ro;le`] as const
const clock = { now: () => new Date("2026-03-01T12:00:00Z") }

describe("grants of the state's database", () => {
  let server: PostgresServer
  const opened: Database[] = []
  const open = (name: string, role: string): Database => {
    const database = openDatabase({ url: server.urlOf(name, encodeURIComponent(role)) }, "keyferry test")
    opened.push(database)
    return database
  }
  const quoted = (role: string): string => `"${role.replaceAll('"', '""')}"`
  /** As the owner of the tables runs what was printed. */
  const run = (name: string, role: string): string => server.sql(name, `SET ROLE ${OWNER};\n${grantsFor(role)}\n`)
  /** Who has which right of which table, column, schema and function. */
  const rights = (name: string): string =>
    server.sql(
      name,
      `SELECT c.oid::regclass, c.relacl FROM pg_class c WHERE relnamespace IN (SELECT oid FROM pg_namespace WHERE nspname LIKE 'keyferry%') ORDER BY 1;
       SELECT nspname, nspacl FROM pg_namespace WHERE nspname LIKE 'keyferry%' ORDER BY 1;
       SELECT attrelid::regclass, attname, attacl FROM pg_attribute WHERE attacl IS NOT NULL AND attrelid::regclass::text LIKE 'keyferry%' ORDER BY 1, 2;
       SELECT p.oid::regprocedure, proacl FROM pg_proc p WHERE pronamespace IN (SELECT oid FROM pg_namespace WHERE nspname LIKE 'keyferry%') ORDER BY 1`,
    )
  const make = async (name: string): Promise<Database> => {
    await server.createDatabase(name)
    server.sql("postgres", `GRANT CREATE ON DATABASE ${name} TO ${OWNER}`)
    const owner = open(name, OWNER)
    await migrate(owner)
    return owner
  }

  before(async () => {
    server = await startPostgres()
    const roles = ROLES.map((role) => `CREATE ROLE ${quoted(role)} LOGIN`)
    server.sql("postgres", [`CREATE ROLE ${OWNER} LOGIN`, ...roles].join("; "))
    await migrateJobs(await make("fleet"))
  })
  afterEach(async () => {
    for (const database of opened.splice(0)) await database[Symbol.asyncDispose]()
  })
  after(async () => {
    await server[Symbol.asyncDispose]()
  })

  for (const role of ROLES) {
    it(`let ${role} do all that keyferry does, and nothing more`, async () => {
      run("fleet", role)
      const database = open("fleet", role)
      await assertSchema(database)
      const texts = rowTexts(database)
      await texts.put(["a", "b"], "1")
      await texts.put(["a", "b"], "2")
      await texts.mark(["a", "c"])
      await texts.unmark(["a", "c"])
      expect([await texts.names(["a"]), await texts.read(["a", "b"])]).to.deep.equal([["b"], "2"])
      await texts.remove(["a", "b"])

      await using holds = bindingHolds(database, { holder: role })
      await using hold = await holds.hold([{ name: "payments", target: "default" }])
      await hold.assertHeld()
      const { fences } = hold
      const log = custodyLogTable(database, clock, () => fences)
      await log.append({ event: "source.generated", name: "payments", facts: {} })
      await rowTexts(database, () => fences).put(["d", "e"], "3")
      await log.check()
      await log.verify()
      expect((await keyHistories(database, new Set(["payments"]), 5)).get("payments")).to.not.equal(undefined)

      const quota = { account: role, region: "us-east-1", operation: "ImportKeyMaterial" }
      await sharedQuotas(database).takeSlots(quota, { everyMs: 1, burst: 1, count: 1 })
      await sharedQuotas(database).throttled(quota, 1)

      const jobs = await openJobs(database, (error) => expect.fail(error.message))
      expect(await jobs.queue("soft", [{ name: role, target: "default", replaced: false }])).to.equal(1)
      await jobs.stop(1000)

      for (const sql of [
        "UPDATE keyferry.custody_log SET line = line",
        "UPDATE keyferry.custody_log SET part = 'x' WHERE false",
        "DELETE FROM keyferry.custody_log",
        "TRUNCATE keyferry.custody_log",
        "TRUNCATE keyferry.text",
        "DELETE FROM keyferry.binding",
        "INSERT INTO keyferry.migration (version) VALUES (2)",
        "ALTER TABLE keyferry.custody_log DROP COLUMN hash",
        "DROP TABLE keyferry.custody_log",
        "CREATE TABLE keyferry.own (a int)",
        "CREATE RULE r AS ON INSERT TO keyferry.custody_log DO INSTEAD NOTHING",
        "CREATE TABLE keyferry_jobs.own (a int)",
      ]) {
        const error = await expectCode("ERR_DATABASE_REFUSED", () => database.query(sql))
        expect(error.hint, sql).to.include("keyferry policy postgres --role")
      }
    })
  }

  it("are the same however often they are given, and whatever was given before", () => {
    const [role] = ROLES
    run("fleet", role)
    const once = rights("fleet")
    run("fleet", role)
    expect(rights("fleet")).to.equal(once)
    for (const whom of [quoted(role), "PUBLIC"]) {
      server.sql(
        "fleet",
        `GRANT ALL ON ALL TABLES IN SCHEMA keyferry, keyferry_jobs TO ${whom}; GRANT ALL ON SCHEMA keyferry TO ${whom};
         GRANT UPDATE (line) ON keyferry.custody_log TO ${whom}`,
      )
    }
    expect(rights("fleet")).to.not.equal(once)
    run("fleet", role)
    expect(rights("fleet")).to.equal(once)
  })

  it("are given where there are no tables of jobs", async () => {
    const [role] = ROLES
    await make("alone")
    run("alone", role)
    await rowTexts(open("alone", role)).put(["a", "b"], "1")
  })

  it("are printed by policy postgres, from no file and for no role but the one named", async () => {
    const printed = await keyferry(["policy", "postgres", "--role", ROLES[1]])
    expect(printed).to.include({ status: 0, stdout: `${grantsFor(ROLES[1])}\n`, stderr: "" })
    const asked = ["policy", "postgres", "--role", ROLES[0], "--json"]
    expect((await keyferry(asked)).json()).to.include({ role: ROLES[0], sql: grantsFor(ROLES[0]) })
    expect((await keyferry(["policy", "postgres"])).status).to.equal(64)
    const refused = await keyferry(["policy", "postgres", "--role", "public"])
    expect([refused.status, refused.stdout]).to.deep.equal([64, ""])
    expect(refused.stderr).to.include("state.postgres.url")
  })

  it("are printed for no name that is not a role of one's own", async () => {
    for (const role of ["", "public", "none", "pg_read_all_data", "a\nb", "a\0", "é".repeat(32)]) {
      await expectCode("ERR_USAGE", () => grantsFor(role))
    }
    // in capitals it is a name like others
    expect(grantsFor("PUBLIC")).to.include('TO "PUBLIC"')
  })
})
