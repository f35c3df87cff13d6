import { expect } from "chai"
import { lyingToken } from "#test/support/liar.js"
import { provisionArgs, refused } from "#test/support/refusal.js"
import { setStage, type Stage } from "#test/support/stage.js"

/** A role that gets read-only sessions, on a token where another role made keys before. */
describe("a token that may not be written to", () => {
  let stage: Stage
  let state: string
  let env: Readonly<Record<string, string>>

  before(async () => {
    stage = await setStage()
    state = stage.state()
    const odd = lyingToken(stage.token)
    const made = await stage.run(provisionArgs(), { state })
    expect(made.status, made.stderr).to.equal(0)
    env = { ...odd.env, KEYFERRY_TOKEN: odd.uri, LIAR: "R/O role" }
  })
  after(async () => {
    await stage[Symbol.asyncDispose]()
  })
  const run = (...args: readonly string[]) => stage.run(args, { state, env })

  it("serves a key that is there, and one of custody session", async () => {
    for (const args of [
      ["key", "list", "--json"],
      ["status", "--json"],
      ["rewrap", "payments"],
      [...provisionArgs({ name: "passing", custody: "session" }), "--expires-in", "never", "--accept-no-reimport"],
    ]) {
      const { status, stderr } = await run(...args)
      expect(status, `${args.join(" ")}: ${stderr}`).to.equal(0)
    }
  })

  it("is said to be so by doctor", async () => {
    const { stdout } = await run("doctor")
    expect(stdout).to.match(/write-protected \(C_OpenSession: CKR_SESSION_READ_ONLY\)/)
  })

  const kinds: readonly (readonly [what: string, args: readonly string[]])[] = [
    ["a key of custody token", provisionArgs({ name: "other" })],
    ["the first custody key", provisionArgs({ name: "other", custody: "sealed" })],
    ["a rotation", ["rotate", "payments"]],
    ["a replacement", ["replace", "payments"]],
    ["a key for later", ["key", "generate", "--name", "other", "--key-spec", "HMAC_256", "--custody", "token"]],
    ["a new custody key", ["key", "reseal", "--all", "--new-custody-key"]],
    ["a destruction", ["key", "destroy", "--name", "payments", "--yes"]],
  ]
  for (const [what, args] of kinds) {
    it(`refuses before anything is made: ${what}`, async () => {
      const tells = /write-protected.*(role that may write)/
      const options = { state, env: { ...env, LIAR: "R/O role" } }
      await refused(stage, args, { code: "ERR_TOKEN_WRITE_PROTECTED", exit: 77, tells }, options)
    })
  }
})
