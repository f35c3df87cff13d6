import { chmodSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect } from "chai"
import { type Database, openDatabase } from "#src/store/postgres/database.js"
import { databaseFindings } from "#src/store/postgres/database-faults.js"
import { grantsFor } from "#src/store/postgres/grants.js"
import { migrate, MIGRATIONS } from "#src/store/postgres/migrations.js"
import { expectCode } from "#test/support/expect-code.js"
import { type PostgresServer, startPostgres } from "#test/support/postgres.js"
import { temporaryFolder } from "#test/support/temp-dir.js"

describe("what doctor says of the database", () => {
  const folder = temporaryFolder()
  let server: PostgresServer
  const opened: Database[] = []
  const open = (name: string, role?: string): Database => {
    const database = openDatabase({ url: server.urlOf(name, role) }, "keyferry test")
    opened.push(database)
    return database
  }
  /** This host's clock, so many ms ahead. */
  const clockAt = (offset: number) => ({ now: () => new Date(Date.now() + offset) })
  /** What is not well, as `status: message`. */
  const faults = async (
    database: Database,
    settings: { readonly passwordFile?: string },
    offset = 0,
  ): Promise<readonly string[]> =>
    (await databaseFindings(database, settings, clockAt(offset))).flatMap(({ status, message }) =>
      status === "ok" ? [] : [`${status}: ${message}`],
    )

  before(async () => {
    server = await startPostgres()
    server.sql("postgres", "CREATE ROLE owner LOGIN; CREATE ROLE agent LOGIN; CREATE ROLE stranger LOGIN")
    await server.createDatabase("kept")
    server.sql("postgres", "GRANT CREATE ON DATABASE kept TO owner")
    await migrate(open("kept", "owner"))
    await server.createDatabase("empty")
  })
  beforeEach(() => void server.sql("kept", `SET ROLE owner; ${grantsFor("agent")}`))
  afterEach(async () => {
    for (const database of opened.splice(0)) await database[Symbol.asyncDispose]()
  })
  after(async () => {
    await server[Symbol.asyncDispose]()
  })

  it("is that all is well, each thing by itself", async () => {
    const findings = await databaseFindings(open("kept", "agent"), {}, clockAt(0))
    expect(findings.map(({ status, hint }) => [status, hint])).to.deep.equal(findings.map(() => ["ok", null]))
    const text = findings.map(({ message }) => message).join("\n")
    for (const words of [
      /is PostgreSQL \d+/,
      /asked over a socket/,
      /synchronous_commit is on/,
      /the clock of .* is that of this host/,
      new RegExp(`have version ${MIGRATIONS.length}`),
      /agent may add to the custody log, and not change it/,
    ])
      expect(text).to.match(words)
  })

  it("tells roles that may change the custody log, and those that may do too little", async () => {
    expect((await faults(open("kept"), {})).join("\n")).to.match(/^warn: the role postgres is a superuser/)
    expect((await faults(open("kept", "owner"), {})).join("\n")).to.match(/^warn: the role owner owns/)
    expect((await faults(open("kept", "stranger"), {})).join("\n")).to.match(/^fail: this role may not use the tables/)
    const given: [grant: string, words: RegExp][] = [
      ["GRANT UPDATE (part) ON keyferry.custody_log TO agent", /^warn: the role agent may change the .*: UPDATE$/],
      ["GRANT DELETE, TRUNCATE ON keyferry.custody_log TO PUBLIC", /^warn: .*: DELETE, TRUNCATE$/],
      ["REVOKE INSERT ON keyferry.quota FROM agent", /^fail: the role agent lacks .*: INSERT of quota$/],
    ]
    for (const [grant, words] of given) {
      server.sql("kept", `SET ROLE owner; ${grantsFor("agent")}\n${grant}`)
      const findings = (await databaseFindings(open("kept", "agent"), {}, clockAt(0))).filter(
        ({ status }) => status !== "ok",
      )
      expect(findings.map(({ status, message }) => `${status}: ${message}`).join("\n")).to.match(words)
      expect(findings[0]?.hint).to.include("keyferry policy postgres")
    }
    server.sql("kept", "GRANT owner TO agent")
    expect((await faults(open("kept", "agent"), {})).join("\n")).to.match(/^warn: the role agent owns/)
    server.sql("kept", "REVOKE owner FROM agent")
  })

  it("tells tables that are missing, or of another version", async () => {
    expect((await faults(open("empty", "agent"), {})).join("\n")).to.match(/^fail: .* has no tables of keyferry$/)
    server.sql("kept", "INSERT INTO keyferry.migration (version) VALUES (1000)")
    expect((await faults(open("kept", "agent"), {})).join("\n")).to.match(/^fail: .* version 1000, and not/)
    server.sql("kept", "DELETE FROM keyferry.migration WHERE version = 1000")
  })

  it("tells a clock that is another", async () => {
    const database = open("kept", "agent")
    for (const [offset, words] of [
      [-60_000, /^warn: the clock of .* is 60 s ahead of this host's$/],
      [60_000, /^warn: the clock of .* is (59|60) s behind this host's$/],
    ] as const) {
      expect((await faults(database, {}, offset)).join("\n")).to.match(words)
    }
    for (const offset of [-4000, 4000]) {
      expect(await faults(database, {}, offset)).to.deep.equal([])
    }
  })

  it("tells a password file that others can read", async () => {
    const passwordFile = join(folder(), "password")
    writeFileSync(passwordFile, "x\n", { mode: 0o600 })
    expect(await faults(open("kept", "agent"), { passwordFile })).to.deep.equal([])
    chmodSync(passwordFile, 0o640)
    expect((await faults(open("kept", "agent"), { passwordFile })).join("\n")).to.match(
      /^warn: others can read the password file/,
    )
  })

  it("tells a server that promises less than it could, and names the standbys that it waits for", async () => {
    server.sql("postgres", "ALTER SYSTEM SET fsync = off")
    server.sql("postgres", "ALTER SYSTEM SET full_page_writes = off")
    server.sql("postgres", "SELECT pg_reload_conf()")
    const promised = (): Promise<readonly string[]> => faults(open("kept", "agent"), {})
    while (!(await promised()).join().includes("full_page_writes")) continue
    expect((await promised()).map((text) => text.replace(/the database .* has/, "it has"))).to.deep.equal([
      "warn: it has fsync off: a crash of its host can lose or damage the state",
      "warn: it has full_page_writes off: a crash of its host can lose or damage the state",
    ])
    server.sql("postgres", "ALTER SYSTEM RESET ALL")
    server.sql("postgres", "ALTER SYSTEM SET synchronous_standby_names = 'second'")
    server.sql("postgres", "SELECT pg_reload_conf()")
    while ((await promised()).length > 0) continue
    const findings = await databaseFindings(open("kept", "agent"), {}, clockAt(0))
    expect(findings.map(({ message }) => message).join("\n")).to.include("synchronous standbys (second)")
    // nothing is committed for as long as it waits for one that is not there
    server.sql("postgres", "ALTER SYSTEM RESET ALL")
    server.sql("postgres", "SELECT pg_reload_conf()")
    const names = (): string => server.sql("postgres", "SHOW synchronous_standby_names").trim()
    while (names() !== "") continue
  })

  it("fails where it cannot be asked", async () => {
    await expectCode("ERR_DATABASE_REFUSED", () => databaseFindings(open("nothing"), {}, clockAt(0)))
  })
})
