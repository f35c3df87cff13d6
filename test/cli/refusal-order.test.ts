import { execFileSync } from "node:child_process"
import { appendFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect } from "chai"
import { kmsClient, type LocalKmsProcess, startLocalKms } from "#test/support/local-kms.js"
import { provisionArgs, type Refusal, refused } from "#test/support/refusal.js"
import { setStage, type Stage } from "#test/support/stage.js"

describe("what can be known before a KMS key is made is refused before (invariant I4)", () => {
  let stage: Stage
  let china: LocalKmsProcess
  before(async () => {
    stage = await setStage()
    china = await startLocalKms({ regions: ["cn-north-1"] })
  })
  after(async () => {
    await china.stop()
    await stage[Symbol.asyncDispose]()
  })

  const noSecrets = (name: string) => provisionArgs({ name, "key-spec": "HMAC_256" })

  const pkcs11 = (...args: readonly string[]): string => {
    const { module, label, pin, env } = stage.token
    const login = ["--module", module, "--token-label", label, "--login", "--pin", "env:USER_PIN", "--type", "secrkey"]
    return execFileSync("pkcs11-tool", [...login, ...args], {
      env: { ...process.env, ...env, USER_PIN: pin },
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
    })
  }
  /** The CKA_ID that it had. */
  const deleteCustodyKey = (owner: string): string => {
    const custodyKey = new RegExp(`label:\\s+keyferry/custody/${owner}/\\S+\\s+ID:\\s+([0-9a-f]+)`)
    const id = custodyKey.exec(pkcs11("--list-objects"))?.[1] ?? ""
    pkcs11("--delete-object", "--id", id)
    return id
  }

  it("a custody log that was damaged, by every command that would write there", async () => {
    const state = stage.state()
    const first = await stage.run([...noSecrets("logged"), "--json"], { state })
    expect(first.status, first.stderr).to.equal(0)
    appendFileSync(join(state, "custody.log.jsonl"), '{"seq":99,"event":"nothing of ours"}\n')
    const damaged: Refusal = { code: "ERR_STATE_INVALID", exit: 65, tells: /custody\.log\.jsonl/ }
    await refused(stage, noSecrets("second"), damaged, { state })
    await refused(stage, ["rewrap", "logged"], damaged, { state })
    const out = join(stage.folder, "damaged.json")
    await refused(stage, ["params", "--name", "third", "--key-spec", "HMAC_256", "--out", out], damaged, { state })
  })

  it("a custody key that is lost, or another in its place", async () => {
    const state = stage.state()
    const sealed = (name: string) => provisionArgs({ name, custody: "sealed" })
    const first = await stage.run([...sealed("sealed-1"), "--json"], { state })
    expect(first.status, first.stderr).to.equal(0)
    const id = deleteCustodyKey("keyferry")
    const lost: Refusal = { code: "ERR_CUSTODY_KEY_MISSING", exit: 65, tells: /no longer/ }
    await refused(stage, sealed("sealed-2"), lost, { state })
    await refused(stage, ["replace", "sealed-1"], lost, { state })
    const params = ["params", "--name", "sealed-3", "--key-spec", "SYMMETRIC_DEFAULT", "--custody", "sealed"]
    await refused(stage, [...params, "--out", join(stage.folder, "sealed-3.json")], lost, { state })
    const wrong = ["--key-type", "AES:32", "--label", "keyferry/custody/keyferry/1", "--id", id]
    pkcs11("--keygen", ...wrong, "--sensitive", "--usage-wrap")
    await refused(stage, sealed("sealed-2"), { ...lost, tells: /another/ }, { state })
  })

  it("a custody key that is lost, before key material that is sealed under it is imported again", async () => {
    const state = stage.state()
    const config = join(stage.folder, "lost-custody.yaml")
    const write = (expiresIn: string, renewBefore: string): void => {
      const { token, kms } = stage
      const settings = { token: "only", custody: "sealed", targets: ["here"], expiresIn, renewBefore }
      const keys = {
        lost: { keySpec: "SYMMETRIC_DEFAULT" },
        deleted: { keySpec: "SYMMETRIC_DEFAULT" },
        mac: { keySpec: "HMAC_256" },
      }
      const tokens = { only: { uri: token.uri } }
      const targets = { here: { region: "us-east-1", endpoint: kms.endpoint } }
      const manifest = { version: 1, id: "lost-custody", tokens, targets, defaults: settings, keys }
      writeFileSync(config, JSON.stringify(manifest))
    }
    write("20d", "5d")
    const made = await stage.run(["apply", "--config", config, "--json"], { state })
    expect(made.status, made.stderr).to.equal(0)
    const rows = (made.json() as { keys: readonly { name: string; keyArn: string }[] }).keys
    const KeyId = rows.find(({ name }) => name === "deleted")?.keyArn ?? ""
    deleteCustodyKey("lost-custody")
    await stage.sdk.deleteImportedKeyMaterial({ KeyId })
    // other material ends are asked for, so that all is due
    write("never", "5d")
    const before = await stage.footprint(state)
    for (const command of [
      ["rewrap", "--all"],
      ["rewrap", "lost"],
      ["rewrap", "mac"],
      ["verify", "lost", "--full"],
      ["recover", "deleted", "--yes"],
      ["apply", "--yes"],
      ["rotate", "lost"],
    ]) {
      const refusal = await stage.run([...command, "--config", config, "--json"], { state })
      const told = refusal.stdout + refusal.stderr
      expect(refusal.status, `${command.join(" ")}: ${told}`).to.equal(65)
      expect(told, `${command.join(" ")}: ${told}`)
        .to.match(/ERR_CUSTODY_KEY_MISSING/)
        .and.match(/no longer/)
      expect(await stage.footprint(state), command.join(" ")).to.deep.equal(before)
    }
  })

  for (const folder of ["vault", "custody-keys"]) {
    it(`a state directory that has no folder in the place of ${folder}`, async () => {
      const state = stage.state()
      rmSync(join(state, folder), { recursive: true, force: true })
      writeFileSync(join(state, folder), "")
      await refused(
        stage,
        noSecrets("nowhere"),
        { code: "ERR_STATE_UNSAFE", exit: 77, tells: new RegExp(`${folder} is a file, not a folder`) },
        { state },
      )
    })
  }

  it("SYMMETRIC_DEFAULT, RSA and SM2 keys in a China Region", async () => {
    const env = { AWS_ENDPOINT_URL: china.endpoint, AWS_REGION: "cn-north-1", AWS_DEFAULT_REGION: "cn-north-1" }
    const symmetric: Refusal = { code: "ERR_KEY_SPEC_UNSUPPORTED", exit: 65, tells: /SM4/ }
    await refused(stage, provisionArgs({ name: "sm4" }), symmetric, { env })
    const rsa = provisionArgs({ name: "rsa", "key-spec": "RSA_2048", "key-usage": "SIGN_VERIFY" })
    await refused(stage, rsa, { code: "ERR_ALGORITHM_NOT_ALLOWED", exit: 65, tells: /China/ }, { env })
    expect((await china.counts()).requests["CreateKey"] ?? 0).to.equal(0)
    const sm2 = await kmsClient(china, "cn-north-1").createKey({
      Origin: "EXTERNAL",
      KeySpec: "SM2",
      KeyUsage: "SIGN_VERIFY",
    })
    const params = ["params", "--key-id", sm2.KeyMetadata?.Arn ?? "", "--out", join(stage.folder, "sm2.json")]
    const asked = await stage.run([...params, "--json"], { state: stage.state(), env })
    expect([asked.status, asked.error().message.includes("carries no SM2 key")], asked.stderr).to.deep.equal([65, true])
    expect((await china.counts()).requests["GetParametersForImport"] ?? 0).to.equal(0)
  })

  const flags: readonly (readonly [options: Record<string, string>, tells: RegExp])[] = [
    [{ tag: "cost centre*=1" }, /character/],
    [{ tag: "a=b;c" }, /character/],
    [{ tag: "AWS:x=1" }, /reserved/],
    [{ tag: `${"k".repeat(129)}=1` }, /too long/],
    [{ "key-policy": '{"Statement":[],"Id":"€"}' }, /Latin-1/],
    [{ alias: "alias/aws/mine" }, /reserved/],
  ]
  for (const [options, tells] of flags) {
    it(`${Object.entries(options).join(" ").slice(0, 40)}, which KMS would refuse`, async () => {
      await refused(stage, provisionArgs(options), { code: "ERR_USAGE", exit: 64, tells })
    })
  }
})
