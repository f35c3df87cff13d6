import { execFileSync } from "node:child_process"
import { writeFileSync } from "node:fs"
import { createServer, type Server } from "node:net"
import { join } from "node:path"
import { expect } from "chai"
import type { CliResult } from "../support/cli.js"
import { lyingToken } from "../support/liar.js"
import { keysNamed, setStage, type Stage } from "../support/stage.js"
import type { TestToken } from "../support/tokens.js"

/** Whatever hangs: a check that hangs as well would be worse than one that cannot tell. */
describe("check --timeout", () => {
  let stage: Stage
  let state: string
  let config: string
  let lying: TestToken
  /** Takes connections, and never answers. */
  let silent: Server

  const write = ({ uri = stage.token.uri, there = stage.kms.endpoint } = {}): void => {
    writeFileSync(
      config,
      `version: 1
tokens: { only: { uri: ${JSON.stringify(uri)} } }
targets:
  here: { region: us-east-1, endpoint: ${JSON.stringify(stage.kms.endpoint)} }
  there: { region: us-east-1, endpoint: ${JSON.stringify(there)} }
defaults: { custody: token, wrappingKeySpec: RSA_2048  }
keys:
  near: { keySpec: HMAC_256, targets: [here] }
  far: { keySpec: HMAC_256, targets: [there] }
`,
    )
  }
  const run = (args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<CliResult> =>
    stage.run([...args, "--config", config], { state, env })

  before(async () => {
    stage = await setStage()
    state = stage.state()
    config = join(stage.folder, "check.yaml")
    lying = lyingToken(stage.token)
    silent = createServer((socket) => socket.on("error", () => undefined)).listen(0, "127.0.0.1")
    await new Promise((resolve) => silent.once("listening", resolve))
    write()
    const made = await run(["apply"])
    expect(made.status, made.stdout + made.stderr).to.equal(0)
  })
  after(async () => {
    silent.close()
    await stage[Symbol.asyncDispose]()
  })

  const silentUrl = (): string => {
    const address = silent.address()
    return `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : ""}`
  }

  it("says which target did not answer, beside what the others did", async () => {
    write({ there: silentUrl() })
    const unknown = await run(["check", "-t", "9"])
    expect(unknown.status, unknown.stderr).to.equal(3)
    expect(unknown.stdout).to.match(
      /^KEYFERRY UNKNOWN - there: KMS did not answer in time about 1 of 1 keys \[TIMEOUT\] \| keys=1;;;0 .* unseen=1;;;0 first_expiry=\d+s;/,
    )
    for (const { arn } of await keysNamed(stage.sdk, "near")) await stage.sdk.deleteImportedKeyMaterial({ KeyId: arn })
    const critical = await run(["check", "--timeout=9s", "--json"])
    expect(critical.status).to.equal(2)
    const { checks } = critical.json() as { checks: readonly { id: string; target: string; status: string }[] }
    expect(checks.map(({ id, target, status }) => `${status} ${id}:${target}`)).to.deep.equal([
      "critical MATERIAL_DELETED:here",
      "unknown TIMEOUT:there",
    ])
    write()
    expect((await run(["recover", "near", "--yes"])).status).to.equal(0)
  })

  for (const call of ["C_Initialize", "C_Login", "C_FindObjects"]) {
    it(`names the token where ${call} hangs, with status 3`, async () => {
      write({ uri: lying.uri })
      const env = { ...lying.env, LIAR_HANGS: call }
      const { status, stdout, stderr } = await run(["check", "-t", "9"], env)
      expect(status, stdout + stderr).to.equal(3)
      expect(stdout).to.match(/^KEYFERRY UNKNOWN - .*token only.*\n$/)
      const json = await run(["check", "--json", "-t", "9"], env)
      expect([json.status, (json.json() as { status: string }).status]).to.deep.equal([3, "unknown"])
    })
  }

  it("says what it found where the token hangs as it is closed", async () => {
    write({ uri: lying.uri })
    const { status, stdout } = await run(["check", "-t", "9"], { ...lying.env, LIAR_HANGS: "C_Finalize" })
    expect([status, stdout.startsWith("KEYFERRY OK - 2 keys well | keys=2;")], stdout).to.deep.equal([0, true])
  })

  it("names the configuration where that cannot be read to its end", async () => {
    const pipe = join(stage.folder, "pipe.yaml")
    execFileSync("mkfifo", [pipe])
    const { status, stdout } = await stage.run(["check", "-t", "2", "--config", pipe], { state })
    expect([status, stdout]).to.deep.equal([
      3,
      "KEYFERRY UNKNOWN - no answer of the configuration within 2s [TIMEOUT]\n",
    ])
  })

  it("takes the short options of the guidelines for plugins, and refuses what is no time", async () => {
    write()
    const short = await run(["check", "-w89d", "-c", "1d", "-t=30"])
    expect([short.status, short.stdout], short.stderr).to.deep.include(0)
    expect(short.stdout).to.include(`;${89 * 86_400}:;86400: `)
    for (const time of ["0", "soon", "2h", "1.5"]) {
      const { status, stderr } = await run(["check", "--timeout", time])
      expect([status, stderr.includes(`--timeout '${time}' is no time`)], stderr).to.deep.equal([3, true])
    }
    const elsewhere = await run(["status", "-t", "4"])
    expect([elsewhere.status, elsewhere.stderr.includes("unknown argument: -t")]).to.deep.equal([64, true])
  })
})
