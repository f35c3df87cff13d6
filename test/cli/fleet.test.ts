import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect } from "chai"
import type { CliResult } from "#test/support/cli.js"
import { setStage, type Stage } from "../support/stage.js"

interface Row {
  readonly name: string
  readonly outcome: string
  readonly reason: string
  readonly keyArn: string | null
}

describe("plan, apply, rewrap, status", () => {
  let stage: Stage
  let state: string
  let config: string
  before(async () => {
    stage = await setStage()
    state = stage.state()
    config = join(stage.folder, "keyferry.yaml")
    writeFileSync(config, manifest({ extra: "" }))
  })
  after(() => stage[Symbol.asyncDispose]())

  const manifest = ({ extra }: { readonly extra: string }): string => `
version: 1
id: fleet-test
tokens:
  only: { uri: ${JSON.stringify(stage.token.uri)} }
targets:
  here: { region: us-east-1, endpoint: ${JSON.stringify(stage.kms.endpoint)} }
defaults: { token: only, custody: token, wrappingKeySpec: RSA_2048, expiresIn: 90d, renewBefore: 30d }
keys:
  mac: { keySpec: HMAC_256, targets: [here], alias: alias/mac, description: first }
  sign: { keySpec: ECC_NIST_P384, keyUsage: SIGN_VERIFY, targets: [here], expiresIn: never }
${extra}`

  const run = (args: readonly string[]): Promise<CliResult> => stage.run([...args, "--config", config], { state })
  const json = async (
    args: readonly string[],
  ): Promise<{ status: number | null; keys: readonly Row[]; summary: object }> => {
    const { status, stdout, stderr } = await run([...args, "--json"])
    expect(stdout, stderr).to.not.equal("")
    return { status, ...(JSON.parse(stdout) as { keys: readonly Row[]; summary: object }) }
  }

  it("plans, applies, and finds nothing the second time", async () => {
    const planned = await json(["plan", "--detailed-exitcode"])
    expect(planned.status).to.equal(2)
    expect(planned.keys.map(({ name, outcome, reason }) => [name, outcome, reason])).to.deep.equal([
      ["mac", "planned", "NOTHING_YET"],
      ["sign", "planned", "NOTHING_YET"],
    ])
    const text = await run(["plan"])
    expect(text.status).to.equal(0)
    expect(text.stdout).to.match(/^a month costs USD 2\.00 for 2 KMS keys and USD 0\.00 for 123 requests \(list price/m)
    expect(text.stdout).to.match(
      /^GetParametersForImport, 1 a second in us-east-1, binds above 83,808 imports a day; all 2 /m,
    )
    expect((await run(["plan", "-q"])).stdout).to.equal("")
    const only = await run(["plan", "--detailed-exitcode", "--only", "rewrap,rotate"])
    expect([only.status, only.stdout]).to.satisfy(
      ([status, text]: [number, string]) => status === 0 && text.includes("2 nothing"),
    )

    const one = await json(["apply", "--key", "sign", "--only", "provision"])
    expect([one.status, one.summary]).to.deep.equal([
      0,
      { keys: 1, done: 1, nothing: 0, planned: 0, blocked: 0, failed: 0 },
    ])
    const all = await run(["provision"])
    expect(all.status, all.stderr).to.equal(0)
    expect(all.stdout)
      .to.match(/^NAME +TARGET +OUTCOME +REMARK\nmac +here +done +provisioned\n/)
      .and.to.match(/2 keys: 1 done, 1 nothing$/m)
    const before = await stage.footprint(state)
    const again = await json(["apply"])
    expect([again.status, again.keys.map(({ outcome }) => outcome)]).to.deep.equal([0, ["nothing", "nothing"]])
    expect(await stage.footprint(state)).to.deep.equal(before)
    expect((await run(["plan", "--detailed-exitcode"])).status).to.equal(0)
  })

  it("rewraps nothing by itself, and what is named", async () => {
    const before = await stage.footprint(state)
    expect(await json(["rewrap"])).to.deep.include({
      status: 0,
      summary: { keys: 2, done: 0, nothing: 2, planned: 0, blocked: 0, failed: 0 },
    })
    expect((await stage.footprint(state)).parametersSpent).to.equal(before.parametersSpent)
    const named = await json(["rewrap", "mac", "--expires-in", "120d"])
    expect([named.status, named.keys.map(({ name, outcome }) => [name, outcome])]).to.deep.equal([0, [["mac", "done"]]])
    expect((await stage.footprint(state)).parametersSpent).to.equal(before.parametersSpent + 1)
    // longer than the configuration wants: no run brings it back by itself, since that would shorten it
    expect((await json(["rewrap"])).keys[0]).to.include({ outcome: "blocked", reason: "EXPIRY_SHORTER" })
    expect((await json(["rewrap", "mac"])).keys[0]).to.include({ outcome: "done" })
  })

  it("shows in status what is there, without a token too", async () => {
    const all = await run(["status", "-o", "wide"])
    expect(all.status, all.stderr).to.equal(0)
    expect(all.stdout).to.match(/mac +here +Enabled +0 +89 +rewrap \d{4}-\S+ +dies \d{4}-.* arn:\S+$/m)
    const compact = await run(["status"])
    expect(compact.stdout).to.match(
      /^NAME +TARGET +STATE +DAYS LEFT +NEXT +REMARK\nmac +here +Enabled +89 +rewrap \d{4}-\d\d-\d\d +-$/ms,
    )
    const blind = await stage.run(["status", "--region", "us-east-1", "--endpoint-url", stage.kms.endpoint], {
      state,
      env: { KEYFERRY_TOKEN: "" },
    })
    expect(blind.status, blind.stderr).to.equal(0)
    expect(blind.stdout).to.include("no token is given")
    const elsewhere = join(stage.folder, "no-pin.yaml")
    writeFileSync(elsewhere, manifest({ extra: "" }).replace(/pin-source=[^&"]*/, "pin-source=file:/nonexistent"))
    const refused = await stage.run(["status", "--config", elsewhere], { state })
    expect(refused.stdout)
      .to.include("was not looked at")
      .and.to.match(/mac +here/)
    expect(refused.status).to.equal(77)
  })

  it("warns of a key that the configuration no longer names, and leaves it alone", async () => {
    const kept = manifest({ extra: "" }).replace(/^ {2}sign:.*$/m, "")
    writeFileSync(config, kept.replace("description: first", "description: second"))
    const { keys } = await json(["plan"])
    expect(keys.map(({ name, outcome, reason }) => [name, outcome, reason])).to.deep.equal([
      ["mac", "planned", "DRIFT"],
      ["sign", "nothing", "UNMANAGED"],
    ])
    expect((await json(["apply"])).keys.map(({ outcome }) => outcome)).to.deep.equal(["done", "nothing"])
    writeFileSync(config, manifest({ extra: "" }).replace("description: first", "description: second"))
  })

  it("leaves the keys of another owner alone, whose state directory it is", async () => {
    const others = manifest({ extra: "" }).replace("id: fleet-test", "id: somebody")
    writeFileSync(config, others)
    const before = await stage.footprint(state)
    for (const command of [["plan"], ["apply"], ["rewrap", "--all"], ["rewrap", "mac"]]) {
      const { keys } = await json(command)
      expect(keys.map(({ outcome, reason }) => [outcome, reason])).to.deep.equal(
        keys.map(() => ["blocked", "KEY_CLAIMED"]),
      )
    }
    expect((await run(["plan"])).stdout).to.include("fleet-test")
    expect(await stage.footprint(state)).to.deep.equal(before)
    writeFileSync(config, manifest({ extra: "" }).replace("description: first", "description: second"))
  })

  it("exits with the worst row, and does the others", async () => {
    const { keys } = await json(["status"])
    const mac = keys.find(({ name }) => name === "mac")
    await stage.sdk.scheduleKeyDeletion({ KeyId: mac?.keyArn ?? "", PendingWindowInDays: 7 })
    const applied = await json(["apply"])
    expect(applied.keys.map(({ name, outcome, reason }) => [name, outcome, reason])).to.deep.equal([
      ["mac", "blocked", "PENDING_DELETION"],
      ["sign", "nothing", "NEVER_EXPIRES"],
    ])
    expect(applied.status).to.equal(65)
    // work is work, whatever else is blocked; without any, what is blocked counts
    expect((await run(["plan", "--detailed-exitcode"])).status).to.equal(65)
    writeFileSync(config, manifest({ extra: "  new: { keySpec: HMAC_256, targets: [here] }" }))
    expect((await run(["plan", "--detailed-exitcode"])).status).to.equal(2)
    expect((await run(["plan"])).status).to.equal(65)
    writeFileSync(config, manifest({ extra: "" }))
    expect((await run(["status"])).status).to.equal(0)
    expect((await run(["rewrap", "mac"])).stdout).to.include("hint: aws kms cancel-key-deletion")
  })

  const refusals: readonly (readonly [args: readonly string[], code: string, status: number])[] = [
    [["plan", "--only", "destroy"], "ERR_USAGE", 64],
    [["rewrap", "--all", "--due"], "ERR_USAGE", 64],
    [["rewrap", "--all", "mac"], "ERR_USAGE", 64],
    [["rewrap", "--", "mac"], "ERR_USAGE", 64],
    [["rewrap", "no/name"], "ERR_USAGE", 64],
    [["rewrap", "mac", "--expires-in", "400d"], "ERR_EXPIRY_INVALID", 64],
    [["rewrap", "unknown"], "ERR_KEY_NOT_FOUND", 65],
    [["status", "unknown"], "ERR_KEY_NOT_FOUND", 65],
  ]
  for (const [args, code, status] of refusals) {
    it(`refuses ${args.join(" ")}`, async () => {
      const result = await run([...args, "--json"])
      expect([result.status, result.stdout]).to.deep.equal([status, ""])
      expect(result.error()).to.include({ code })
    })
  }
})
