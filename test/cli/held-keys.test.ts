import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect } from "chai"
import type { DecisionRow } from "#src/core/plan/decision-row.js"
import { bindingHolds } from "#src/store/postgres/holds.js"
import { openDatabase } from "#src/store/postgres/database.js"
import { type CliResult, keyferry } from "#test/support/cli.js"
import { type PostgresServer, startPostgres } from "#test/support/postgres.js"
import { setStage, type Stage } from "#test/support/stage.js"

const NAMES = ["ada", "bob", "cid", "dan", "eve", "fay"]

describe("two processes over one database", () => {
  let stage: Stage
  let server: PostgresServer
  let url: string
  before(async () => {
    stage = await setStage()
    server = await startPostgres()
    url = await server.createDatabase("state")
    writeFileSync(
      join(stage.folder, "keyferry.yaml"),
      `version: 1
tokens: { only: { uri: ${JSON.stringify(stage.token.uri)} } }
targets: { us-east-1: { region: us-east-1, endpoint: ${JSON.stringify(stage.kms.endpoint)} } }
defaults: { token: only, custody: sealed, wrappingKeySpec: RSA_2048, expiresIn: 90d }
keys:
${NAMES.map((name) => `  ${name}: { keySpec: HMAC_256, targets: [us-east-1] }`).join("\n")}
`,
    )
    expect((await run("state", "migrate")).status).to.equal(0)
  })
  after(async () => {
    await server[Symbol.asyncDispose]()
    await stage[Symbol.asyncDispose]()
  })

  const run = (...args: readonly string[]): Promise<CliResult> =>
    keyferry([...args, "--config", join(stage.folder, "keyferry.yaml")], {
      env: { ...stage.env, KEYFERRY_STATE_URL: url },
    })
  const requests = async (operation: string): Promise<number> => (await stage.kms.counts()).requests[operation] ?? 0
  const linesOf = (event: string): number =>
    Number(server.sql("state", `SELECT count(*) FROM keyferry.custody_log WHERE line::json ->> 'event' = '${event}'`))

  /** The rows of both, none of which is a failure. */
  async function bothAtOnce(...args: readonly string[]): Promise<readonly DecisionRow[]> {
    const ended = await Promise.all([run(...args, "--json"), run(...args, "--json")])
    return ended.flatMap((result) => {
      expect(result.status, result.stderr).to.equal(0)
      return (result.json() as { readonly keys: readonly DecisionRow[] }).keys
    })
  }
  const doneNames = (rows: readonly DecisionRow[]): readonly string[] =>
    rows
      .filter(({ outcome }) => outcome === "done")
      .map(({ name }) => name)
      .sort()

  it("make each key once, and one custody key", async () => {
    const rows = await bothAtOnce("apply")
    expect(doneNames(rows)).to.deep.equal(NAMES)
    expect(await requests("CreateKey")).to.equal(NAMES.length)
    expect(linesOf("custody-key.generated")).to.equal(1)
    expect(linesOf("source.generated")).to.equal(NAMES.length)
  })

  it("import what is due once", async () => {
    await stage.kms.clock.advance(85 * 86_400)
    const before = await requests("ImportKeyMaterial")
    const rows = await bothAtOnce("rewrap")
    expect(doneNames(rows)).to.deep.equal(NAMES)
    expect(await requests("ImportKeyMaterial")).to.equal(before + NAMES.length)
  })

  it("leave a key to who holds it: a run of many keys as planned, a command on that key after it has waited", async () => {
    await using database = openDatabase({ url }, "keyferry test")
    await using holds = bindingHolds(database, { holder: "agent, process 7 on alpha" })
    await using hold = await holds.hold([{ name: "ada", target: "us-east-1" }])
    await stage.kms.clock.advance(85 * 86_400)
    const rewrapped = await run("rewrap", "ada", "--json")
    expect(rewrapped.status, rewrapped.stderr).to.equal(0)
    const { keys } = rewrapped.json() as { readonly keys: readonly DecisionRow[] }
    expect(keys[0]).to.include({ outcome: "planned", reason: "ERR_KEY_HELD", exit: "OK" })
    expect(keys[0]?.message).to.contain("agent, process 7 on alpha, since ")
    const rotated = await run("rotate", "ada", "--lock-timeout", "0", "--json")
    expect(rotated.status).to.equal(75)
    expect(rotated.error()).to.include({ code: "ERR_KEY_HELD", key: "ada" })
    await hold.assertHeld()
  })
})
