import { once } from "node:events"
import { chmodSync, mkdirSync, writeFileSync } from "node:fs"
import { type AddressInfo, createServer, type Socket } from "node:net"
import { join } from "node:path"
import { TLSSocket } from "node:tls"
import { inspect } from "node:util"
import { expect } from "chai"
import type { PostgresSettings, PostgresTls } from "#src/core/manifest/state-settings.js"
import { openDatabase } from "#src/store/postgres/database.js"
import { expectCode } from "#test/support/expect-code.js"
import { startTlsPostgres, type TlsServer } from "#test/support/postgres-tls.js"
import { temporaryFolder } from "#test/support/temp-dir.js"

const PASSWORD = "pa'ss\\wörd-7351"

/** What the server knows of the connection that asks. */
async function session(settings: PostgresSettings) {
  await using database = openDatabase(settings, "keyferry test")
  const { rows } = await database.query<{ role: string; ssl: boolean; base: string; port: number; only: string }>(
    `SELECT current_user AS role, ssl, current_database() AS base, inet_server_port() AS port,
            current_setting('default_transaction_read_only') AS only
       FROM pg_stat_ssl WHERE pid = pg_backend_pid()`,
  )
  return { ...rows[0], transport: database.transport }
}

describe("the database over TLS", () => {
  const folder = temporaryFolder()
  let server: TlsServer
  let tls: PostgresTls
  let passwordFile = ""
  const urlAt = (host: string, role = "app"): string => `postgres://${role}@${host}:${server.port}/kept`

  before(async () => {
    server = await startTlsPostgres(["password_encryption = 'scram-sha-256'"])
    tls = { caFile: server.caFile }
    await server.postgres.createDatabase("kept")
    server.postgres.sql("kept", `CREATE ROLE app LOGIN PASSWORD E'${PASSWORD.replace(/['\\]/g, "\\$&")}'`)
    server.postgres.sql("kept", "CREATE ROLE certified LOGIN")
    server.admit([
      "hostssl all certified all cert",
      "host all app all scram-sha-256",
      "local all app scram-sha-256",
      "host all postgres 127.0.0.1/32 trust",
    ])
  })
  after(async () => {
    await server[Symbol.asyncDispose]()
  })
  beforeEach(() => {
    passwordFile = join(folder(), "password")
    writeFileSync(passwordFile, `${PASSWORD}\nnot this line\n`, { mode: 0o600 })
  })

  it("is asked under its verified name, with the password of a file", async () => {
    const seen = await session({ url: urlAt("127.0.0.2"), passwordFile, tls })
    expect(seen).to.include({ role: "app", ssl: true, transport: "tls", base: "kept" })
    expect(await session({ url: urlAt("localhost"), passwordFile, tls })).to.include({ ssl: true, transport: "tls" })
    expect(await session({ url: urlAt("127.0.0.1"), passwordFile })).to.include({ ssl: false, transport: "loopback" })
  })

  it("lets in by a client's certificate alone", async () => {
    const seen = await session({ url: urlAt("127.0.0.2", "certified"), tls: { ...tls, ...server.client } })
    expect(seen).to.include({ role: "certified", ssl: true })
    await expectCode("ERR_DATABASE_REFUSED", () => session({ url: urlAt("127.0.0.2", "certified"), tls }))
  })

  it("is refused under another name, and by an authority that is not named", async () => {
    const cases: [settings: PostgresSettings, words: RegExp][] = [
      [{ url: urlAt("127.0.0.3"), passwordFile, tls }, /altnames/i],
      [{ url: urlAt("127.0.0.1"), passwordFile, tls }, /altnames/i],
      [{ url: urlAt("127.0.0.2"), passwordFile }, /certificate/],
      [{ url: urlAt("127.0.0.2"), passwordFile, tls: { caFile: server.otherCaFile } }, /certificate/],
    ]
    for (const [settings, words] of cases) {
      const error = await expectCode("ERR_DATABASE_REFUSED", () => session(settings))
      expect(error.message).to.match(words)
      expect(error.hint).to.match(/certificate/)
    }
  })

  it("sends nothing to a server of another name, and nothing in the clear to one without TLS", async () => {
    const got: Buffer[] = []
    const tlsGot: Buffer[] = []
    let answer: "S" | "N" = "N"
    const liar = createServer((socket: Socket) => {
      socket.on("error", () => undefined)
      socket.once("data", (asked: Buffer) => {
        got.push(asked)
        socket.write(answer)
        if (answer === "N") {
          socket.on("data", (more: Buffer) => got.push(more))
          return
        }
        const secure = new TLSSocket(socket, { isServer: true, ...server.serverCertificate })
        secure.on("error", () => undefined)
        secure.on("data", (more: Buffer) => tlsGot.push(more))
      })
    })
    liar.listen(0, "127.0.0.3")
    await once(liar, "listening")
    const { port } = liar.address() as AddressInfo
    const settings = { url: `postgres://app@127.0.0.3:${port}/kept`, passwordFile, tls }
    const sslRequest = Buffer.from("0000000804d2162f", "hex")
    for (answer of ["N", "S"] as const) {
      got.length = 0
      await expectCode("ERR_DATABASE_REFUSED", () => session(settings))
      expect(Buffer.concat(got).equals(sslRequest), answer).to.equal(true)
    }
    expect(tlsGot).to.deep.equal([])
    // without `tls` it is another host all the same
    answer = "N"
    got.length = 0
    const error = await expectCode("ERR_DATABASE_REFUSED", () => session({ url: settings.url, passwordFile }))
    expect(error.hint).to.include("in the clear nothing is sent")
    expect(Buffer.concat(got).equals(sslRequest)).to.equal(true)
    liar.close()
  })

  it("reads the password for each connection, and shows it nowhere", async () => {
    await using database = openDatabase({ url: urlAt("127.0.0.2"), passwordFile, tls }, "keyferry test")
    const first = await database.connect()
    writeFileSync(passwordFile, "wrong-4711\n")
    const error = await expectCode("ERR_DATABASE_REFUSED", () => database.connect())
    writeFileSync(passwordFile, `${PASSWORD}\n`)
    const second = await database.connect()
    const shown = [error, error.cause, database, database.settings, first, second].map((thing) =>
      inspect(thing, { depth: 50, showHidden: false, maxStringLength: null, maxArrayLength: null }),
    )
    for (const text of [...shown, error.message, JSON.stringify(error), error.stack ?? ""]) {
      expect(text).to.not.include("wrong-4711").and.not.include("7351")
    }
    first.release()
    second.release()
  })

  it("is refused without a password where one is asked for, with the way to give it", async () => {
    const error = await expectCode("ERR_DATABASE_REFUSED", () => session({ url: urlAt("127.0.0.2"), tls }))
    expect(error.hint).to.include("passwordFile")
  })

  it("is told nothing by the variables and files of libpq", async () => {
    const home = folder()
    const pgpass = `*:*:*:*:${PASSWORD.replace(/[\\:]/g, "\\$&")}\n`
    writeFileSync(join(home, ".pgpass"), pgpass, { mode: 0o600 })
    mkdirSync(join(home, ".postgresql"))
    writeFileSync(join(home, "service"), `[other]\nhost=127.0.0.3\nuser=postgres\n`)
    const variables: Readonly<Record<string, string>> = {
      ...{ HOME: home, PGPASSFILE: join(home, ".pgpass"), PGPASSWORD: PASSWORD, PGHOST: "127.0.0.3", PGPORT: "1" },
      ...{ PGUSER: "postgres", PGDATABASE: "postgres", PGSERVICE: "other", PGSERVICEFILE: join(home, "service") },
      ...{ PGOPTIONS: "-c default_transaction_read_only=on", PGSSLMODE: "disable", PGSSLNEGOTIATION: "direct" },
      ...{ PGREPLICATION: "database", PGCLIENT_ENCODING: "LATIN1", PGCONNECT_TIMEOUT: "0", PGAPPNAME: "other" },
      ...{
        PGHOSTADDR: "127.0.0.3",
        PGREQUIRESSL: "0",
        PGTZ: "Asia/Tokyo",
        PGBINARY: "1",
        NODE_TLS_REJECT_UNAUTHORIZED: "0",
      },
    }
    const before = { ...process.env }
    Object.assign(process.env, variables)
    try {
      const seen = await session({ url: urlAt("127.0.0.2"), passwordFile, tls })
      expect(seen).to.include({ role: "app", ssl: true, base: "kept", port: server.port, only: "off" })
      await expectCode("ERR_DATABASE_REFUSED", () => session({ url: urlAt("127.0.0.2"), tls }))
      process.env["PGSSLMODE"] = "no-verify"
      await expectCode("ERR_DATABASE_REFUSED", () => session({ url: urlAt("127.0.0.2"), passwordFile }))
      await expectCode("ERR_DATABASE_REFUSED", () => session({ url: urlAt("127.0.0.3"), passwordFile, tls }))
    } finally {
      for (const name of Object.keys(variables)) {
        if (before[name] === undefined) Reflect.deleteProperty(process.env, name)
        else process.env[name] = before[name]
      }
    }
  })

  it("refuses settings that cannot be right, before anything is connected", async () => {
    const unreadable = join(folder(), "nothing")
    const empty = join(folder(), "empty")
    writeFileSync(empty, "\n", { mode: 0o600 })
    const writable = join(folder(), "writable")
    writeFileSync(writable, "a\n")
    chmodSync(writable, 0o622)
    const url = urlAt("127.0.0.2")
    const cases: [settings: PostgresSettings, words: string][] = [
      [{ url: `postgres://app:${PASSWORD}@h/kept` }, "holds a password"],
      [{ url: "postgres://app@h/kept?password=7351" }, "holds a password"],
      [{ url: "postgres://app@h/kept?sslmode=disable" }, "sets ssl"],
      [{ url: "postgres://app@h/kept?options=-c%20fsync" }, "sets options"],
      [{ url: "postgres://app@h,g/kept" }, "several hosts"],
      [{ url: "postgres://app@/kept" }, "names no host"],
      [{ url: "postgres://h/kept" }, "names no user"],
      [{ url: "postgres://app@h" }, "names no database"],
      [{ url: "postgres://app@h:x/7351" }, "cannot be read"],
      [{ url: "mysql://app@h/kept" }, "does not begin with postgres://"],
      [{ url, passwordFile: unreadable }, unreadable],
      [{ url, passwordFile: empty }, "is empty"],
      [{ url, passwordFile: writable }, "others can write"],
      [{ url, tls: { caFile: unreadable } }, unreadable],
    ]
    for (const [settings, words] of cases) {
      const error = await expectCode("ERR_DATABASE_SETTING", () => openDatabase(settings, "keyferry test"))
      expect(error.message).to.include(words).and.not.include("7351")
    }
  })
})
