import { execFileSync } from "node:child_process"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect } from "chai"
import type { EndRow } from "#src/app/ending/plan.js"
import type { InventoryEntry } from "#src/core/records/inventory.js"
import type { KeyResult } from "#src/core/records/key-result.js"
import { provisionArgs } from "../support/refusal.js"
import { filesUnder, setStage, type Stage } from "../support/stage.js"
import { readJson } from "../support/three-steps-stage.js"

const NO_TOKEN = { KEYFERRY_TOKEN: undefined }
const DAY = 24 * 3600 * 1000

describe("the ends of a KMS key's life", () => {
  let stage: Stage
  let state: string
  before(async () => {
    stage = await setStage()
    state = stage.state()
  })
  after(() => stage[Symbol.asyncDispose]())

  const provision = async (name: string, more: Readonly<Record<string, string | true>> = {}): Promise<KeyResult> => {
    const wanted = { name, "key-spec": "SYMMETRIC_DEFAULT", custody: "token", "wrapping-key-spec": "RSA_2048", ...more }
    const result = await stage.run([...provisionArgs(wanted), "--json"], { state })
    expect(result.status, result.stderr).to.equal(0)
    return result.json() as KeyResult
  }
  const end = async (
    words: readonly string[],
    env: Readonly<Record<string, string | undefined>> = {},
  ): Promise<{ row: EndRow; stderr: string }> => {
    const result = await stage.run([...words, "--json"], { state, env })
    expect(result.status, result.stderr).to.equal(0)
    const { keys } = result.json() as { keys: EndRow[] }
    expect(keys).to.have.length(1)
    return { row: keys[0]!, stderr: result.stderr }
  }
  const refused = async (words: readonly string[], env: Readonly<Record<string, string | undefined>> = {}) => {
    await stage.kms.clearCounts()
    const result = await stage.run([...words, "--json"], { state, env })
    expect(result.stdout).to.equal("")
    const { requests } = await stage.kms.counts()
    expect(Object.keys(requests).filter((name) => /^(Enable|Disable|Delete|Schedule)/.test(name))).to.deep.equal([])
    return { status: result.status, ...result.error() }
  }
  const login = (): string[] => {
    const { module, label } = stage.token
    return ["--module", module, "--token-label", label, "--login", "--pin", "env:USER_PIN"]
  }
  const pinEnvironment = () => ({ ...process.env, ...stage.token.env, USER_PIN: stage.token.pin })
  const stateOf = async (KeyId: string) => (await stage.sdk.describeKey({ KeyId })).KeyMetadata?.KeyState
  const events = (): { event: string; keyArn?: string; facts?: Record<string, unknown> }[] =>
    readFileSync(join(state, "custody.log.jsonl"), "utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { event: string })

  it("disables and enables, each twice, and says before what stops working", async () => {
    const { keyArn } = await provision("switched", { alias: "alias/switched" })
    const missing = await refused(["disable", "switched"], NO_TOKEN)
    expect(missing).to.include({ status: 64, code: "ERR_CONFIRMATION_MISSING" })
    expect(missing.message).to.include(keyArn).and.include("alias/switched").and.include("keyferry enable switched")
    const { row, stderr } = await end(["disable", "switched", "--yes"], NO_TOKEN)
    expect(row).to.include({ outcome: "done", reason: "DISABLED", keyArn, keyState: "Disabled", target: "us-east-1" })
    expect(stderr).to.include("nothing that was encrypted under it can be decrypted")
    expect((await end(["disable", "switched"], NO_TOKEN)).row.outcome, "again, without --yes").to.equal("nothing")
    expect((await end(["enable", "switched"], NO_TOKEN)).row).to.include({ outcome: "done", keyState: "Enabled" })
    expect((await end(["enable", "switched"], NO_TOKEN)).row.outcome).to.equal("nothing")
    const told = events().filter(
      (event) => event.keyArn === keyArn && /kms-key\.(ending|disabled|enabled)/.test(event.event),
    )
    expect(told.map(({ event }) => event)).to.deep.equal([
      "kms-key.ending",
      "kms-key.disabled",
      "kms-key.ending",
      "kms-key.enabled",
    ])
  })

  it("deletes key material that the token still has, and keeps it away until it is asked for", async () => {
    const { keyArn, keyMaterialId } = await provision("withheld")
    const words = ["delete-material", "withheld", "--yes"]
    const { row, stderr } = await end(words)
    expect(row).to.include({ outcome: "done", reason: "MATERIAL_DELETED", keyState: "PendingImport" })
    expect(stderr).to.include("keyferry recover withheld --yes")
    expect(events().at(-1)).to.deep.include({ event: "material.deleted", keyArn })
    expect(events().at(-1)?.facts).to.deep.include({ keyMaterialIds: [keyMaterialId] })
    const entry = readJson(join(state, "inventory", "us-east-1", "withheld.json")) as unknown as InventoryEntry
    expect(entry.withheldAt).to.be.a("string")
    expect((await end(words)).row.outcome).to.equal("nothing")
  })

  it("says when a key was last used and for what, and takes away one that was used lately only when told twice", async () => {
    const { keyArn } = await provision("busy")
    const unused = await stage.run(["status", "busy", "--usage"], { state })
    expect(unused.stdout)
      .to.match(/LAST USED/)
      .and.match(/not since \d{4}-\d\d-\d\d/)
    await stage.sdk.encrypt({ KeyId: keyArn, Plaintext: Buffer.from("x") })
    const used = await stage.run(["status", "busy", "--usage", "--json"], { state })
    const { keys } = used.json() as { keys: { usage?: { lastUsedAt: string; operation: string }[] }[] }
    expect(keys[0]?.usage?.[0]).to.include({ operation: "Encrypt" })
    expect(keys[0]?.usage?.[0]?.lastUsedAt).to.match(/Z$/)
    await provision("beside")
    await stage.kms.fault({ kind: "access-denied", operation: "GetKeyLastUsage", count: 1 })
    const partly = await stage.run(["status", "busy", "beside", "--usage", "--json"], { state })
    expect(partly.status).to.equal(77)
    const { keys: rows } = partly.json() as { keys: { usage: { failure: { code: string } | null }[] }[] }
    expect(rows.map(({ usage }) => usage[0]?.failure?.code ?? null)).to.have.members(["ERR_KMS_ACCESS_DENIED", null])
    await stage.kms.fault({ kind: "access-denied", operation: "GetKeyLastUsage", count: 1 })
    const words = (await stage.run(["status", "busy", "--usage"], { state })).stdout
    expect(words).to.match(/busy: when it was last used in us-east-1 is not known/)
    expect(words).to.include("allow kms:GetKeyLastUsage")
    for (const words of [
      ["delete-material", "busy"],
      ["schedule-deletion", "busy"],
    ]) {
      const error = await refused([...words, "--yes"])
      expect(error).to.include({ status: 65, code: "ERR_KEY_USED" })
      expect(error.message).to.include("by Encrypt, less than 30d ago")
    }
    expect((await refused(["delete-material", "busy", "--yes", "--idle-for", "soon"])).code).to.equal("ERR_USAGE")
    const { row, stderr } = await end(["delete-material", "busy", "--yes", "--although-used"])
    expect(row.outcome).to.equal("done")
    expect(stderr).to.include("last used on").and.include("by Encrypt")
  })

  it("deletes the last copy only when told twice", async () => {
    const { keyArn } = await provision("last", {
      custody: "session",
      "expires-in": "never",
      "accept-no-reimport": true,
    })
    for (const ending of ["delete-material", "schedule-deletion"]) {
      const error = await refused([ending, "last", "--yes"])
      expect(error).to.include({ status: 65, code: "ERR_LAST_COPY" })
      expect(error.message).to.include("custody session")
    }
    const { row } = await end(["delete-material", "last", "--yes", "--lose-last-copy"])
    expect(row.outcome).to.equal("done")
    expect(await stateOf(keyArn)).to.equal("PendingImport")
    expect(events().at(-1)?.facts?.["lastCopy"]).to.include("custody session")
  })

  it("takes a source key for lost that it cannot look at, or that is gone", async () => {
    const { sourceKey } = await provision("gone")
    expect((await refused(["delete-material", "gone", "--yes"], NO_TOKEN)).message).to.include("no token is given")
    const gone = [...login(), "--delete-object", "--type", "secrkey", "--id", sourceKey.id]
    execFileSync("pkcs11-tool", gone, { env: pinEnvironment(), stdio: "pipe" })
    expect((await refused(["delete-material", "gone", "--yes"])).message).to.include("is gone")
  })

  it("takes sealed material for lost whose file is damaged, or whose custody key is gone", async () => {
    const provisioned = ["provision", "--name", "sealed", "--key-spec", "SYMMETRIC_DEFAULT", "--json"]
    const made = await stage.run(provisioned, { state })
    expect(made.status, made.stderr).to.equal(0)
    const { sourceKey } = made.json() as KeyResult
    const file = filesUnder(join(state, "vault")).find((path) => path.includes(sourceKey.id)) ?? expect.fail("no file")
    const path = join(state, "vault", file)
    const whole = readFileSync(path)
    writeFileSync(
      path,
      whole.toString().replace(/"ciphertext": ?"./, (text) => text.slice(0, -1) + "!"),
    )
    const damaged = await refused(["delete-material", "sealed", "--yes"])
    expect(damaged).to.include({ code: "ERR_LAST_COPY" })
    expect(damaged.message).to.include("is damaged")
    writeFileSync(path, whole)
    const { custodyKey } = JSON.parse(whole.toString()) as { custodyKey: { id: string } }
    const withoutKey = [...login(), "--delete-object", "--type", "secrkey", "--id", custodyKey.id]
    execFileSync("pkcs11-tool", withoutKey, { env: pinEnvironment(), stdio: "pipe" })
    expect((await refused(["delete-material", "sealed", "--yes"])).message).to.include("custody key")
  })

  it("schedules a deletion, says from when, and takes a lost answer for what it is", async () => {
    const { keyArn } = await provision("doomed")
    await stage.kms.fault({ kind: "drop-after", operation: "ScheduleKeyDeletion", count: 1, skip: 0 })
    const { row, stderr } = await end(["schedule-deletion", "doomed", "--pending-window-days", "7", "--yes"])
    await stage.kms.clearFaults()
    expect(row).to.include({ outcome: "done", reason: "DELETION_SCHEDULED", keyState: "PendingDeletion" })
    expect(Math.round((Date.parse(row.deletionDate ?? "") - Date.now()) / DAY)).to.equal(7)
    expect(stderr).to.include(row.deletionDate?.slice(0, 10)).and.include("cancel-key-deletion")
    expect((await end(["schedule-deletion", "doomed"])).row).to.include({ outcome: "nothing", keyArn })
    const disabled = await refused(["disable", "doomed", "--yes"], NO_TOKEN)
    expect(disabled).to.include({ status: 65, code: "ERR_KMS_KEY_STATE" })
  })

  const usage: [name: string, words: readonly string[], message: string][] = [
    ["no name", ["disable"], "missing"],
    ["two names", ["disable", "a", "b"], "2 are given"],
    ["a window of 31 days", ["schedule-deletion", "a", "--pending-window-days", "31"], "7 to 30"],
    ["a generation that is no number", ["delete-material", "a", "--generation", "x"], "is no number"],
  ]
  for (const [name, words, message] of usage) {
    it(`refuses ${name}`, async () => {
      const error = await refused(words)
      expect(error).to.include({ status: 64, code: "ERR_USAGE" })
      expect(error.message).to.include(message)
    })
  }

  it("refuses a name that is not there, and one that is in another target", async () => {
    expect(await refused(["disable", "nobody", "--yes"])).to.include({ status: 65, code: "ERR_KEY_NOT_FOUND" })
    const elsewhere = await refused(["disable", "switched", "--target", "eu", "--yes"])
    expect(elsewhere.hint).to.include("us-east-1")
  })
})
