import { readdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { expect } from "chai"
import { COMMAND_NAMES } from "#src/cli/commands/commands.js"
import { expectErrorSchema, expectSchema } from "../support/json-schema.js"
import { setStage, type Stage } from "../support/stage.js"

/** Those whose result is in the form of others: policies of AWS, a JSON Schema; and those that have none. */
const WITHOUT = [
  "config schema",
  "agent",
  "local-kms",
  ...["iam", "key", "guard", "alarm", "eventbridge"].map((of) => `policy ${of}`),
]

describe("the schemas in docs/json", () => {
  let stage: Stage
  let state: string
  let config: string
  before(async () => {
    stage = await setStage()
    state = stage.state()
    config = join(stage.folder, "keyferry.yaml")
    writeFileSync(
      config,
      `version: 1
tokens: { only: { uri: ${JSON.stringify(stage.token.uri)} } }
targets: { here: { region: us-east-1, endpoint: ${JSON.stringify(stage.kms.endpoint)} } }
defaults: { custody: token, wrappingKeySpec: RSA_2048 }
keys: { payments: { keySpec: HMAC_256 } }
agent: { notify: [{ exec: "true" }] }
`,
    )
  })
  after(() => stage[Symbol.asyncDispose]())

  it("are there for every command that has a result of its own, and for errors", () => {
    const files = readdirSync(fileURLToPath(new URL("../../../docs/json", import.meta.url)))
    const wanted = [...COMMAND_NAMES.filter((name) => !WITHOUT.includes(name)), "error"]
    expect(files.sort()).to.deep.equal(wanted.map((name) => `${name.replaceAll(" ", "-")}.schema.json`).sort())
  })

  it("refuse what lacks a field, has another type, or a word that is none", () => {
    const check = { id: "pin", status: "ok", message: "", hint: null }
    const doctor = (changed: object) => ({ schemaVersion: 1, checks: [{ ...check, ...changed }] })
    expectSchema(["doctor"], doctor({}))
    for (const changed of [{ hint: undefined }, { message: 1 }, { status: "well" }, { more: true }])
      expect(() => expectSchema(["doctor"], doctor(changed)), JSON.stringify(changed)).to.throw()
    expect(() => expectSchema(["doctor"], { checks: [check] })).to.throw()
    expect(() => expectErrorSchema({ error: { code: "ERR_USAGE" } })).to.throw()
  })

  // of those that other tests ask for JSON, `json()` of each test holds the schema
  for (const words of [
    ["config", "check"],
    ["apply"],
    ["check"],
    ["recover", "--plan"],
    ["doctor"],
    ["agent", "pause", "--until", "2099-01-01T00:00:00Z"],
    ["agent", "pause", "--until", "now"],
    ["agent", "notify", "--test"],
    ["policy", "siem", "--principal", "arn:aws:iam::111122223333:role/byok"],
    ["policy", "postgres", "--role", "keyferry"],
    ["log", "rotate"],
    ["completion", "bash"],
    ["token", "list"],
    ["token", "probe"],
  ]) {
    it(`has what ${words.join(" ")} prints`, async () => {
      const ended = await stage.run([...words, "--json", "--config", config], {
        state,
        env: { KEYFERRY_TOKEN: undefined },
      })
      if (ended.stdout === "") expect(ended.error().code, ended.stderr).to.equal("")
      expect(ended.json()).to.include({ schemaVersion: 1 })
    })
  }
})
