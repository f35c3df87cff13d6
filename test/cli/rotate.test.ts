import { expect } from "chai"
import type { KeyResult } from "#src/core/records/key-result.js"
import { provisionArgs } from "../support/refusal.js"
import { setStage, type Stage } from "../support/stage.js"

describe("rotate on the command line", () => {
  let stage: Stage
  let state: string
  before(async () => {
    stage = await setStage()
    state = stage.state()
    await stage.kms.rotationSeconds(1)
    for (const name of ["payments", "ledger"]) await run(...provisionArgs({ name }))
    await run(...provisionArgs({ name: "mac", "key-spec": "HMAC_256" }))
  })
  after(() => stage[Symbol.asyncDispose]())
  const run = (...args: readonly string[]) => stage.run(args, { state })

  it("gives one key's result, as text and as JSON", async () => {
    const first = await run("rotate", "payments", "--json", "--expires-in", "20d")
    expect(first.status, first.stderr).to.equal(0)
    const result = first.json() as KeyResult
    expect(result).to.include({ outcome: "done", name: "payments", generation: 1 })
    expect(result.sourceKey.label).to.equal("keyferry/keyferry/payments/1")
    const second = await run("rotate", "payments")
    expect(second.stdout).to.match(/^custody +token, generation 2$/m)
    expect(second.stderr).to.include("KMS has rotated to key material")
  })

  it("gives a row each of several, goes on after a failure, and ends as the worst", async () => {
    const both = await run("rotate", "mac", "ledger", "nobody", "--json")
    expect(both.status, both.stderr).to.equal(65)
    const { keys, summary } = both.json() as { keys: readonly Record<string, unknown>[]; summary: object }
    expect(keys.map(({ name, outcome, reason }) => [name, outcome, reason])).to.deep.equal([
      ["mac", "failed", "ERR_ROTATION_UNSUPPORTED"],
      ["ledger", "done", "ROTATED"],
      ["nobody", "failed", "ERR_KEY_NOT_FOUND"],
    ])
    expect(summary).to.deep.equal({ keys: 3, done: 1, nothing: 0, planned: 0, blocked: 0, failed: 2 })
    const { stdout } = await run("rotate", "mac", "nobody")
    expect(stdout).to.match(/^mac +us-east-1 +failed .*ERR_ROTATION_UNSUPPORTED/m)
  })

  it("is refused with a hint", async () => {
    const unsupported = await run("rotate", "mac", "--json")
    expect([unsupported.status, unsupported.error().code]).to.deep.equal([65, "ERR_ROTATION_UNSUPPORTED"])
    expect(unsupported.error().hint).to.include("keyferry replace")
    const nameless = await run("rotate", "--json")
    expect([nameless.status, nameless.error().code]).to.deep.equal([64, "ERR_USAGE"])
    const unknown = await run("rotate", "nobody", "--json")
    expect([unknown.status, unknown.error().code]).to.deep.equal([65, "ERR_KEY_NOT_FOUND"])
  })

  it("replaces a key, and retires what it replaced once that is confirmed", async () => {
    const old = (await run(...provisionArgs({ name: "signer", alias: "alias/signer" }), "--json")).json() as KeyResult
    const replaced = await run("replace", "signer")
    expect(replaced.status, replaced.stderr).to.equal(0)
    expect(replaced.stdout).to.match(new RegExp(`^replaced +${old.keyArn}$`, "m"))
    expect(replaced.stderr).to.include("alias alias/signer moved").and.to.include("keyferry retire signer")
    const unsaid = await run("retire", "signer", "--json")
    expect([unsaid.status, unsaid.error().code]).to.deep.equal([64, "ERR_CONFIRMATION_MISSING"])
    expect(unsaid.error().message).to.include(old.keyArn).and.to.include("nothing that was encrypted under it")
    expect((await run("retire", "signer", "--pending-window-days", "5", "--yes")).status).to.equal(64)
    const retired = await run("retire", "signer", "--pending-window-days", "7", "--yes", "--json")
    expect(retired.status, retired.stderr).to.equal(0)
    expect(retired.json()).to.deep.nested.include({
      "keys[0].keyArn": old.keyArn,
      "keys[0].keyState": "PendingDeletion",
    })
    const nothing = await run("retire", "signer", "--json")
    expect([nothing.status, (nothing.json() as { keys: unknown[] }).keys]).to.deep.equal([0, []])
  })

  it("replaces a locked key once that is understood", async () => {
    const once = ["--expires-in", "never", "--accept-no-reimport"]
    const args = provisionArgs({ name: "door", "key-spec": "HMAC_256", custody: "locked" })
    expect((await run(...args, ...once)).status).to.equal(0)
    const unsaid = await run("replace", "door", "--json")
    expect([unsaid.status, unsaid.error().code]).to.deep.equal([78, "ERR_NOT_ACKNOWLEDGED"])
    const replaced = await run("replace", "door", "--accept-no-reimport", "--local-use", "--json")
    expect(replaced.status, replaced.stderr).to.equal(0)
    const { custody, sourceKey } = replaced.json() as KeyResult
    expect([custody, sourceKey.attributes?.extractable, sourceKey.attributes?.verify]).to.deep.equal([
      "locked",
      false,
      true,
    ])
  })

  it("refuses replicas of a key that is not multi-Region, and Regions that are none", async () => {
    const args = provisionArgs({ name: "regions" })
    const single = await run(...args, "--replica", "eu-west-3", "--json")
    expect([single.status, single.error().code]).to.deep.equal([64, "ERR_USAGE"])
    const none = await run(...args, "--multi-region", "--replica", "nowhere", "--json")
    expect(none.error().message).to.include("'nowhere' is not the name of an AWS Region")
    const own = await run(...args, "--multi-region", "--replica", "us-east-1", "--json")
    expect([own.status, own.error().code]).to.deep.equal([65, "ERR_REPLICA_REFUSED"])
  })

  it("leaves `provision` nothing to do", async () => {
    const again = (await run(...provisionArgs({ name: "payments" }), "--json")).json() as KeyResult
    expect(again).to.include({ outcome: "nothing", generation: 2 })
  })
})
