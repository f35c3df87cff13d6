import { rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { expect } from "chai"
import { freePort } from "../support/free-port.js"
import { type PostgresServer, startPostgres } from "../support/postgres.js"
import { RunningAgent } from "../support/running-agent.js"
import { keysNamed, setStage, type Stage, tokenObjects } from "../support/stage.js"
import { softhsmToken, type TestToken } from "../support/tokens.js"

const KEYS = 3

describe("agents of two sites, each with a token of its own, on one database", () => {
  let stage: Stage
  let there: TestToken
  let postgres: PostgresServer
  let url: string
  const agents: RunningAgent[] = []

  const names = (token: string): readonly string[] => Array.from({ length: KEYS }, (_, index) => `${token}-${index}`)
  const lines = (token: string): string =>
    names(token)
      .map((name) => `  ${name}: { keySpec: HMAC_256, token: ${token} }\n`)
      .join("")
  const config = (port: number): string => {
    const path = join(stage.folder, `agent-${port}.yaml`)
    const text = `version: 1
id: sites
state: { postgres: { url: ${JSON.stringify(url)} } }
tokens:
  paris: { uri: ${JSON.stringify(stage.token.uri)} }
  lyon: { uri: ${JSON.stringify(there.uri)} }
targets: { here: { region: us-east-1, endpoint: ${JSON.stringify(stage.kms.endpoint)} } }
defaults: { custody: token, wrappingKeySpec: RSA_2048 }
keys:
${lines("paris")}${lines("lyon")}agent: { jitter: 0s, allow: [provision], listen: "127.0.0.1:${port}" }
`
    writeFileSync(path, text)
    return path
  }
  const env = (token: TestToken) => ({
    ...stage.env,
    ...token.env,
    KEYFERRY_TOKEN: undefined,
    KEYFERRY_STATE_DIR: undefined,
  })
  const start = async (token: TestToken) => {
    const port = await freePort()
    const agent = new RunningAgent(["--config", config(port)], env(token))
    agents.push(agent)
    return { agent, port }
  }
  const keyferry = (...args: readonly string[]) =>
    stage.run([...args, "--config", config(1)], {
      state: "",
      env: { KEYFERRY_TOKEN: undefined, KEYFERRY_STATE_DIR: undefined },
    })
  const until = async (isSo: () => boolean | Promise<boolean>): Promise<void> => {
    while (!(await isSo())) await sleep(200)
  }
  const isThere = async (): Promise<boolean> => {
    for (const name of [...names("paris"), ...names("lyon")]) {
      const [key] = await keysNamed(stage.sdk, name)
      if (key?.state !== "Enabled") return false
    }
    return true
  }
  const sql = (text: string): string => postgres.sql("sites", text)
  const queue = (token: string, name: string): void => {
    const data = JSON.stringify({ name, target: "here", replaced: false })
    sql(`INSERT INTO keyferry_jobs.job (name, data, singleton_key) VALUES ('rows/${token}', '${data}', '${name}')`)
  }
  const ready = async (port: number) => {
    const response = await fetch(`http://127.0.0.1:${port}/readyz`)
    const facts = (await response.json()) as { tokens: unknown; lastRound: { outcome: string } }
    return { status: response.status, tokens: facts.tokens }
  }

  before(async () => {
    stage = await setStage()
    there = softhsmToken("lyon")
    postgres = await startPostgres()
    url = await postgres.createDatabase("sites")
  })
  afterEach(async () => {
    for (const agent of agents.splice(0)) {
      agent.signal("SIGKILL")
      await agent.ended
    }
  })
  after(async () => {
    there.remove()
    await postgres[Symbol.asyncDispose]()
    await stage[Symbol.asyncDispose]()
  })

  it("both are ready, each does the keys of its token, and what no agent takes is told", async () => {
    const migrated = await keyferry("state", "migrate")
    expect(migrated.status, migrated.stderr).to.equal(0)
    const before = [tokenObjects(stage.token), tokenObjects(there)]
    const paris = await start(stage.token)
    const lyon = await start(there)
    await until(isThere)
    // each looks once more when its jobs are done
    for (const { agent } of [paris, lyon]) await agent.line("round.ended", 2)

    expect(await ready(paris.port)).to.deep.equal({
      status: 200,
      tokens: { paris: "looked at", lyon: "not reached from here" },
    })
    expect(await ready(lyon.port)).to.deep.equal({
      status: 200,
      tokens: { paris: "not reached from here", lyon: "looked at" },
    })
    const page = await (await fetch(`http://127.0.0.1:${paris.port}/`)).text()
    expect(page).to.include("Tokens that are not reached from here: lyon.")
    const told = lyon.agent.lines.filter(({ event }) => event === "token.elsewhere")
    expect(told).to.have.length(1)
    expect(told[0]).to.include({ level: "info", token: "paris", code: "ERR_TOKEN_NOT_FOUND" })
    const done = ({ agent }: typeof paris) =>
      agent.lines.filter(({ event }) => event === "round.row").map(({ name, outcome }) => [name, outcome])
    expect(done(paris)).to.have.deep.members(names("paris").map((name) => [name, "done"]))
    expect(done(lyon)).to.have.deep.members(names("lyon").map((name) => [name, "done"]))
    const made = [tokenObjects(stage.token), tokenObjects(there)].map((count, index) => count - (before[index] ?? 0))
    expect(made).to.deep.equal([KEYS, KEYS])

    // a host of Paris sees no fault in that
    const well = await keyferry("check", "--json")
    expect(well.stdout).to.not.include("TOKEN_UNSEEN").and.not.include("JOBS_UNTAKEN")
    // but in jobs of Lyon that wait, once nobody there takes any
    lyon.agent.signal("SIGTERM")
    expect(await lyon.agent.ended).to.equal(0)
    queue("lyon", "lyon-0")
    sql(
      "UPDATE keyferry_jobs.job SET start_after = now() - interval '20 minutes', started_on = started_on - interval '1 hour', heartbeat_on = heartbeat_on - interval '1 hour' WHERE name = 'rows/lyon'",
    )
    const check = await keyferry("check", "--json")
    const { checks } = JSON.parse(check.stdout) as { checks: readonly { id: string; name: string }[] }
    expect(checks.filter(({ id }) => id === "JOBS_UNTAKEN").map(({ name }) => name)).to.deep.equal(["lyon"])
    const status = await keyferry("status")
    expect(status.stdout).to.match(/^not taken by any agent: 1 job of token lyon, due since 20/m)
    expect(status.stdout).to.match(/^token lyon is not reached from here: /m)
  })

  it("a token that was reached before and is gone is a failure", async () => {
    const paris = await start(stage.token)
    await paris.agent.line("round.ended")
    expect((await ready(paris.port)).status).to.equal(200)
    rmSync(join(stage.token.dir, "tokens"), { recursive: true })
    // any job has it look again
    queue("paris", "paris-0")
    await until(async () => (await ready(paris.port)).status === 503)
    expect((await ready(paris.port)).tokens).to.include({ paris: "failed" })
  })
})
