import { type ChildProcess, execFileSync, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { expect } from "chai"
import { PROMETHEUS, RULES } from "../support/alerts.js"
import { freePort } from "../support/free-port.js"
import { hostClock } from "../support/host-clock.js"
import { RunningAgent } from "../support/running-agent.js"
import { keysNamed, setStage, type Stage } from "../support/stage.js"

/** The `aws` that PATH finds first may be a version manager's shim. */
const AWS = process.env["KEYFERRY_TEST_AWS"] ?? "/usr/bin/aws"
const DAY_S = 86_400
const BEARER = "prometheus-may-read-this"

interface Alert {
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
  readonly state: "pending" | "firing"
}

/** The text with each of the pieces replaced, of which each must be there once. */
const altered = (text: string, pieces: Readonly<Record<string, string>>): string =>
  Object.entries(pieces).reduce((whole, [piece, by]) => {
    expect(whole.split(piece), piece).to.have.lengthOf(2)
    return whole.replace(piece, by)
  }, text)

/** The first command of keyferry's that an annotation names, with its arguments. */
const commandIn = (text: string, command: string): readonly string[] => {
  const named = new RegExp(`\`keyferry (${command}[^\`]*)\``).exec(text)?.[1]
  return named?.split(" ") ?? []
}

describe("Prometheus, by the files of deploy/", () => {
  let stage: Stage
  let state: string
  let config: string
  let agent: RunningAgent
  let prometheus: ChildProcess
  let url: string
  let ends: Promise<unknown>
  let said = ""

  const env = () => ({ ...stage.env, KEYFERRY_TOKEN: undefined, KEYFERRY_STATE_DIR: state })
  const keyferry = (args: readonly string[], clock: Readonly<Record<string, string>> = {}) =>
    stage.run([...args, "--config", config], { state, env: { KEYFERRY_TOKEN: undefined, ...clock } })
  const startAgent = async (): Promise<void> => {
    agent = new RunningAgent(["--config", config], env())
    await agent.waitsAfter(1, "start")
  }
  /** What `systemctl reload` does: it looks at once. */
  const reload = async (): Promise<void> => {
    const rounds = agent.roundsOf("reload")
    agent.signal("SIGHUP")
    await agent.waitsAfter(rounds + 1, "reload")
  }
  const alerts = async (): Promise<readonly Alert[]> => {
    const answer = await fetch(`${url}/api/v1/alerts`)
    return ((await answer.json()) as { data: { alerts: readonly Alert[] } }).data.alerts
  }
  /** The alerts once they are as they should be. */
  async function settled(isSettled: (alerts: readonly Alert[]) => boolean): Promise<readonly Alert[]> {
    for (let times = 0; times < 600; times += 1) {
      const now = await alerts()
      if (isSettled(now)) return now
      await sleep(100)
    }
    throw new Error(`not so after a minute: ${JSON.stringify(await alerts())}\n${said}`)
  }
  const firing = async (name: string): Promise<Alert> => {
    const isIt = ({ labels, state }: Alert): boolean => labels["alertname"] === name && state === "firing"
    const alert = (await settled((now) => now.some(isIt))).find(isIt)
    if (alert === undefined) throw new Error(name)
    return alert
  }
  const silent = (name: string) => settled((now) => now.every(({ labels }) => labels["alertname"] !== name))
  const names = (now: readonly Alert[]): readonly string[] => now.map(({ labels }) => labels["alertname"] ?? "").sort()

  before(async () => {
    stage = await setStage()
    state = stage.state()
    config = join(stage.folder, "keyferry.yaml")
    const token = join(stage.folder, "keyferry-token")
    writeFileSync(token, `${BEARER}\n`, { mode: 0o600 })
    const listen = `127.0.0.1:${await freePort()}`
    writeFileSync(
      config,
      `version: 1
id: watched
tokens: { only: { uri: ${JSON.stringify(stage.token.uri)} } }
targets: { here: { region: us-east-1, endpoint: ${JSON.stringify(stage.kms.endpoint)} } }
defaults: { custody: token, wrappingKeySpec: RSA_2048 }
keys:
  payments: { keySpec: SYMMETRIC_DEFAULT, expiresIn: 90d }
  webhooks: { keySpec: HMAC_256, expiresIn: never }
agent: { allow: [provision], schedule: "0 3 * * *", listen: "${listen}", auth: { bearerTokenFile: "${token}" } }
`,
    )
    // 88 days ago, and no run since: the agent may not rewrap
    const ago = -88 * DAY_S
    await stage.kms.clock.advance(ago)
    const made = await keyferry(["apply"], hostClock(ago))
    expect(made.status, made.stdout + made.stderr).to.equal(0)
    await stage.kms.clock.advance(-ago)
    await startAgent()

    // as they are delivered, but for where they are, and so that it takes seconds: intervals, and how long alerts are pending
    const folder = join(stage.folder, "prometheus")
    mkdirSync(folder)
    const file = join(folder, "prometheus.yaml")
    writeFileSync(
      file,
      altered(readFileSync(PROMETHEUS, "utf8"), {
        "scrape_interval: 1m": "scrape_interval: 1s",
        "evaluation_interval: 1m": "evaluation_interval: 1s",
        "127.0.0.1:9464": listen,
        "# authorization: { credentials_file: /etc/prometheus/keyferry-token }": `authorization: { credentials_file: "${token}" }`,
      }),
    )
    const rules = readFileSync(RULES, "utf8")
    expect(rules.match(/^ +for: \d+[hm]$/gm)).to.have.lengthOf(3)
    writeFileSync(join(dirname(file), "keyferry.rules.yaml"), rules.replace(/^( +for:) \d+[hm]$/gm, "$1 1s"))
    const port = await freePort()
    url = `http://127.0.0.1:${port}`
    prometheus = spawn(
      "prometheus",
      [
        ...[`--config.file=${file}`, `--storage.tsdb.path=${join(folder, "data")}`],
        ...[`--web.listen-address=127.0.0.1:${port}`, "--log.level=warn"],
      ],
      { stdio: ["ignore", "ignore", "pipe"] },
    )
    prometheus.stderr?.setEncoding("utf8").on("data", (piece: string) => (said += piece))
    ends = once(prometheus, "exit")
    for (let times = 0; !(await isReady(url)); times += 1) {
      if (prometheus.exitCode !== null || times > 600) throw new Error(`Prometheus does not answer: ${said}`)
      await sleep(100)
    }
  })
  after(async () => {
    prometheus.kill("SIGKILL")
    await ends
    agent.signal("SIGKILL")
    await agent.ended
    await stage[Symbol.asyncDispose]()
  })

  it("says that a key is about to die, and no more once the command that it names was run", async () => {
    const { labels, annotations } = await firing("KeyferryKeyDying")
    expect(labels).to.deep.include({ name: "payments", target: "here", region: "us-east-1", severity: "critical" })
    expect(labels).to.deep.include({ job: "keyferry", generation: "0" })
    const command = commandIn(annotations["description"] ?? "", "rewrap")
    expect(command).to.deep.equal(["rewrap", "payments"])
    const ended = await keyferry(command)
    expect(ended.status, ended.stderr).to.equal(0)
    await reload()
    expect(names(await silent("KeyferryKeyDying"))).to.deep.equal([])
  })

  it("says that key material was deleted, also while the agent is down, and no more after recover", async () => {
    const [key] = await keysNamed(stage.sdk, "webhooks")
    const somebody = ["--endpoint-url", stage.kms.endpoint, "kms", "delete-imported-key-material"]
    execFileSync(AWS, [...somebody, "--key-id", key?.arn ?? ""], { env: { ...process.env, ...stage.kms.env } })
    await reload()
    const { labels, annotations } = await firing("KeyferryKeyDead")
    expect(labels).to.deep.include({ reason: "MATERIAL_DELETED", severity: "critical" })
    expect(annotations["description"]).to.include("webhooks (here, us-east-1).").and.not.include("payments")

    agent.signal("SIGKILL")
    await agent.ended
    const down = await firing("KeyferryDown")
    expect(down.annotations["description"]).to.include("`systemctl status keyferry-agent`")
    expect(names(await alerts())).to.deep.equal(["KeyferryDown", "KeyferryKeyDead"])
    await startAgent()
    expect(names(await silent("KeyferryDown"))).to.deep.equal(["KeyferryKeyDead"])

    const command = commandIn(annotations["description"] ?? "", "recover")
    const ended = await keyferry([...command, "--yes"])
    expect(ended.status, ended.stderr).to.equal(0)
    await reload()
    expect(names(await silent("KeyferryKeyDead"))).to.deep.equal([])
  })
})

async function isReady(url: string): Promise<boolean> {
  try {
    return (await fetch(`${url}/-/ready`)).ok
  } catch {
    return false
  }
}
