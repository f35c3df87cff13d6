import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect } from "chai"
import { openKeyferry } from "#src/cli/embedded.js"
import { setStage, type Stage } from "../support/stage.js"

describe("keyferry in a program", () => {
  const environment = { ...process.env }
  let stage: Stage
  before(async () => {
    stage = await setStage()
    Object.assign(process.env, stage.env)
    delete process.env["KEYFERRY_TOKEN"]
    delete process.env["AWS_ENDPOINT_URL"]
  })
  after(async () => {
    for (const name of Object.keys(process.env))
      if (!Object.hasOwn(environment, name)) Reflect.deleteProperty(process.env, name)
    Object.assign(process.env, environment)
    await stage[Symbol.asyncDispose]()
  })

  it("makes what the configuration asks for, and tells of it what the log would, without a secret", async () => {
    const config = join(stage.folder, "embedded.yaml")
    const pinFile = join(stage.folder, "embedded-pin")
    const uri = stage.env["KEYFERRY_TOKEN"] ?? ""
    const pin = readFileSync(/pin-source=file:([^&]+)/.exec(uri)?.[1] ?? "", "utf8").trim()
    writeFileSync(pinFile, pin, { mode: 0o600 })
    const manifest = {
      version: 1,
      tokens: { primary: { uri: uri.replace(/&pin-source=[^&]*/, ""), pin: { file: pinFile } } },
      targets: { here: { region: "us-east-1", endpoint: stage.kms.endpoint } },
      keys: { embedded: { keySpec: "HMAC_256", custody: "token" } },
    }
    writeFileSync(config, JSON.stringify(manifest))
    const events: (readonly [name: string, fields: object])[] = []
    const keyferry = await openKeyferry({
      config,
      stateDir: stage.state(),
      onEvent: (name, fields) => events.push([name, fields]),
    })
    const planned = (await keyferry.plan()).keys.map(({ outcome, message }) => [outcome, message])
    expect(planned).to.deep.equal([["planned", "no KMS key holds its material yet"]])
    const { schemaVersion, keys } = await keyferry.apply({ only: ["provision"] })
    expect([schemaVersion, keys.map(({ outcome }) => outcome)]).to.deep.equal([1, ["done"]])
    const [row] = (await keyferry.status({ keys: ["embedded"] })).keys
    expect(row).to.include({ name: "embedded", target: "here", keyArn: keys[0]?.keyArn })
    const text = JSON.stringify(events)
    expect(events.map(([name]) => name)).to.include.members(["source.generated", "key.created", "key.imported"])
    expect(JSON.parse(text)).to.deep.equal(events)
    expect(text).not.to.include(pin)
  })
})
