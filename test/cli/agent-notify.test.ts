import { createHmac } from "node:crypto"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { createServer, type IncomingHttpHeaders, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import { expect } from "chai"
import { hostClock } from "../support/host-clock.js"
import { keysNamed, setStage, type Stage } from "../support/stage.js"

const DAY_S = 86_400

const SECRET = "a secret of 24 characters"

interface Received {
  readonly headers: IncomingHttpHeaders
  readonly text: string
  readonly body: {
    readonly id: string
    readonly incident: string
    readonly kind: string
    readonly status: string
    readonly reason: string
    readonly name: string | null
    readonly hint: string | null
  }
}

describe("agent.notify", () => {
  let stage: Stage
  let state: string
  let config: string
  let server: Server
  let received: Received[] = []
  /** With what status the webhook answers; 0 for not at all, and what is to be done meanwhile. */
  let answer: { readonly status: number; readonly meanwhile?: () => void } = { status: 204 }
  let hookFile: string

  const agent = (options: { readonly killWhen?: Promise<unknown> } = {}) =>
    stage.run(["agent", "--once", "--config", config], { state, env: { KEYFERRY_TOKEN: undefined }, ...options })
  const kinds = (): readonly string[] => received.map(({ body }) => `${body.kind} ${body.name ?? ""}`)
  const hooked = (): readonly string[] =>
    existsSync(hookFile)
      ? readFileSync(hookFile, "utf8")
          .trim()
          .split("\n")
          .map((line) => (JSON.parse(line) as Received["body"]).kind)
      : []

  before(async () => {
    stage = await setStage()
    state = stage.state()
    config = join(stage.folder, "notify.yaml")
    hookFile = join(stage.folder, "hooked.jsonl")
    server = createServer((request, response) => {
      let text = ""
      request.setEncoding("utf8").on("data", (piece: string) => (text += piece))
      request.on("end", () => {
        received.push({ headers: request.headers, text, body: JSON.parse(text) as Received["body"] })
        answer.meanwhile?.()
        if (answer.status !== 0) response.writeHead(answer.status, { location: "/elsewhere" }).end()
      })
    })
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
    const { port } = server.address() as AddressInfo
    const secretFile = join(stage.folder, "secret")
    writeFileSync(secretFile, `${SECRET}\n`, { mode: 0o600 })
    writeFileSync(
      config,
      `version: 1
id: told
tokens: { only: { uri: ${JSON.stringify(stage.token.uri)} } }
targets: { here: { region: us-east-1, endpoint: ${JSON.stringify(stage.kms.endpoint)} } }
defaults: { custody: token, wrappingKeySpec: RSA_2048 }
keys: { a: { keySpec: HMAC_256 }, b: { keySpec: HMAC_256 } }
agent:
  allow: [rewrap, provision]
  notify:
    - { webhook: "http://127.0.0.1:${port}/hook", secretFile: ${JSON.stringify(secretFile)} }
    - { exec: ${JSON.stringify(`cat >> ${hookFile}`)} }
`,
    )
    expect((await agent()).status).to.equal(0)
    received = []
  })
  after(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
    await stage[Symbol.asyncDispose]()
  })

  it("sends a test that says so, signed, to each receiver", async () => {
    const { status, stdout } = await stage.run(["agent", "notify", "--test", "--config", config], { state })
    expect([status, stdout.split("\n").filter((line) => line.endsWith("told")).length]).to.deep.equal([0, 2])
    const [{ headers, text, body }] = received as [Received]
    expect(body).to.include({ kind: "test", status: "ok" })
    const timestamp = String(headers["x-keyferry-timestamp"])
    expect(Math.abs(Number(timestamp) - Date.now() / 1000)).to.be.lessThan(60)
    const hmac = createHmac("sha256", SECRET).update(`${timestamp}.${text}`).digest("hex")
    expect(headers["x-keyferry-signature"]).to.equal(`sha256=${hmac}`)
    received = []
  })

  it("says who was not told, and why", async () => {
    answer = { status: 302 }
    const { status, stdout } = await stage.run(["agent", "notify", "--test", "--config", config], { state })
    expect(status).to.equal(69)
    expect(stdout).to.include("it answered with status 302")
    answer = { status: 204 }
    received = []
  })

  it("is told of a dead key once, over restarts, with the command that helps; then that it is over", async () => {
    const before = hooked().length
    const [key] = await keysNamed(stage.sdk, "a")
    await stage.sdk.deleteImportedKeyMaterial({ KeyId: key?.arn })
    for (let times = 0; times < 3; times += 1) expect((await agent()).status).to.equal(0)
    expect(kinds()).to.deep.equal(["dead a"])
    expect(received[0]?.body).to.include({ reason: "MATERIAL_DELETED", status: "critical" })
    expect(received[0]?.body.hint).to.include("keyferry recover a")
    await stage.run(["recover", "a", "--yes", "--config", config], { state, env: { KEYFERRY_TOKEN: undefined } })
    for (let times = 0; times < 2; times += 1) expect((await agent()).status).to.equal(0)
    expect(kinds()).to.deep.equal(["dead a", "recovered a"])
    expect(received[1]?.body.incident).to.equal(received[0]?.body.incident)
    expect(hooked().slice(before)).to.deep.equal(["dead", "recovered"])
    received = []
  })

  it("is sent again with the same id where a SIGKILL came between sending and noting", async () => {
    const [key] = await keysNamed(stage.sdk, "b")
    await stage.sdk.deleteImportedKeyMaterial({ KeyId: key?.arn })
    // it arrives, and the agent does not live to hear that it did
    const killWhen = new Promise<void>((resolve) => (answer = { status: 0, meanwhile: resolve }))
    const killed = await agent({ killWhen })
    expect(killed.signal).to.equal("SIGKILL")
    answer = { status: 204 }
    expect((await agent()).status).to.equal(0)
    expect(kinds()).to.deep.equal(["dead b", "dead b"])
    expect(received[1]?.body.id).to.equal(received[0]?.body.id)
    expect((await agent()).status).to.equal(0)
    expect(received).to.have.lengthOf(2)
    received = []
  })

  it("waits for a receiver that refuses, and tells the others meanwhile", async () => {
    const before = hooked().length
    answer = { status: 500 }
    await stage.run(["recover", "b", "--yes", "--config", config], { state, env: { KEYFERRY_TOKEN: undefined } })
    const refused = await agent()
    expect(refused.stderr).to.include("notification.failed")
    expect(hooked().slice(before)).to.deep.equal(["recovered"])
    const tries = received.length
    expect(new Set(received.map(({ body }) => body.id)).size).to.equal(1)
    expect(tries).to.equal(3)
    answer = { status: 204 }
    expect((await agent()).status).to.equal(0)
    expect(received).to.have.lengthOf(tries + 1)
    expect(hooked().slice(before), "the other was told once").to.deep.equal(["recovered"])
  })

  it("is told of what was wrong already when it was named, whoever was told of nothing before", async () => {
    const own = stage.state()
    const late = join(stage.folder, "late.yaml")
    const text = readFileSync(config, "utf8")
      .replace("id: told", "id: late")
      .replace("custody: token", "custody: sealed")
    const run = () =>
      stage.run(["agent", "--once", "--config", late], { state: own, env: { KEYFERRY_TOKEN: undefined } })
    writeFileSync(late, text.replace(/ {2}notify:[^]*$/, ""))
    for (let times = 0; times < 2; times += 1) expect((await run()).status).to.equal(0)
    received = []
    writeFileSync(late, text)
    for (let times = 0; times < 2; times += 1) expect((await run()).status).to.equal(0)
    expect(received.map(({ body }) => `${body.kind} ${body.reason}`)).to.deep.equal(["backup BACKUP_UNCONFIRMED"])
    const [{ body }] = received as [Received]
    expect(body.hint).to.include("keyferry key backup-confirmed")
    await stage.run(["key", "backup-confirmed", "--config", late], { state: own, env: { KEYFERRY_TOKEN: undefined } })
    expect((await run()).status).to.equal(0)
    expect(received.map(({ body: { kind } }) => kind)).to.deep.equal(["backup", "recovered"])
  })

  it("is told of an archive of the state that has become old, as check is, once", async () => {
    const kept = stage.state()
    const own = join(stage.folder, "kept.yaml")
    writeFileSync(own, readFileSync(config, "utf8").replace("id: told", "id: kept"))
    const run = (days: number, ...args: readonly string[]) =>
      stage.run([...args, "--config", own], {
        state: kept,
        env: { KEYFERRY_TOKEN: undefined, ...hostClock(days * DAY_S) },
      })
    const old = join(stage.folder, "old.jsonl")
    expect((await run(0, "state", "export", old)).status).to.equal(0)
    expect((await run(0, "agent", "--once")).status).to.equal(0)
    await stage.kms.clock.advance(31 * DAY_S)
    received = []
    for (let times = 0; times < 2; times += 1) await run(31, "agent", "--once")
    expect(kinds()).to.deep.equal(["backup state"])
    expect(received[0]?.body).to.include({ reason: "BACKUP_OLD", status: "warning" })
    const { checks } = (await run(31, "check", "--json")).json() as { checks: { id: string }[] }
    expect(checks.map(({ id }) => id)).to.include("BACKUP_OLD")
    expect((await run(31, "state", "export", `${old}.new`)).status).to.equal(0)
    await run(31, "agent", "--once")
    expect(kinds()).to.deep.equal(["backup state", "recovered state"])
  })

  it("is refused where nobody is to be told, and where it is no test", async () => {
    const alone = join(stage.folder, "nobody.yaml")
    writeFileSync(alone, "version: 1\nagent: { jitter: 0s }\n")
    const nobody = await stage.run(["agent", "notify", "--test", "--config", alone, "--json"], { state })
    expect([nobody.status, nobody.error().code]).to.deep.equal([64, "ERR_USAGE"])
    expect((await stage.run(["agent", "notify", "--config", config], { state })).status).to.equal(64)
  })
})
