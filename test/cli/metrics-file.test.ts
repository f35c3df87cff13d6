import { spawnSync } from "node:child_process"
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect } from "chai"
import { keysNamed, setStage, type Stage } from "../support/stage.js"

describe("--metrics-file of a run by a timer", () => {
  let stage: Stage
  let state: string
  let config: string
  let file: string

  const keyferry = (...args: readonly string[]) =>
    stage.run([...args, "--config", config], { state, env: { KEYFERRY_TOKEN: undefined } })
  const metrics = (): string => readFileSync(file, "utf8")
  const ends = (): readonly string[] =>
    [...metrics().matchAll(/^keyferry_key_material_expiration_timestamp_seconds\{name="(\w+)"/gm)].map(
      ([, name = ""]) => name,
    )

  before(async () => {
    stage = await setStage()
    state = stage.state()
    config = join(stage.folder, "timer.yaml")
    const folder = join(stage.folder, "textfiles")
    mkdirSync(folder)
    file = join(folder, "keyferry.prom")
    writeFileSync(
      config,
      `version: 1
id: timed
tokens: { only: { uri: ${JSON.stringify(stage.token.uri)} } }
targets: { here: { region: us-east-1, endpoint: ${JSON.stringify(stage.kms.endpoint)} } }
defaults: { custody: token, wrappingKeySpec: RSA_2048 }
keys: { a: { keySpec: HMAC_256 }, b: { keySpec: SYMMETRIC_DEFAULT } }
`,
    )
  })
  after(() => stage[Symbol.asyncDispose]())

  it("is left by apply as promtool and node_exporter want it, with what the run did and what it spent", async () => {
    const { status, stderr } = await keyferry("apply", "--metrics-file", file)
    expect([status, stderr.includes("warning: --metrics-file")], stderr).to.deep.equal([0, false])
    expect(statSync(file).mode & 0o777).to.equal(0o644)
    const checked = spawnSync("promtool", ["check", "metrics"], { input: metrics(), encoding: "utf8" })
    expect([checked.status, checked.stdout + checked.stderr]).to.deep.equal([0, ""])
    for (const line of [
      'keyferry_runs_total{outcome="done"} 1',
      'keyferry_kms_requests_total{operation="ImportKeyMaterial",outcome="ok"} 2',
      'keyferry_token_up{token="only"} 1',
      'keyferry_key_state{name="a",target="here",region="us-east-1",state="Enabled"} 1',
    ])
      expect(metrics()).to.include(line)
    expect(metrics()).to.match(/^keyferry_rows_total\{outcome="done",reason="\w+"\} 2$/m)
    expect(metrics()).to.match(/^keyferry_wraps_total\{mechanism="\w+"\} [1-9]/m)
  })

  it("has all keys after a rewrap of one, and says nothing of the run before", async () => {
    expect((await keyferry("rewrap", "a", "--metrics-file", file)).status).to.equal(0)
    expect(ends()).to.have.members(["a", "b"])
    expect(metrics()).to.match(/^keyferry_rows_total\{outcome="done",reason="\w+"\} 1$/m)
  })

  it("is left by recover, once what was lost is there again", async () => {
    const [key] = await keysNamed(stage.sdk, "b")
    await stage.sdk.deleteImportedKeyMaterial({ KeyId: key?.arn })
    const dead = 'keyferry_check_findings{reason="MATERIAL_DELETED",status="critical"} 1'
    expect((await keyferry("rewrap", "--metrics-file", file)).status).to.equal(65)
    expect(metrics()).to.include(dead)
    const planned = await keyferry("recover", "--plan", "--metrics-file", file, "--json")
    expect([planned.status, planned.error().code]).to.deep.equal([64, "ERR_USAGE"])
    expect((await keyferry("recover", "--yes", "--metrics-file", file)).status).to.equal(0)
    expect(metrics()).not.to.include(dead)
  })

  it("says that the run failed, and still when each key dies, where nothing may be done because of a damaged custody log", async () => {
    const log = join(state, "custody.log.jsonl")
    const before = readFileSync(log)
    writeFileSync(log, "no custody log\n")
    for (const words of [["rewrap"], ["agent", "--once"]]) {
      rmSync(file)
      const { status } = await keyferry(...words, "--metrics-file", file)
      expect(status, words.join(" ")).not.to.equal(0)
      expect(metrics(), words.join(" ")).to.include('keyferry_runs_total{outcome="failed"} 1')
      expect(ends(), words.join(" ")).to.have.members(["a", "b"])
    }
    writeFileSync(log, before)
  })

  it("is no reason to do nothing where it cannot be written", async () => {
    const { status, stderr } = await keyferry("rewrap", "--metrics-file", join(file, "below-a-file"))
    expect([status, stderr.includes("--metrics-file: could not write")], stderr).to.deep.equal([0, true])
  })
})
