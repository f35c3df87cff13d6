import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { expect } from "chai"
import type { KeyResult } from "#src/core/records/key-result.js"
import { keyferry } from "#test/support/cli.js"
import { type LocalKmsProcess, startLocalKms } from "#test/support/local-kms.js"
import { softhsmToken, type TestToken } from "#test/support/tokens.js"

describe("provision again, with other flags or later", () => {
  const state = mkdtempSync(join(tmpdir(), "keyferry-again-"))
  let kms: LocalKmsProcess
  let token: TestToken
  before(async () => {
    kms = await startLocalKms()
    token = softhsmToken()
  })
  after(async () => {
    await kms.stop()
    token.remove()
    rmSync(state, { recursive: true, force: true })
  })

  const provision = (name: string, ...flags: string[]) =>
    keyferry(
      ["provision", "--name", name, "--key-spec", "SYMMETRIC_DEFAULT", "--custody", "token", "--json", ...flags],
      {
        env: { ...kms.env, ...token.env, KEYFERRY_TOKEN: token.uri, KEYFERRY_STATE_DIR: state },
      },
    )

  it("imports the same material again once it has expired, pinned to what the key is bound to", async () => {
    const first = (await provision("expired", "--expires-in", "6s")).json() as KeyResult
    const left = new Date(first.validTo ?? 0).getTime() - Date.now()
    await new Promise((resolve) => setTimeout(resolve, left + 500))
    const run = await provision("expired")
    const second = run.json() as KeyResult
    expect(second).to.deep.include({ outcome: "done", keyArn: first.keyArn, keyMaterialId: first.keyMaterialId })
    expect(second.sourceKey.id).to.equal(first.sourceKey.id)
    expect(second.proof).to.deep.equal({ kind: "key-material-id", result: "proven" })
  })

  it("refuses another --key-id under a name that stands for a key", async () => {
    await provision("bound")
    const other = (await provision("other")).json() as KeyResult
    const run = await provision("bound", "--key-id", other.keyArn)
    expect([run.status, run.error().code]).to.deep.equal([65, "ERR_NAME_TAKEN"])
    expect((await provision("bound", "--key-id", "alias/nope")).error().code).to.equal("ERR_KMS_KEY_NOT_FOUND")
  })

  it("names the flags that change nothing any more", async () => {
    await provision("done")
    const run = await provision("done", "--expires-in", "never", "--wrapping-key-spec", "RSA_2048")
    expect((run.json() as KeyResult).outcome).to.equal("nothing")
    expect(run.stderr).to.contain("--expires-in never").and.to.contain("--wrapping-key-spec RSA_2048")
  })

  it("refuses what can only be said of a key that is made", async () => {
    const made = (await provision("made")).json() as KeyResult
    const run = await provision("adopting", "--key-id", made.keyArn, "--description", "mine")
    expect([run.status, run.error().code]).to.deep.equal([64, "ERR_USAGE"])
  })

  it("asks KMS for an alias no more once it was given", async () => {
    await provision("aliased", "--alias", "alias/aliased")
    await kms.clearCounts()
    expect(((await provision("aliased", "--alias", "alias/aliased")).json() as KeyResult).outcome).to.equal("nothing")
    expect((await kms.counts()).requests, "the KMS key itself alone").to.deep.equal({ DescribeKey: 1 })
  })
})
