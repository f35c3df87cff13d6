import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect } from "chai"
import type { KeyRow, RowSummary } from "#src/core/plan/row.js"
import { provisionArgs } from "../support/refusal.js"
import { setStage, type Stage } from "../support/stage.js"

/** What scripts rely on, whatever the command (docs/json.md). */
const ROW_FIELDS = ["name", "target", "keyArn", "replaced", "outcome", "reason", "message", "hint", "causes", "exit"]
const SUMMARY_FIELDS = ["keys", "done", "nothing", "planned", "blocked", "failed"]

describe("the JSON of commands over many keys", () => {
  let stage: Stage
  let state: string
  before(async () => {
    stage = await setStage()
    await stage.kms.rotationSeconds(0)
    state = stage.state()
    for (const name of ["aes", "twin"]) {
      const settings = { name, "key-spec": "SYMMETRIC_DEFAULT", custody: "token", "wrapping-key-spec": "RSA_2048" }
      const made = await stage.run(provisionArgs(settings), { state })
      expect(made.status, made.stderr).to.equal(0)
    }
    expect((await stage.run(["replace", "twin"], { state })).status).to.equal(0)
  })
  after(() => stage[Symbol.asyncDispose]())

  const commands: readonly (readonly string[])[] = [
    ["plan"],
    ["apply"],
    ["rewrap", "aes"],
    ["status"],
    ["verify"],
    ["rotate", "aes", "twin"],
    ["key", "reseal", "--all"],
    ["status", "--rebuild"],
    ["retire", "twin", "--disable-only", "--yes"],
    ["disable", "aes", "--yes"],
    ["enable", "aes"],
    ["delete-material", "aes", "--yes"],
    ["schedule-deletion", "aes", "--yes"],
  ]
  for (const words of commands) {
    it(`has the same fields in the rows and the summary of ${words.join(" ")}`, async () => {
      const ended = await stage.run([...words, "--json"], { state })
      expect(ended.status, ended.stderr).to.equal(0)
      const { schemaVersion, keys, summary } = ended.json() as {
        readonly schemaVersion: number
        readonly keys: readonly KeyRow[]
        readonly summary: RowSummary
      }
      expect(schemaVersion).to.equal(1)
      expect(keys).to.not.have.length(0)
      for (const row of keys) {
        expect(row).to.include.all.keys(ROW_FIELDS)
        expect(row.reason).to.match(/^[A-Z][A-Z_0-9]+$/)
        expect(row.exit).to.equal("OK")
      }
      const more = words[0] === "plan" ? ["cost", "quotas"] : []
      expect(Object.keys(summary)).to.deep.equal([...SUMMARY_FIELDS, ...more])
      expect(summary.keys).to.equal(keys.length)
      for (const outcome of ["done", "nothing", "planned", "blocked", "failed"] as const) {
        expect(summary[outcome], outcome).to.equal(keys.filter((row) => row.outcome === outcome).length)
      }
    })
  }

  it("goes on with the others where one key fails, and exits as the worst row", async () => {
    const config = join(stage.folder, "two-places.yaml")
    writeFileSync(
      config,
      `version: 1
tokens: { only: { uri: ${JSON.stringify(stage.token.uri)} } }
targets: { us-east-1: { region: us-east-1, endpoint: ${JSON.stringify(stage.kms.endpoint)} } }
defaults: { token: only, custody: token, wrappingKeySpec: RSA_2048, expiresIn: 90d }
keys:
  mac: { keySpec: HMAC_256, targets: [us-east-1] }
  other: { keySpec: HMAC_256, targets: [us-east-1], alias: alias/other }
`,
    )
    await stage.kms.fault({ kind: "access-denied", operation: "CreateKey", count: 1, skip: 0 })
    const ended = await stage.run(["apply", "--config", config, "--json"], { state: stage.state() })
    const { keys, summary } = ended.json() as { readonly keys: readonly KeyRow[]; readonly summary: RowSummary }
    expect(ended.status).to.equal(77)
    expect([summary.done, summary.failed]).to.deep.equal([1, 1])
    const failed = keys.find(({ outcome }) => outcome === "failed")
    expect(failed).to.include({ reason: "ERR_KMS_ACCESS_DENIED", exit: "NOPERM" })
    expect(failed?.causes).to.not.have.length(0)
  })
})
