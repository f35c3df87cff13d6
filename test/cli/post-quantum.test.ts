import { execFileSync } from "node:child_process"
import { once } from "node:events"
import { readFileSync, writeFileSync } from "node:fs"
import { request } from "node:http"
import { createServer } from "node:https"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import type { TlsOptions } from "node:tls"
import { expect } from "chai"
import { openKms } from "#src/kms/kms.js"
import { awsEnvironment } from "../support/aws-environment.js"
import { type CliResult, keyferry, MAIN } from "../support/cli.js"
import { expectCode } from "../support/expect-code.js"
import { serveProxy } from "../support/servers.js"
import { setStage, type Stage } from "../support/stage.js"

const GROUP = "X25519MLKEM768"
/** Node.js whose OpenSSL is older than 3.5, such as 22.13: `scripts/fetch-node.sh 22.13.0 FOLDER`. */
const OLD_NODE = process.env["KEYFERRY_TEST_OLD_NODE"]

/** Real TLS before the local KMS: one end that has the hybrid group, one that has not, one of TLS 1.2. */
describe("tls.requirePostQuantum", () => {
  awsEnvironment()
  let stage: Stage
  let cert: string
  let key: Buffer
  const closing: (() => Promise<void>)[] = []

  /** The local KMS behind TLS; its URL. */
  const behindTls = async (options: TlsOptions): Promise<string> => {
    const server = createServer({ key, cert: readFileSync(cert), ...options }, (incoming, answer) => {
      const { method, url, headers } = incoming
      const onward = request(stage.kms.endpoint, { method, path: url, headers }, (reply) => {
        answer.writeHead(reply.statusCode ?? 500, reply.headers)
        reply.pipe(answer)
      })
      incoming.pipe(onward)
    })
    server.listen(0, "127.0.0.1")
    await once(server, "listening")
    closing.push(async () => {
      server.closeAllConnections()
      server.close()
      await once(server, "close")
    })
    return `https://localhost:${(server.address() as AddressInfo).port}`
  }
  const configOf = (endpoint: string, required: boolean): string => {
    const path = join(stage.folder, `${new URL(endpoint).port}-${required}.json`)
    const targets = { home: { region: "us-east-1", endpoint, tls: { requirePostQuantum: required } } }
    writeFileSync(path, JSON.stringify({ version: 1, tokens: { soft: { uri: stage.token.uri } }, targets }))
    return path
  }
  const run = (state: string, config: string, ...words: string[]): Promise<CliResult> =>
    stage.run([...words, "--config", config], { state, env: { AWS_CA_BUNDLE: cert } })
  const provision = (state: string, config: string, name: string): Promise<CliResult> =>
    run(
      state,
      config,
      "provision",
      "--name",
      name,
      "--key-spec",
      "HMAC_256",
      "--custody",
      "token",
      "--wrapping-key-spec",
      "RSA_2048",
      "--json",
    )

  before(async () => {
    stage = await setStage()
    cert = join(stage.folder, "cert.pem")
    const names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    const files = ["-nodes", "-keyout", join(stage.folder, "key.pem"), "-out", cert, "-days", "2"]
    execFileSync("openssl", ["req", "-x509", "-newkey", "rsa:2048", ...files, ...names], { stdio: "ignore" })
    key = readFileSync(join(stage.folder, "key.pem"))
  })
  after(async () => {
    for (const close of closing) await close()
    await stage[Symbol.asyncDispose]()
  })

  it("is met by an endpoint that has it, and each import records it", async () => {
    const state = stage.state()
    const config = configOf(await behindTls({ ecdhCurve: `X25519:${GROUP}` }), true)
    const made = await provision(state, config, "quantum")
    expect(made.status, made.stderr).to.equal(0)
    expect(made.json()).to.include({ keyExchange: GROUP })
    const rewrapped = await run(state, config, "rewrap", "quantum")
    expect(rewrapped.status, rewrapped.stderr).to.equal(0)
    const entry = JSON.parse(readFileSync(join(state, "inventory", "home", "quantum.json"), "utf8")) as {
      imports: { keyExchange?: string }[]
    }
    expect(entry.imports.map(({ keyExchange }) => keyExchange)).to.deep.equal([GROUP])
    const lines = readFileSync(join(state, "custody.log.jsonl"), "utf8").trim().split("\n")
    const events = lines.map((line) => JSON.parse(line) as { event: string; facts?: { keyExchange?: string } })
    const done = events.filter(({ event }) => event === "import.done")
    expect(done.map(({ facts }) => facts?.keyExchange)).to.deep.equal([GROUP, GROUP])
  })

  it("is not asked for where nothing requires it: what was agreed on is recorded, hybrid first", async () => {
    const both = await provision(stage.state(), configOf(await behindTls({}), false), "hybrid")
    expect(both.json()).to.include({ keyExchange: GROUP })
    const classical = await provision(
      stage.state(),
      configOf(await behindTls({ ecdhCurve: "X25519" }), false),
      "classical",
    )
    expect(classical.json()).to.include({ keyExchange: "X25519" })
    const plain = await stage.run(
      [
        "provision",
        "--name",
        "plain",
        "--key-spec",
        "HMAC_256",
        "--custody",
        "token",
        "--wrapping-key-spec",
        "RSA_2048",
        "--json",
      ],
      { state: stage.state() },
    )
    expect(plain.json()).to.include({ keyExchange: null })
  })

  const without: readonly [name: string, options: TlsOptions][] = [
    ["has it not", { ecdhCurve: "X25519:P-256" }],
    ["speaks TLS 1.2 alone", { maxVersion: "TLSv1.2" }],
  ]
  for (const [name, options] of without) {
    it(`refuses an endpoint that ${name}, with nothing made (78)`, async () => {
      const before = await stage.sdk.listKeys({})
      const refused = await provision(stage.state(), configOf(await behindTls(options), true), "refused")
      expect(refused.status, refused.stderr).to.equal(78)
      expect(refused.error().code).to.equal("ERR_KMS_ENDPOINT_REFUSED")
      expect(refused.error().message).to.include("no post-quantum key exchange")
      expect((await stage.sdk.listKeys({})).Keys).to.deep.equal(before.Keys)
    })
  }

  it("holds through a proxy as well", async () => {
    const has = await behindTls({})
    const lacks = await behindTls({ ecdhCurve: "X25519" })
    for (const [endpoint, code] of [
      [has, null],
      [lacks, "ERR_KMS_ENDPOINT_REFUSED"],
    ] as const) {
      await using proxy = await serveProxy(Number(new URL(endpoint).port))
      const env = { AWS_CA_BUNDLE: cert, HTTPS_PROXY: `http://127.0.0.1:${proxy.port}` }
      using kms = await openKms({ region: "us-east-1", endpointUrl: endpoint, env, postQuantum: "this test" })
      const listed = () => kms.listKeys()[Symbol.asyncIterator]().next()
      if (code === null) await listed()
      else await expectCode(code, listed)
      expect(proxy.asked.length).to.be.greaterThan(0)
    }
  })

  it("refuses plain http, in the file and by a flag (78)", async () => {
    const inFile = await keyferry(["config", "check", "--config", configOf(stage.kms.endpoint, true)])
    expect(inFile.status).to.equal(78)
    expect(inFile.stderr).to.include("targets.home.tls").and.include("plain http")
    const config = configOf(await behindTls({}), true)
    const byFlag = await run(stage.state(), config, "doctor", "--endpoint-url", stage.kms.endpoint)
    expect(byFlag.status).to.equal(78)
    expect(byFlag.stdout + byFlag.stderr).to.include("plain http, which has none")
  })

  it("holds for a Region of several targets as well, and is true or false alone", async () => {
    const path = join(stage.folder, "several.json")
    const write = (required: unknown): void => {
      const target = { region: "us-east-1", tls: { requirePostQuantum: required } }
      const tokens = { soft: { uri: stage.token.uri } }
      writeFileSync(path, JSON.stringify({ version: 1, tokens, targets: { one: target, two: target } }))
    }
    write(true)
    const flags = ["--region", "us-east-1", "--endpoint-url", stage.kms.endpoint]
    const refused = await run(stage.state(), path, "doctor", ...flags)
    expect(refused.stdout + refused.stderr).to.include("plain http, which has none")
    expect(refused.status).to.equal(78)
    for (const wrong of ["yes", 1, null]) {
      write(wrong)
      const checked = await keyferry(["config", "check", "--config", path])
      expect(checked.status, String(wrong)).to.equal(78)
      expect(checked.stderr).to.include("targets.one.tls.requirePostQuantum")
    }
  })

  // release-check.sh brings one
  if (OLD_NODE === undefined) return
  it("is refused by name where this Node.js has it not (78)", async () => {
    const state = stage.state()
    const config = configOf(await behindTls({}), true)
    const words = ["status", "--config", config, "--state-dir", state]
    const env = { ...process.env, ...stage.env, AWS_CA_BUNDLE: cert }
    const refused = execute(OLD_NODE, [MAIN, "doctor", ...words.slice(1)], env)
    expect(refused.status, refused.output).to.equal(78)
    expect(refused.output).to.match(
      /requires X25519MLKEM768, and OpenSSL 3\.0\S* of this Node\.js 22\.\S+ does not offer it/,
    )
    expect(refused.output).to.include("Node.js 24")
  })
})

function execute(program: string, words: readonly string[], env: NodeJS.ProcessEnv) {
  try {
    return { status: 0, output: execFileSync(program, words, { env, stdio: "pipe" }).toString() }
  } catch (error) {
    const { status, stdout, stderr } = error as { status: number; stdout: Buffer; stderr: Buffer }
    return { status, output: `${stdout.toString()}${stderr.toString()}` }
  }
}
