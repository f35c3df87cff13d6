import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { expect } from "chai"
import { openWorld } from "#src/host/open.js"
import { systemClock } from "#src/host/clock.js"
import { createLog } from "#src/log/log.js"
import { expectCode } from "#test/support/expect-code.js"
import { type LocalKmsProcess, startLocalKms } from "#test/support/local-kms.js"
import { addSofthsmToken, sharedSofthsmToken } from "#test/support/tokens.js"

const ROLE = "arn:aws:iam::111122223333:role/byok"

describe("a fleet", () => {
  const folder = mkdtempSync(join(tmpdir(), "keyferry-fleet-"))
  const first = sharedSofthsmToken()
  const second = addSofthsmToken(first, "fleet-second")
  const config = join(folder, "keyferry.yaml")
  const saved = { ...process.env }
  let kms: LocalKmsProcess
  before(async () => {
    kms = await startLocalKms({ regions: ["eu-west-3", "eu-west-1"] })
    Object.assign(process.env, kms.env)
    writeFileSync(
      config,
      `version: 1
id: fleet-test
tokens: { one: { uri: ${JSON.stringify(first.uri)} }, two: { uri: ${JSON.stringify(second.uri)} } }
targets:
  paris: { region: eu-west-3, endpoint: "${kms.endpoint}" }
  ireland: { region: eu-west-1, endpoint: "${kms.endpoint}", roleArn: "${ROLE}" }
policy: { minimumHash: SHA-1, allowUnenforcedCustody: true }
keys:
  payments: { keySpec: HMAC_256, token: two, targets: [paris, ireland] }
  signer: { keySpec: ECC_NIST_P384, keyUsage: SIGN_VERIFY, token: one, targets: [paris] }
`,
    )
  })
  after(async () => {
    process.env = saved
    await kms.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  const open = async (flags: object = { config }) => {
    const log = await createLog({ verbose: false, format: "text", clock: systemClock })
    const progress = { step: () => undefined, warn: () => undefined }
    const surroundings = { env: process.env, progress, log, command: "test" }
    const world = openWorld({ stateDir: join(folder, "state"), ...flags }, surroundings)
    try {
      const fleet = await world.fleet({ lock: true })
      return { ...fleet, [Symbol.asyncDispose]: () => world[Symbol.asyncDispose]() }
    } catch (error) {
      await world[Symbol.asyncDispose]()
      throw error
    }
  }

  it("opens each token and target once, when it is first asked for", async () => {
    await using fleet = await open()
    expect(fleet.owner).to.equal("fleet-test")
    expect(fleet.policy.allowUnenforcedCustody).to.equal(true)
    expect(fleet.bindings.map(({ name, target, token }) => `${name} ${target} ${token ?? ""}`)).to.deep.equal([
      ...["payments paris two", "payments ireland two", "signer paris one"],
    ])
    const { requests } = await kms.counts()
    expect(requests["AssumeRole"] ?? 0).to.equal(0)
    const all = await Promise.all(fleet.bindings.map((binding) => fleet.depsOf(binding)))
    expect(all.map(({ token }) => token.info.label)).to.deep.equal(["fleet-second", "fleet-second", first.label])
    expect(all.map(({ kms: { region } }) => region)).to.deep.equal(["eu-west-3", "eu-west-1", "eu-west-3"])
    expect(all[0]?.kms).to.equal(all[2]?.kms)
    expect(all[0]?.token).to.equal(all[1]?.token)
    const identities = await Promise.all(all.map((deps) => deps.kms.callerIdentity()))
    expect(identities.map(({ arn }) => arn.includes("assumed-role/byok"))).to.deep.equal([false, true, false])
    const elsewhere = await all[1]?.kmsIn("eu-west-3")
    expect(elsewhere?.region).to.equal("eu-west-3")
    // another Region with the target's own role
    expect((await elsewhere?.callerIdentity())?.arn).to.contain("assumed-role/byok")
    expect(await all[1]?.kmsIn("eu-west-1")).to.equal(all[1]?.kms)
    await expectCode("ERR_CONFIG_INVALID", () => fleet.kmsOf("rome"))
  })

  it("leaves out what flags do not name, and holds the state's lock until it is closed", async () => {
    {
      await using fleet = await open({ config, target: "paris" })
      expect(fleet.bindings.map(({ name, target }) => `${name} ${target}`)).to.deep.equal([
        "payments paris",
        "signer paris",
      ])
      await expectCode("ERR_STATE_LOCKED", () => open())
    }
    await using again = await open({ config, region: "eu-west-1" })
    expect(again.bindings.map(({ target }) => target)).to.deep.equal(["ireland"])
    await expectCode("ERR_USAGE", () => open({ config, pinSource: "env:PIN" }))
  })
})
