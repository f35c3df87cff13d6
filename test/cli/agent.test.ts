import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect } from "chai"
import { hostClock } from "../support/host-clock.js"
import { RunningAgent } from "../support/running-agent.js"
import { setStage, type Stage } from "../support/stage.js"

const DAY_S = 86_400

describe("agent", () => {
  let stage: Stage
  let state: string
  let config: string
  let seconds = 0

  const manifest = (agent: string, keys = ""): string => `version: 1
id: watched
tokens: { only: { uri: ${JSON.stringify(stage.token.uri)} } }
targets: { here: { region: us-east-1, endpoint: ${JSON.stringify(stage.kms.endpoint)} } }
defaults: { custody: token, wrappingKeySpec: RSA_2048 }
keys:
  a: { keySpec: HMAC_256 }
  b: { keySpec: SYMMETRIC_DEFAULT }
${keys}agent: { jitter: 0s, ${agent} }
`
  const LISTENS = `listen: "127.0.0.1:0"`
  const env = () => ({ ...stage.env, KEYFERRY_TOKEN: undefined, KEYFERRY_STATE_DIR: state, ...hostClock(seconds) })
  const start = (...args: readonly string[]): RunningAgent => new RunningAgent(["--config", config, ...args], env())
  const stop = async (agent: RunningAgent): Promise<number | null> => {
    agent.signal("SIGTERM")
    return await agent.ended
  }
  const keyferry = (...args: readonly string[]) =>
    stage.run([...args, "--config", config], { state, env: { KEYFERRY_TOKEN: undefined, ...hostClock(seconds) } })
  const passDays = async (days: number): Promise<void> => {
    seconds += days * DAY_S
    await stage.kms.clock.advance(days * DAY_S)
  }
  const get = async (agent: RunningAgent, path: string, headers: Readonly<Record<string, string>> = {}) => {
    const { url } = (await agent.line("agent.listens")) as unknown as { url: string }
    const response = await fetch(`${url}${path}`, { headers })
    return { status: response.status, text: await response.text(), headers: response.headers }
  }

  before(async () => {
    stage = await setStage()
    state = stage.state()
    config = join(stage.folder, "agent.yaml")
    writeFileSync(config, manifest("allow: [rewrap, provision]"))
  })
  after(() => stage[Symbol.asyncDispose]())

  it("does what is allowed in one round with --once, and nothing twice", async () => {
    writeFileSync(config, manifest("allow: [rewrap]"))
    expect((await keyferry("agent", "--once")).status).to.equal(0)
    expect((await stage.footprint(state)).kmsKeys, "rewrap makes no key").to.have.lengthOf(0)
    writeFileSync(config, manifest("allow: [rewrap, provision]"))
    for (let times = 0; times < 2; times += 1) {
      const { status, stderr } = await keyferry("agent", "--once")
      expect(status, stderr).to.equal(0)
    }
    const { kmsKeys, imports } = await stage.footprint(state)
    expect([kmsKeys.length, imports]).to.deep.equal([2, 2])
  })

  it("shows health, readiness and metrics, to this machine and to nobody who names another host", async () => {
    writeFileSync(config, manifest(LISTENS))
    const agent = start()
    const { outcome } = await agent.line("round.ended")
    expect(outcome).to.equal("done")
    await agent.line("agent.waits")
    expect(await get(agent, "/healthz")).to.include({ status: 200, text: "ok\n" })
    const ready = await get(agent, "/readyz")
    expect(ready.status).to.equal(200)
    expect(JSON.parse(ready.text)).to.deep.include({ ready: true, tokens: { only: "looked at" }, troubles: [] })
    const { text, headers } = await get(agent, "/metrics")
    expect(headers.get("content-type")).to.include("text/plain")
    for (const line of [
      'keyferry_key_state{name="a",target="here",region="us-east-1",state="Enabled"} 1',
      'keyferry_runs_total{outcome="done"} 1',
      'keyferry_token_up{token="only"} 1',
      "keyferry_pin_breaker_open 0",
      'keyferry_build_info{version="0.1.0"} 1',
    ])
      expect(text).to.include(line)
    expect(text).to.match(
      /^keyferry_key_material_expiration_timestamp_seconds\{name="b",target="here",region="us-east-1",generation="0"\} \d{10}$/m,
    )
    const page = await get(agent, "/")
    expect(page.status).to.equal(200)
    expect(page.headers.get("content-security-policy")).to.include("default-src 'none'")
    expect(page.headers.get("x-frame-options")).to.equal("DENY")
    expect(page.headers.get("set-cookie")).to.equal(null)
    expect(page.text).to.include('<a href="/keys/a">a</a>')
    expect((await get(agent, "/keys/a")).text).to.include("import.proven")
    expect((await get(agent, "/keys/nobody")).status).to.equal(404)
    const { url } = (await agent.line("agent.listens")) as unknown as { url: string }
    expect((await fetch(url, { method: "POST" })).status).to.equal(405)
    expect(await statusFor(url, "rebound.example")).to.equal(421)
    expect(await statusFor(url, "localhost")).to.equal(200)
    expect(await stop(agent)).to.equal(0)
    expect(agent.lines.map(({ event }) => event)).to.include.members(["agent.stopping", "agent.stopped"])
  })

  it("wants the bearer token where one is configured, for all but health", async () => {
    const file = join(stage.folder, "bearer")
    writeFileSync(file, "0123456789abcdef\n", { mode: 0o600 })
    writeFileSync(config, manifest(`${LISTENS}, auth: { bearerTokenFile: ${JSON.stringify(file)} }`))
    const agent = start()
    await agent.line("agent.waits")
    const statuses: number[] = []
    for (const authorization of ["", "Bearer wrong", "Basic 0123456789abcdef", "Bearer 0123456789abcdef"]) {
      const headers: Record<string, string> = authorization === "" ? {} : { authorization }
      for (const path of ["/metrics", "/", "/readyz"]) statuses.push((await get(agent, path, headers)).status)
    }
    expect(statuses).to.deep.equal([...Array<number>(9).fill(401), 200, 200, 200])
    expect((await get(agent, "/healthz")).status).to.equal(200)
    // one that was changed holds at once
    writeFileSync(file, "another-token-of-20-chars\n")
    expect((await get(agent, "/metrics", { authorization: "Bearer 0123456789abcdef" })).status).to.equal(401)
    expect(await stop(agent)).to.equal(0)
  })

  it("begins a round at SIGHUP with the configuration as it is then, and keeps the old one where the new is wrong", async () => {
    writeFileSync(config, manifest("allow: [rewrap, provision]"))
    const agent = start()
    await agent.line("agent.waits")
    writeFileSync(config, manifest("allow: [rewrap, provision]", "  c: { keySpec: HMAC_384 }\n"))
    agent.signal("SIGHUP")
    expect((await agent.line("round.row"))["name"]).to.equal("c")
    await agent.line("round.ended", 2)
    writeFileSync(config, "version: 2\n")
    agent.signal("SIGHUP")
    expect((await agent.line("agent.reload-refused"))["code"]).to.equal("ERR_CONFIG_INVALID")
    expect(await agent.line("round.ended", 3)).to.include({ outcome: "done", keys: 3 })
    const runs = agent.lines.filter(({ event }) => event === "round.ended").map(({ run }) => run)
    expect(new Set(runs).size, "each round has an id of its own").to.equal(3)
    expect(await stop(agent)).to.equal(0)
  })

  it("rewraps what is due by KMS' time, whatever the host's clock says", async () => {
    writeFileSync(config, manifest("allow: [rewrap]", "  c: { keySpec: HMAC_384 }\n"))
    const before = (await stage.footprint(state)).imports
    await stage.kms.clock.advance(70 * DAY_S)
    const { status, stderr } = await keyferry("agent", "--once")
    expect(status, stderr).to.equal(0)
    expect((await stage.footprint(state)).imports - before).to.equal(3)
    seconds += 70 * DAY_S
  })

  it("does nothing while it is paused, looks on, and says so, as check does", async () => {
    await passDays(70)
    const until = new Date(Date.now() + (seconds + DAY_S) * 1000).toISOString()
    expect((await keyferry("agent", "pause", "--until", until)).status).to.equal(0)
    const before = (await stage.footprint(state)).imports
    const paused = await keyferry("agent", "--once")
    expect(paused.stderr).to.include("round.paused")
    expect((await stage.footprint(state)).imports).to.equal(before)
    const checked = await keyferry("check", "--json")
    const { checks } = checked.json() as { checks: { id: string; status: string }[] }
    expect(checks.find(({ id }) => id === "AGENT_PAUSED")?.status).to.equal("warning")
    await passDays(2)
    expect((await keyferry("agent", "--once")).status).to.equal(0)
    expect((await stage.footprint(state)).imports - before, "it went on by itself").to.equal(3)
    const after = (await keyferry("check", "--json")).json() as { checks: { id: string }[] }
    expect(after.checks.map(({ id }) => id)).not.to.include("AGENT_PAUSED")
    for (const text of ["tomorrow", "2026-13-01T00:00:00Z", "5m"]) {
      const refused = await keyferry("agent", "pause", "--until", text, "--json")
      expect([refused.status, refused.error().code], text).to.deep.equal([64, "ERR_USAGE"])
    }
  })

  it("ends no pause by the host's clock alone", async () => {
    const until = new Date(Date.now() + (seconds + DAY_S) * 1000).toISOString()
    expect((await keyferry("agent", "pause", "--until", until)).status).to.equal(0)
    await stage.kms.fault({ operation: "*", kind: "drop-before", count: 1_000 })
    const far = { KEYFERRY_TOKEN: undefined, ...hostClock(seconds + 30 * DAY_S) }
    const blind = await stage.run(["agent", "--once", "--config", config], { state, env: far })
    await stage.kms.clearFaults()
    expect(blind.stderr).to.include("round.paused")
    expect((await keyferry("agent", "--once")).stderr, "it is there still").to.include("round.paused")
    expect((await keyferry("agent", "pause", "--until", "now")).status).to.equal(0)
  })

  it("goes on where what it told cannot be written down", async () => {
    const incidents = join(state, "agent", "incidents.json")
    rmSync(incidents, { force: true })
    mkdirSync(incidents, { recursive: true })
    writeFileSync(config, manifest("allow: [rewrap, provision], notify: [{ exec: 'true' }]"))
    const { status, stderr } = await keyferry("agent", "--once")
    writeFileSync(config, manifest("allow: [rewrap, provision]"))
    rmSync(incidents, { recursive: true })
    expect([status, stderr.includes("agent.notify: ")], stderr).to.deep.equal([0, true])
  })

  it("refuses files of auth that cannot be used, before it listens", async () => {
    const [absent, text] = [join(stage.folder, "absent"), join(stage.folder, "text.pem")]
    writeFileSync(text, "no certificate\n")
    const tls = { certFile: text, keyFile: text, clientCaFile: text }
    for (const auth of [
      { bearerTokenFile: absent },
      { bearerTokenFile: text },
      { tls },
      { tls: { ...tls, keyFile: absent } },
    ]) {
      if ("bearerTokenFile" in auth && auth.bearerTokenFile === text) writeFileSync(text, "short\n")
      writeFileSync(config, manifest(`${LISTENS}, auth: ${JSON.stringify(auth)}`))
      const refused = await keyferry("agent", "--json")
      expect([refused.status, refused.error().code], JSON.stringify(auth)).to.deep.equal([78, "ERR_CONFIG_INVALID"])
    }
    writeFileSync(config, manifest("allow: [rewrap]"))
  })

  it("writes the page as a file for who runs no agent, once", async () => {
    const file = join(stage.folder, "fleet.html")
    const written = await keyferry("status", "--html", file)
    expect(written.status, written.stderr).to.equal(0)
    const page = readFileSync(file, "utf8")
    expect(page).to.include('data-name="a"').and.include('data-name="b"').and.include("default-src 'none'")
    expect(statSync(file).mode & 0o777).to.equal(0o600)
    const again = await keyferry("status", "--html", file, "--json")
    expect([again.status, again.error().code]).to.deep.equal([73, "ERR_OUTPUT_EXISTS"])
    expect((await keyferry("status", "--rebuild", "--html", file)).status).to.equal(64)
  })

  it("leaves its metrics in a file that node_exporter may read", async () => {
    const file = join(stage.folder, "keyferry.prom")
    writeFileSync(config, manifest(`metricsFile: ${JSON.stringify(file)}`))
    expect((await keyferry("agent", "--once")).status).to.equal(0)
    expect(readFileSync(file, "utf8")).to.include('keyferry_runs_total{outcome="done"} 1')
    expect(statSync(file).mode & 0o777).to.equal(0o644)
    const elsewhere = join(stage.folder, "elsewhere.prom")
    expect((await keyferry("agent", "--once", "--metrics-file", elsewhere)).status).to.equal(0)
    expect(readFileSync(elsewhere, "utf8")).to.include("keyferry_build_info")
    writeFileSync(config, manifest(`metricsFile: ${JSON.stringify(join(file, "below-a-file"))}`))
    const { status, stderr } = await keyferry("agent", "--once")
    expect([status, stderr.includes("agent.metricsFile: could not write")]).to.deep.equal([0, true])
  })

  it("leaves a state directory on which another agent works to that one, and is no hindrance to people", async () => {
    writeFileSync(config, manifest("allow: [rewrap]"))
    const agent = start()
    await agent.line("agent.waits")
    for (const words of [["agent"], ["agent", "--once"]]) {
      const second = await keyferry(...words, "--json")
      expect([second.status, second.error().code]).to.deep.equal([75, "ERR_STATE_LOCKED"])
    }
    expect((await keyferry("rewrap", "a")).status).to.equal(0)
    agent.signal("SIGKILL")
    await agent.ended
    expect((await keyferry("agent", "--once")).status).to.equal(0)
  })

  it("answers a misspelt command of its own with the nearest", async () => {
    const { status, stderr } = await keyferry("agent", "paus", "--until", "now")
    expect([status, stderr.includes("did you mean `agent pause`")]).to.deep.equal([64, true])
  })

  it("is degraded while KMS does not answer, tries again within minutes, and is well once it does", async () => {
    writeFileSync(config, manifest(LISTENS))
    const agent = start()
    await agent.line("agent.waits")
    await stage.kms.fault({ operation: "DescribeKey", kind: "internal", count: 1_000 })
    agent.signal("SIGHUP")
    expect(await agent.line("round.ended", 2)).to.include({ outcome: "degraded" })
    expect(await agent.line("agent.waits", 2)).to.include({ because: "trouble" })
    const ready = await get(agent, "/readyz")
    expect([ready.status, (JSON.parse(ready.text) as { kms: string }).kms]).to.deep.equal([503, "failed"])
    const page = (await get(agent, "/")).text
    expect(page).to.include("did not do all of its work")
    await stage.kms.clearFaults()
    agent.signal("SIGHUP")
    expect(await agent.line("round.ended", 3)).to.include({ outcome: "done" })
    expect((await get(agent, "/readyz")).status).to.equal(200)
    expect(await stop(agent)).to.equal(0)
  })
})

/** Of a GET that names another host than the one it goes to. */
async function statusFor(url: string, host: string): Promise<number> {
  const { request } = await import("node:http")
  return await new Promise((resolve, reject) => {
    request(`${url}/metrics`, { headers: { host } }, (response) => {
      response.resume()
      resolve(response.statusCode ?? 0)
    })
      .once("error", reject)
      .end()
  })
}
