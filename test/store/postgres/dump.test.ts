import { randomBytes } from "node:crypto"
import { expect } from "chai"
import { rowTexts } from "#src/store/postgres/row-texts.js"
import { searchDump } from "#test/support/material-search.js"
import { migratedDatabase, postgresPrograms, type PostgresServer, startPostgres } from "#test/support/postgres.js"

describe("a dump that is searched", () => {
  let server: PostgresServer
  before(async () => {
    server = await startPostgres()
  })
  after(async () => {
    await server[Symbol.asyncDispose]()
  })

  it("shows material in every form, in texts and in columns of text, and nothing that is not there", async () => {
    await using database = await migratedDatabase(server, "dumped")
    const texts = rowTexts(database)
    const materials = Array.from({ length: 10 }, () => randomBytes(32))
    const [raw, hex, one, two, three, url, numbers, column, upper, absent] = materials as [Buffer, ...Buffer[]]
    // bytes as they are stand in a bytea alone
    await database.query("INSERT INTO keyferry.text VALUES ('raw', $1)", [Buffer.concat([Buffer.from("ab"), raw])])
    await texts.put(["a", "hex"], `{"key":"${hex!.toString("hex")}"}`)
    for (const [index, material] of [one!, two!, three!].entries()) {
      const among = Buffer.concat([randomBytes(index), material, randomBytes(5)])
      await texts.put(["a", `base64-${index}`], JSON.stringify({ key: among.toString("base64") }))
    }
    await texts.put(["a", "url"], url!.toString("base64url"))
    await texts.put(["a", "numbers"], JSON.stringify(numbers, null, 2))
    await texts.put(["a", "upper"], upper!.toString("hex").toUpperCase())
    await database.query(
      "INSERT INTO keyferry.custody_log (seq, hash, previous, name, part, line) VALUES (1, '', '', 'n', 'p', $1)",
      [`{"facts":"${column!.toString("base64")}"}`],
    )
    const seen = searchDump(server.dump("dumped"), materials)
    const formOf = (material: Buffer | undefined): readonly string[] =>
      seen.filter((found) => found.material === material).map(({ form, within }) => `${form} in ${within}`)
    expect(formOf(raw)).to.deep.equal(["hex in text", "raw in bytea"])
    expect(formOf(hex)).to.deep.equal(["hex in bytea"])
    for (const material of [one, two, three, url]) expect(formOf(material)).to.deep.equal(["base64 in bytea"])
    expect(formOf(numbers)).to.deep.equal(["numbers in bytea"])
    expect(formOf(upper)).to.deep.equal(["hex in bytea"])
    expect(formOf(column)).to.deep.equal(["base64 in text"])
    expect(formOf(absent)).to.deep.equal([])
    expect(() => searchDump("", [Buffer.alloc(7)])).to.throw("too short")
  })

  it("fails where no PostgreSQL is installed", () => {
    expect(() => postgresPrograms("/nowhere")).to.throw("scripts/setup.sh")
  })
})
