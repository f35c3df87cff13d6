import { spawn } from "node:child_process"
import { once } from "node:events"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect } from "chai"
import { keyferry } from "../support/cli.js"
import { ROOT } from "../support/docs-blocks.js"
import { freePort } from "../support/free-port.js"
import { type Container, objectsOf, podsOf } from "../support/kubernetes/objects.js"
import { type PostgresServer, startPostgres } from "../support/postgres.js"
import { RunningAgent } from "../support/running-agent.js"
import { setStage, type Stage } from "../support/stage.js"

const FOLDER = join(ROOT, "deploy/kubernetes")
const read = (path: string): string => readFileSync(join(FOLDER, path), "utf8")

/** The only container of a file's only pod. */
function containerOf(path: string): Container {
  const [pod, ...others] = podsOf(objectsOf(read(path)))
  const [container] = pod?.template.spec.containers ?? []
  if (container === undefined || others.length > 0) throw new Error(path)
  return container
}

/** The text with each of the pieces replaced, of which each must be there once. */
const altered = (text: string, pieces: Readonly<Record<string, string>>): string =>
  Object.entries(pieces).reduce((whole, [piece, by]) => {
    expect(whole.split(piece), piece).to.have.lengthOf(2)
    return whole.replace(piece, by)
  }, text)

describe("the containers of deploy/kubernetes, as processes", () => {
  let stage: Stage
  let postgres: PostgresServer
  let config: string
  let token: string
  let port: number
  let owner: string

  /** As a container would have it: what the image sets, and then what the manifest does. */
  const envOf = ({ env = [] }: Container): Readonly<Record<string, string>> => ({
    ...stage.env,
    KEYFERRY_TOKEN: "",
    KEYFERRY_STATE_DIR: "/var/lib/keyferry",
    ...Object.fromEntries(env.map(({ name, value = "" }) => [name, value])),
    KEYFERRY_CONFIG: config,
  })
  const run = (container: Container, more: Readonly<Record<string, string>> = {}) =>
    keyferry(container.args ?? [], { env: { ...envOf(container), ...more } })
  const ask = (path: string, headers: Readonly<Record<string, string>> = {}) =>
    fetch(`http://127.0.0.1:${port}${path}`, { headers })

  before(async () => {
    stage = await setStage()
    postgres = await startPostgres()
    owner = await postgres.createDatabase("keyferry")
    port = await freePort()
    config = join(stage.folder, "keyferry.yaml")
    token = join(stage.folder, "token")
    writeFileSync(token, "prometheus-may-read-this\n", { mode: 0o440 })
    const password = join(stage.folder, "password")
    writeFileSync(password, "a socket asks for none\n", { mode: 0o440 })
    writeFileSync(
      config,
      altered(read("base/keyferry.yaml"), {
        "postgres://keyferry@postgres.example.com:5432/keyferry": JSON.stringify(
          postgres.urlOf("keyferry", "keyferry"),
        ),
        "/etc/keyferry/postgres/password": password,
        "    tls: { caFile: /etc/keyferry/postgres/ca.crt }\n": "",
        "pkcs11:token=byok?module-path=/opt/hsm/lib/libpkcs11.so": JSON.stringify(stage.token.uri),
        "    pin: { file: /etc/keyferry/pin/pin }\n": "",
        "region: eu-west-3": `region: us-east-1\n    endpoint: ${JSON.stringify(stage.kms.endpoint)}`,
        "allow: [rewrap]": "allow: [provision, rewrap]",
        "0.0.0.0:9464": `0.0.0.0:${port}`,
        "/etc/keyferry/metrics/token": token,
      }),
    )
  })
  after(async () => {
    await postgres[Symbol.asyncDispose]()
    await stage[Symbol.asyncDispose]()
  })

  it("migrate makes the tables as their owner, and finds them made; the agents' role gets its grants", async () => {
    const migrate = containerOf("components/migrate/job.yaml")
    const made = await run(migrate, { KEYFERRY_STATE_URL: owner })
    expect(made.status, made.stderr).to.equal(0)
    expect(made.stdout).to.match(/was brought from version 0/)
    const again = await run(migrate, { KEYFERRY_STATE_URL: owner })
    expect(again.stdout).to.match(/already/)
    postgres.sql("keyferry", "CREATE ROLE keyferry LOGIN")
    const grants = await keyferry(["policy", "postgres", "--role", "keyferry"], { env: stage.env })
    postgres.sql("keyferry", grants.stdout)
  })

  it("the agent is alive and ready by the probes, shows its metrics to who has the token, and ends at SIGTERM", async () => {
    const container = containerOf("overlays/agents/deployment.yaml")
    expect(container.args).to.deep.equal(["agent", "--log-format", "json"])
    const probe = async (): Promise<unknown> => {
      const { command: [program = "", ...args] = [] } = container.readinessProbe?.exec ?? {}
      const code = altered(args.join("\0"), { "/etc/keyferry/metrics/token": token, "9464": String(port) })
      expect(program).to.equal("node")
      const [status] = (await once(spawn(process.execPath, code.split("\0")), "exit")) as [unknown]
      return status
    }
    expect(await probe()).to.equal(1)
    const agent = new RunningAgent([], envOf(container))
    await agent.waitsAfter(1, "jobs")
    expect((await ask("/healthz")).status).to.equal(200)
    expect((await ask("/metrics")).status).to.equal(401)
    const metrics = await ask("/metrics", { authorization: "Bearer prometheus-may-read-this" })
    expect(await metrics.text()).to.match(/keyferry_key_state\{name="payments",.*state="Enabled".*\} 1/)
    expect(await probe()).to.equal(0)
    agent.signal("SIGTERM")
    expect(await agent.ended).to.equal(0)
  })

  it("the CronJob's round ends by itself", async () => {
    const { status, stderr } = await run(containerOf("overlays/cronjob/cronjob.yaml"))
    expect(status, stderr).to.equal(0)
    expect(stderr).to.match(/"event":"round.ended"/)
  })
})
