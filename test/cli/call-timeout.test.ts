import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { expect } from "chai"
import type { CliResult } from "#test/support/cli.js"
import { lyingToken } from "#test/support/liar.js"
import { provisionArgs } from "#test/support/refusal.js"
import { setStage, type Stage } from "#test/support/stage.js"

/** A module one of whose calls never returns: in the thread that runs JavaScript, or in one of libuv's. */
describe("tokens.NAME.callTimeout", () => {
  let stage: Stage
  let config: string
  let uri: string
  let odd: Readonly<Record<string, string>>

  before(async () => {
    stage = await setStage()
    const lying = lyingToken(stage.token)
    odd = lying.env
    uri = lying.uri
    config = join(stage.folder, "keyferry.yaml")
    const token = `  slow: { uri: "${lying.uri}", callTimeout: 2s }\n`
    writeFileSync(config, `version: 1\ntokens:\n${token}targets: { main: { region: us-east-1 } }\n`)
  })
  after(() => stage[Symbol.asyncDispose]())

  const run = (args: readonly string[], state: string, hangs?: string): Promise<CliResult> =>
    stage.run([...args, "--config", config], {
      state,
      env: { ...odd, KEYFERRY_TOKEN: "", ...(hangs === undefined ? {} : { LIAR_HANGS: hangs }) },
    })
  const aes = provisionArgs({ name: "later" })
  const passing = provisionArgs({ name: "passing", custody: "session" })

  const rows: readonly (readonly [call: string, args: readonly string[]])[] = [
    ["C_Initialize", ["token", "list"]],
    ["C_GetSlotList", ["token", "list"]],
    ["C_GetSlotList", ["key", "list"]],
    ["C_Login", ["key", "list"]],
    ["C_FindObjects", ["key", "list"]],
    ["C_GenerateKey", [...passing, "--expires-in", "never", "--accept-no-reimport"]],
    ["C_Finalize", ["token", "list"]],
  ]
  for (const [call, args] of rows) {
    it(`ends the run where ${call} hangs: ${args.slice(0, 2).join(" ")}`, async () => {
      const { status, stderr, stdout } = await run([...args, "--json"], stage.state(), call)
      expect(status, stderr).to.equal(69)
      const { error } = JSON.parse(stderr.slice(stderr.indexOf('{"error"'))) as { error: Record<string, unknown> }
      expect(error).to.include({ code: "ERR_TOKEN_HANGS" })
      expect(error["message"]).to.equal(`the token did not answer ${call} within 2s: the run ends`)
      expect(error["hint"]).to.include("tokens.NAME.callTimeout")
      expect(stdout).to.equal("")
    })
  }

  it("leaves a provision that the same command takes up, with one KMS key and no lock", async () => {
    const state = stage.state()
    const hung = await run(aes, state, "C_WrapKey")
    expect(hung.status, hung.stderr).to.equal(69)
    expect(hung.stderr).to.include("did not answer C_WrapKey within 2s").and.include("takes it up again")
    const again = await run(aes, state)
    expect(again.status, again.stderr).to.equal(0)
    expect((await stage.footprint(state)).kmsKeys).to.have.length(1)
  })

  it("is not needed for a signal to end a run whose call hangs in a thread of libuv", async () => {
    const whole = passing.concat("--expires-in", "never", "--accept-no-reimport")
    const options = { killWhen: sleep(4000), signal: "SIGTERM" } as const
    const env = { ...odd, KEYFERRY_TOKEN: uri, LIAR_HANGS: "C_GenerateKey" }
    const { status, signal, stderr } = await stage.run(whole, { state: stage.state(), env, ...options })
    expect([status, signal], stderr).to.deep.equal([143, null])
    expect(stderr).to.include("stopped; the same command takes it up again")
  })

  it("leaves a token that answers in time alone", async () => {
    const { status, stderr } = await run(["token", "list"], stage.state())
    expect(status, stderr).to.equal(0)
  })

  for (const time of ["0s", "2", "25h", "1500m", "-1s", "soon"]) {
    it(`is no such time: ${time}`, async () => {
      const file = join(stage.folder, "wrong.yaml")
      writeFileSync(file, `version: 1\ntokens: { slow: { uri: "pkcs11:token=a", callTimeout: "${time}" } }\n`)
      const { status, stderr } = await stage.run(["config", "check", "--config", file], { state: stage.state() })
      expect(status, stderr).to.equal(78)
      expect(stderr).to.include("callTimeout")
    })
  }
})
