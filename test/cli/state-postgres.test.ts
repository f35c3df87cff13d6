import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { expect } from "chai"
import { CUSTODY_LOG } from "#src/store/archive/log-parts.js"
import { partOf } from "#src/store/archive/parts.js"
import { type CliResult, keyferry } from "../support/cli.js"
import { custodyEvents } from "../support/custody-events.js"
import { type PostgresServer, startPostgres } from "../support/postgres.js"
import { DAMAGED, makeRichState } from "../support/rich-state.js"
import { filesUnder } from "../support/stage.js"

describe("a state that moves into PostgreSQL and back", () => {
  let server: PostgresServer
  let folder: string
  let state: string
  const file = (name: string): string => join(folder, name)
  const inFiles = (args: readonly string[], directory: string): Promise<CliResult> =>
    keyferry([...args, "--json"], { env: { KEYFERRY_STATE_DIR: directory } })
  const inDatabase = (args: readonly string[], role = "agent"): Promise<CliResult> =>
    keyferry([...args, "--json"], { env: { KEYFERRY_STATE_URL: server.urlOf("fleet", role) } })
  /** What must not be lost, byte for byte. */
  const contentOf = (directory: string): Readonly<Record<string, string>> =>
    Object.fromEntries(
      filesUnder(directory)
        .filter((path) => partOf(path) !== undefined || path.startsWith("custody.log."))
        .map((path) => [path, readFileSync(join(directory, path), "hex")]),
    )

  before(async () => {
    server = await startPostgres()
    await server.createDatabase("fleet")
    folder = mkdtempSync(join(tmpdir(), "keyferry-cli-"))
    state = await makeRichState(folder)
  })
  after(async () => {
    rmSync(folder, { recursive: true })
    await server[Symbol.asyncDispose]()
  })

  it("is all there on the other side, and all there again", async () => {
    const migrated = await inDatabase(["state", "migrate"], "postgres")
    expect(migrated.status, migrated.stderr).to.equal(0)
    const grants = await keyferry(["policy", "postgres", "--role", "agent"])
    server.sql("fleet", `CREATE ROLE agent LOGIN; ${grants.stdout}`)
    const first = await inFiles(["state", "export", file("first")], state)
    expect(first.status, first.stderr).to.equal(65)
    const { counts, digest, damaged } = first.json() as {
      counts: { custodyLogLines: number }
      digest: string
      damaged: { path: string }[]
    }
    expect(damaged.map(({ path }) => path)).to.deep.equal(DAMAGED)
    const imported = await inDatabase(["state", "import", file("first")])
    expect(imported.status, imported.stderr).to.equal(0)
    expect(imported.json()).to.deep.include({ counts, digest })

    const second = await inDatabase(["state", "export", file("second")])
    expect(second.status, second.stderr).to.equal(65)
    const lines = counts.custodyLogLines
    expect(second.json()).to.deep.include({ counts: { ...counts, custodyLogLines: lines + 1 }, left: [] })
    const back = join(folder, "back")
    const restored = await inFiles(["state", "import", file("second")], back)
    expect(restored.status, restored.stderr).to.equal(0)
    const { [CUSTODY_LOG]: log = "", ...others } = contentOf(back)
    const { [CUSTODY_LOG]: logBefore = "", ...othersBefore } = contentOf(state)
    expect(others).to.deep.equal(othersBefore)
    // its last line is torn
    expect(log.startsWith(logBefore.slice(0, logBefore.lastIndexOf("0a") + 2))).to.equal(true)
    const events = custodyEvents(back).slice(-2)
    expect(events.map(({ event }) => event)).to.deep.equal(["state.imported", "state.imported"])
    expect(events[0]).to.deep.include({
      facts: { exportedAt: (first.json() as { exportedAt: string }).exportedAt, digest },
    })
  })

  it("is not joined to what is there, and a database's log is not closed", async () => {
    const again = await inDatabase(["state", "import", file("first")])
    expect(again.status).to.equal(78)
    expect(again.error().code).to.equal("ERR_STATE_NOT_EMPTY")
    expect(again.error().message).to.include("this very archive was imported into it already")
    const other = await inDatabase(["state", "import", file("second")])
    expect(other.error().code).to.equal("ERR_STATE_NOT_EMPTY")
    expect(other.error().hint).to.include("--state-dir")
    for (const args of [
      ["log", "rotate"],
      ["state", "merge", state],
    ]) {
      const refused = await inDatabase(args)
      expect(refused.status, args.join(" ")).to.equal(64)
      expect(refused.error().message).to.include("the state is in a database")
    }
  })
})
