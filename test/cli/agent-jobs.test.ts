import { once } from "node:events"
import { writeFileSync } from "node:fs"
import { type AddressInfo, createServer } from "node:net"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { expect } from "chai"
import { grantsFor } from "#src/store/postgres/grants.js"
import { lockWholeState } from "#src/store/postgres/database-lock.js"
import { openDatabase } from "#src/store/postgres/database.js"
import { type PostgresServer, startPostgres } from "../support/postgres.js"
import { RunningAgent } from "../support/running-agent.js"
import { keysNamed, setStage, type Stage } from "../support/stage.js"

const KEYS = 6

describe("agents on one database", () => {
  let stage: Stage
  let postgres: PostgresServer
  let config: string
  let count = KEYS
  const agents: RunningAgent[] = []

  const manifest = (url: string, allow: string): string => `version: 1
id: fleet
state: { postgres: { url: ${JSON.stringify(url)} } }
tokens:
  only: { uri: ${JSON.stringify(stage.token.uri)} }
  elsewhere: { uri: "pkcs11:token=elsewhere?module-path=/opt/not-here/libpkcs11.so", pin: { env: NOWHERE } }
targets: { here: { region: us-east-1, endpoint: ${JSON.stringify(stage.kms.endpoint)} } }
defaults: { custody: token, wrappingKeySpec: RSA_2048, token: only }
keys:
${Array.from({ length: count }, (_, index) => `  key-${index}: { keySpec: HMAC_256 }\n`).join("")}agent: { jitter: 0s, allow: [${allow}] }
`
  const env = () => ({ ...stage.env, KEYFERRY_TOKEN: undefined, KEYFERRY_STATE_DIR: undefined })
  const start = (): RunningAgent => {
    const agent = new RunningAgent(["--config", config], env())
    agents.push(agent)
    return agent
  }
  const keyferry = (...args: readonly string[]) =>
    stage.run([...args, "--config", config], {
      state: "",
      env: { KEYFERRY_TOKEN: undefined, KEYFERRY_STATE_DIR: undefined },
    })
  const until = async (isSo: () => Promise<boolean>): Promise<void> => {
    while (!(await isSo())) await sleep(200)
  }
  const isThere = async (): Promise<boolean> => {
    for (let index = 0; index < count; index += 1) {
      const [key] = await keysNamed(stage.sdk, `key-${index}`)
      if (key?.state !== "Enabled") return false
    }
    return true
  }
  const jobs = (where: string): number =>
    Number(postgres.sql("fleet", `SELECT count(*) FROM keyferry_jobs.job WHERE ${where}`).trim())

  before(async () => {
    stage = await setStage()
    postgres = await startPostgres()
    config = join(stage.folder, "agents.yaml")
    writeFileSync(config, manifest(await postgres.createDatabase("fleet"), "provision, rewrap"))
  })
  afterEach(async () => {
    for (const agent of agents.splice(0)) {
      agent.signal("SIGKILL")
      await agent.ended
    }
  })
  after(async () => {
    await postgres[Symbol.asyncDispose]()
    await stage[Symbol.asyncDispose]()
  })

  it("one plans, and both do each key once, as a role that may make no table", async () => {
    const { status, stderr } = await keyferry("state", "migrate")
    expect(status, stderr).to.equal(0)
    postgres.sql("fleet", `CREATE ROLE agent LOGIN; ${grantsFor("agent")}`)
    writeFileSync(config, manifest(postgres.urlOf("fleet", "agent"), "provision, rewrap"))
    const both = [start(), start()]
    await until(isThere)
    // each looks once more when its jobs are done
    await until(() => Promise.resolve(jobs("name LIKE 'rows%' AND state <> 'completed'") === 0))
    const { created, imports } = await stage.footprint("")
    expect([created, imports]).to.deep.equal([KEYS, KEYS])
    expect(jobs("name = 'dead'")).to.equal(0)
    const rows = both.map(({ lines }) => lines.filter(({ event }) => event === "round.row").length)
    process.stdout.write(`      rows of each agent: ${rows.join(", ")}\n`)
    for (const agent of both) {
      agent.signal("SIGTERM")
      expect(await agent.ended).to.equal(0)
    }
  })

  it("an agent that is killed in the middle is followed by another, which makes no key twice", async () => {
    count = 2 * KEYS
    writeFileSync(config, manifest(postgres.urlOf("fleet", "agent"), "provision, rewrap"))
    const first = start()
    await until(async () => (await stage.footprint("")).created > KEYS)
    first.signal("SIGKILL")
    await first.ended
    const { imports } = await stage.footprint("")
    expect(imports).to.be.lessThan(count)
    start()
    await until(isThere)
    await until(() => Promise.resolve(jobs("name LIKE 'rows%' AND state <> 'completed'") === 0))
    expect((await stage.footprint("")).created).to.equal(count)
    expect((await stage.footprint("")).kmsKeys).to.have.length(count)
    expect(jobs("name = 'dead'")).to.equal(0)
  })

  it("an agent that stops gives back the jobs that it has not begun", async () => {
    const before = count
    count += 2
    writeFileSync(config, manifest(postgres.urlOf("fleet", "agent"), "provision, rewrap"))
    await using database = openDatabase({ url: postgres.urlOf("fleet") }, "keyferry test")
    const whole = await lockWholeState(database, { mode: "exclusive", command: "test", timeout: 60_000 })
    const agent = start()
    await until(() => Promise.resolve(jobs("name LIKE 'rows%' AND state = 'active'") === 2))
    agent.signal("SIGTERM")
    await agent.line("agent.stopping")
    await sleep(2000)
    await whole[Symbol.asyncDispose]()
    expect(await agent.ended).to.equal(0)
    expect((await stage.footprint("")).created).to.equal(before)
    expect(jobs("name LIKE 'rows%' AND state = 'retry'")).to.equal(2)
    start()
    await until(isThere)
  })

  it("status and check tell of a job that is a dead letter", async () => {
    const data = JSON.stringify({ name: "key-0", target: "here", replaced: false })
    const output = JSON.stringify({ code: "ERR_TOKEN_FULL", message: "the token is full", counts: true, failures: 3 })
    postgres.sql(
      "fleet",
      `INSERT INTO keyferry_jobs.job (name, data, source_name, source_output) VALUES ('dead', '${data}', 'rows/only', '${output}')`,
    )
    const status = await keyferry("status")
    expect(status.stdout).to.match(/^dead letter: key-0 \(here\): the token is full \[ERR_TOKEN_FULL\], last at 20/m)
    const check = await keyferry("check", "--json")
    const { checks } = JSON.parse(check.stdout) as { checks: readonly { id: string; name: string; status: string }[] }
    expect(checks.filter(({ id }) => id === "DEAD_LETTER")).to.have.length(1)
    expect(checks.find(({ id }) => id === "DEAD_LETTER")).to.include({ name: "key-0", status: "warning" })
    // the agent plans, finds that the key needs nothing, and forgets it
    start()
    await until(() => Promise.resolve(jobs("name = 'dead'") === 0))
  })

  it("are of one id: another's are refused, which would take each other's jobs", async () => {
    const others = join(stage.folder, "others.yaml")
    writeFileSync(others, manifest(postgres.urlOf("fleet"), "rewrap").replace("id: fleet", "id: others"))
    const env = { KEYFERRY_TOKEN: undefined, KEYFERRY_STATE_DIR: undefined }
    const refused = await stage.run(["agent", "--once", "--config", others, "--log-format", "json"], { state: "", env })
    expect(refused.status).to.equal(78)
    expect(refused.stderr).to.contain("keep the keys of id fleet, and this configuration has id others")
  })

  it("end where their page cannot be served", async () => {
    const taken = createServer().listen(0, "127.0.0.1")
    await once(taken, "listening")
    const { port } = taken.address() as AddressInfo
    const text = manifest(postgres.urlOf("fleet"), "rewrap").replace(
      "agent: {",
      `agent: { listen: "127.0.0.1:${port}",`,
    )
    writeFileSync(join(stage.folder, "listens.yaml"), text)
    const agent = new RunningAgent(["--config", join(stage.folder, "listens.yaml")], env())
    agents.push(agent)
    const status = await agent.ended
    taken.close()
    expect(status, JSON.stringify(agent.lines)).to.equal(78)
  })
})
