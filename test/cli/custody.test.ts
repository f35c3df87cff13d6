import { execFileSync } from "node:child_process"
import { readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect } from "chai"
import type { Check } from "#src/app/doctor/check.js"
import type { Resealed } from "#src/app/custody/reseal.js"
import type { RowSummary } from "#src/core/plan/row.js"
import type { Status } from "#src/app/fleet/status.js"
import type { KeyResult } from "#src/core/records/key-result.js"
import { verifyChain } from "#src/core/records/custody-chain.js"
import { provisionArgs } from "../support/refusal.js"
import { filesUnder, setStage, type Stage, tokenObjects } from "../support/stage.js"

describe("sealed custody over its life", () => {
  let stage: Stage
  let state: string
  const made = new Map<string, KeyResult>()

  before(async () => {
    stage = await setStage()
    state = stage.state()
    for (const name of ["a", "b"]) {
      const args = provisionArgs({
        name,
        "key-spec": "SYMMETRIC_DEFAULT",
        "wrapping-key-spec": "RSA_2048",
        custody: "sealed",
      })
      const result = await stage.run([...args, "--json"], { state })
      expect(result.status, result.stderr).to.equal(0)
      made.set(name, result.json() as KeyResult)
    }
  })
  after(() => stage[Symbol.asyncDispose]())

  const doctor = async (more: readonly string[] = []) => {
    const result = await stage.run(["doctor", ...more, "--json"], { state })
    const { checks } = result.json() as { checks: Check[] }
    const of = (id: string) => checks.filter((check) => check.id === id)
    return { status: result.status, of, bad: checks.filter(({ status }) => status === "fail") }
  }
  const vaultFile = (name: string): string => {
    const [file] = filesUnder(join(state, "vault", "keyferry", name))
    return join(state, "vault", "keyferry", name, file ?? "")
  }
  const pkcs11 = (...args: readonly string[]): string => {
    const { module, label, pin, env } = stage.token
    const login = ["--module", module, "--token-label", label, "--login", "--pin", "env:USER_PIN"]
    return execFileSync("pkcs11-tool", [...login, ...args], {
      env: { ...process.env, ...env, USER_PIN: pin },
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
    })
  }
  const custodyKeyId = (): string =>
    /label:\s+keyferry\/custody\S+\s+ID:\s+([0-9a-f]+)/.exec(pkcs11("--list-objects", "--type", "secrkey"))?.[1] ?? ""

  it("doctor warns until a backup is confirmed, and shows its date from then on", async () => {
    const before = await doctor()
    expect(before.status).to.equal(0)
    const [warning] = before.of("custody-key").filter(({ status }) => status === "warn")
    expect(warning?.hint).to.include("key backup-confirmed")
    expect(
      before.of("custody-key").some(({ status, message }) => status === "ok" && message.includes("canary")),
    ).to.equal(true)
    const confirmed = await stage.run(["key", "backup-confirmed", "--note", "safe 2", "--json"], { state })
    expect(confirmed.status, confirmed.stderr).to.equal(0)
    const { backupConfirmedAt, id } = confirmed.json() as { backupConfirmedAt: string; id: string }
    expect(id).to.equal(custodyKeyId())
    const after = await doctor(["--deep"])
    expect(after.of("custody-key").map(({ status }) => status)).to.not.include("warn")
    expect(
      after
        .of("custody-key")
        .map(({ message }) => message)
        .join(),
    ).to.include(backupConfirmedAt)
    expect(
      after
        .of("vault")
        .map(({ message }) => message)
        .join(),
    ).to.include("2 sealed keys opened")
    const again = await stage.run(["key", "backup-confirmed", "--custody-key", "00", "--json"], { state })
    expect(again.error().code).to.equal("ERR_KEY_NOT_FOUND")
  })

  const names = async (name: string): Promise<void> => {
    const { status, bad } = await doctor()
    expect(status).to.equal(65)
    const { keyArn, validTo } = made.get(name)!
    const finding = bad.find(({ message }) => message.includes(keyArn))
    const end = `${keyArn} loses its material on ${validTo ?? ""} and cannot be renewed`
    expect(finding?.message).to.include(end)
    // status sees the same, and without a token too
    for (const env of [{}, { KEYFERRY_TOKEN: "" }]) {
      const looked = await stage.run(["status", "--region", "us-east-1", "--endpoint-url", stage.kms.endpoint], {
        state,
        env,
      })
      expect(looked.status, looked.stderr).to.equal(0)
      expect(looked.stdout)
        .to.include(end)
        .and.to.match(/custody key: a backup of \S+ was confirmed on \d{4}-/)
    }
  }

  it("doctor names the KMS key that dies, and when, of a flipped bit", async () => {
    const whole = readFileSync(vaultFile("a"))
    const text = whole.toString("utf8")
    const at = text.indexOf('"ciphertext": "') + 16
    const flipped = Buffer.from(whole)
    flipped[at] = flipped[at] === 0x41 ? 0x42 : 0x41
    writeFileSync(vaultFile("a"), flipped)
    await names("a")
    writeFileSync(vaultFile("a"), whole)
    expect((await doctor()).status).to.equal(0)
  })

  it("doctor names it of a missing file", async () => {
    const [file, whole] = [vaultFile("b"), readFileSync(vaultFile("b"))]
    rmSync(file)
    await names("b")
    writeFileSync(file, whole, { mode: 0o600 })
    expect((await doctor()).status).to.equal(0)
  })

  it("reseals all keys to a new custody key, and asks for its backup", async () => {
    const result = await stage.run(["key", "reseal", "--all", "--new-custody-key", "--json"], { state })
    expect(result.status, result.stderr).to.equal(0)
    const { keys, summary, custodyKey } = result.json() as Resealed & { summary: RowSummary }
    expect(keys.map(({ name, outcome, reason }) => [name, outcome, reason])).to.deep.equal([
      ["a", "done", "RESEALED"],
      ["b", "done", "RESEALED"],
    ])
    expect([summary.done, custodyKey?.label]).to.deep.equal([2, "keyferry/custody/keyferry/2"])
    const { status, of } = await doctor(["--deep"])
    expect(status).to.equal(0)
    expect(of("custody-key").filter(({ status: one }) => one === "warn")).to.have.length(1)
    const refused = await stage.run(["key", "reseal", "a", "--to", "token", "--json"], { state })
    expect([refused.status, refused.error().code]).to.deep.equal([78, "ERR_CUSTODY_REFUSED"])
    const unasked = await stage.run(["key", "reseal", "--json"], { state })
    expect(unasked.status).to.equal(64)
  })

  it("crypto-erase leaves a copy of the file that nothing opens, and the other keys", async () => {
    const generated = await stage.run(["key", "generate", "--name", "c", "--key-spec", "SYMMETRIC_DEFAULT", "--json"], {
      state,
    })
    expect(generated.status, generated.stderr).to.equal(0)
    const [file, copy] = [vaultFile("c"), readFileSync(vaultFile("c"))]
    const unsaid = await stage.run(["key", "destroy", "--name", "c", "--crypto-erase", "--json"], { state })
    expect(unsaid.error().code).to.equal("ERR_CONFIRMATION_MISSING")
    expect(unsaid.error().message).to.include("other state directories")
    const erased = await stage.run(["key", "destroy", "--name", "c", "--crypto-erase", "--yes", "--json"], { state })
    expect(erased.status, erased.stderr).to.equal(0)
    expect(erased.json()).to.deep.include({ name: "c", destroyed: true, custody: "sealed" })
    expect((await doctor(["--deep"])).status).to.equal(0)
    expect(tokenObjects(stage.token)).to.equal(1)
    writeFileSync(file, copy, { mode: 0o600 })
    const { status, bad } = await doctor()
    expect(status).to.equal(65)
    expect(bad.map(({ message }) => message).join()).to.include("which is not in the token")
    rmSync(file)
  })

  it("adopts a key of the token, and locks one", async () => {
    pkcs11("--keygen", "--key-type", "AES:32", "--label", "legacy", "--id", "0f", "--sensitive", "--extractable")
    const adopt = ["key", "adopt", "--label", "legacy", "--name", "legacy"]
    const unsaid = await stage.run([...adopt, "--json"], { state })
    expect(unsaid.error().code).to.equal("ERR_CONFIRMATION_MISSING")
    const adopted = await stage.run([...adopt, "--yes", "--json"], { state })
    expect(adopted.status, adopted.stderr).to.equal(0)
    expect(adopted.json()).to.deep.include({ outcome: "done", origin: "adopted", custody: "sealed", id: "0f" })
    const text = await stage.run(["key", "show", "--name", "legacy"], { state })
    expect(text.stdout).to.include("sealed")

    const generate = [
      "key",
      "generate",
      "--name",
      "l",
      "--key-spec",
      "SYMMETRIC_DEFAULT",
      "--custody",
      "locked",
      "--accept-no-reimport",
    ]
    const generated = await stage.run([...generate, "--json"], { state })
    expect(generated.status, generated.stderr).to.equal(0)
    const early = await stage.run(["key", "lock", "--name", "l", "--json"], { state })
    expect(early.error().code).to.equal("ERR_CONFIRMATION_MISSING")
    const locked = await stage.run(["key", "lock", "--name", "l", "--accept-no-reimport", "--json"], { state })
    expect(locked.status, locked.stderr).to.equal(0)
    const { key } = locked.json() as { key: { attributes: { extractable: boolean } } }
    expect(key.attributes.extractable).to.equal(false)
  })

  it("tells a wrong custody key and a lost one, with every KMS key that dies of it", async () => {
    const id = custodyKeyId()
    pkcs11("--delete-object", "--type", "secrkey", "--id", id)
    const lost = await doctor()
    expect(lost.status).to.equal(65)
    for (const { keyArn, validTo } of made.values()) {
      expect(lost.bad.map(({ message }) => message).join()).to.include(
        `${keyArn} loses its material on ${validTo ?? ""}`,
      )
    }
    const faults = async () => {
      const args = ["status", "--region", "us-east-1", "--endpoint-url", stage.kms.endpoint, "--json"]
      const { vault } = (await stage.run(args, { state })).json() as Status
      return [...new Set(vault.findings.map(({ fault }) => fault))]
    }
    expect(await faults()).to.include("custody-key-missing")
    const label = "keyferry/custody/keyferry/3"
    pkcs11("--keygen", "--key-type", "AES:32", "--label", label, "--id", id, "--sensitive", "--usage-wrap")
    const wrong = await doctor()
    expect(wrong.status).to.equal(65)
    expect(wrong.bad.map(({ message }) => message).join()).to.match(/check value|unseal/)
    expect(await faults()).to.include("custody-key-differs")
    const again = await stage.run(["key", "reseal", "--all", "--new-custody-key", "--json"], { state })
    expect(again.status).to.equal(65)
  })

  it("has written all of it to an unbroken custody log", () => {
    const lines = readFileSync(join(state, "custody.log.jsonl"), "utf8").trimEnd().split("\n")
    expect(verifyChain(lines)).to.have.property("end")
    const events = lines.map((line) => (JSON.parse(line) as { event: string }).event)
    expect(events).to.include.members([
      ...["custody-key.generated", "custody-key.backup-confirmed", "custody-key.destroyed"],
      ...["source.sealed", "source.resealed", "source.adopted", "source.destroyed", "source.locked"],
    ])
  })
})
