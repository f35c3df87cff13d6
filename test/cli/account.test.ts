import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect } from "chai"
import type { CliResult } from "#test/support/cli.js"
import { kmsClient, type LocalKmsProcess, startLocalKms } from "#test/support/local-kms.js"
import { provisionArgs } from "#test/support/refusal.js"
import { setStage, type Stage } from "#test/support/stage.js"

const OTHER_ACCOUNT = "444455556666"

interface Placed {
  readonly account: string
  readonly partition: string
  readonly region: string
  readonly endpoint: string | null
  readonly kms: readonly object[]
  readonly keyArn: string
  readonly keyId: string
}

describe("the account that a target is in", () => {
  let stage: Stage
  let other: LocalKmsProcess
  let state: string
  let first: CliResult
  before(async () => {
    stage = await setStage()
    other = await startLocalKms({ account: OTHER_ACCOUNT })
    state = stage.state()
    first = await stage.run([...provisionArgs(), "--json", "--log-format", "json", "--verbose"], { state })
  })
  after(async () => {
    await other.stop()
    await stage[Symbol.asyncDispose]()
  })

  const inOther = (args: readonly string[]) =>
    stage.run([...args, "--json"], { state, env: { AWS_ENDPOINT_URL: other.endpoint } })
  const made = async () => (await other.counts()).requests["CreateKey"] ?? 0

  it("stands with partition, Region and endpoint in result, custody log and log lines", () => {
    const { account, partition, region, endpoint, kms } = first.json() as Placed
    const place = { account: "111122223333", partition: "aws", region: "us-east-1", endpoint: stage.kms.endpoint }
    expect({ account, partition, region, endpoint }).to.deep.equal(place)
    const whole = { ...place, endpointOrigin: "AWS_ENDPOINT_URL" }
    expect(kms).to.deep.equal([{ target: "us-east-1", ...whole }])
    const lines = readFileSync(join(state, "custody.log.jsonl"), "utf8").trim().split("\n")
    const events = lines.map((line) => JSON.parse(line) as { target?: string; kms?: object })
    const ofTarget = events.filter(({ target }) => target === "us-east-1")
    expect(ofTarget).to.have.length.greaterThan(3)
    for (const event of ofTarget.slice(1)) expect(event.kms).to.deep.equal(whole)
    const logged = first.stderr.split("\n").filter((line) => line.startsWith("{"))
    const imported = logged
      .map((line) => JSON.parse(line) as object)
      .find((line) => "event" in line && line.event === "key.imported")
    expect(imported).to.include(whole)
  })

  it("is that of its first import: another's credentials make nothing there", async () => {
    const result = await inOther(provisionArgs({ name: "second" }))
    expect([result.status, result.error().code]).to.deep.equal([78, "ERR_POLICY_REFUSED"])
    expect(result.error().message).to.include("111122223333").and.include(OTHER_ACCOUNT)
    expect(await made()).to.equal(0)
    const { kms } = JSON.parse(result.stderr.trim().split("\n").at(-1) ?? "") as Placed
    expect(kms[0]).to.include({ endpoint: other.endpoint, account: OTHER_ACCOUNT })
  })

  it("holds for status --rebuild and doctor, which make nothing, too", async () => {
    for (const args of [
      ["status", "--rebuild"],
      ["status", "--rebuild", "--overwrite"],
    ]) {
      const rebuilt = await inOther(args)
      expect([rebuilt.status, rebuilt.error().code], rebuilt.stdout).to.deep.equal([78, "ERR_POLICY_REFUSED"])
    }
    const examined = await inOther(["doctor"])
    const { checks } = examined.json() as { checks: readonly { id: string; status: string; message: string }[] }
    const identity = checks.find(({ id }) => id === "aws-identity")
    expect([examined.status, identity?.status]).to.deep.equal([78, "fail"])
    expect(identity?.message).to.include("111122223333").and.include(OTHER_ACCOUNT)
  })

  it("is asked of STS, once, where KMS has no key that shows it", async () => {
    for (const args of [["status"], ["plan"], ["doctor"], ["status", "--rebuild"]]) {
      const result = await stage.run([...args, "--json", "--verbose"], {
        state: stage.state(),
        env: { AWS_ENDPOINT_URL: other.endpoint },
      })
      expect(result.status, result.stderr).to.equal(0)
      expect((result.json() as Placed).kms[0]).to.include({ account: OTHER_ACCOUNT })
      expect(result.stderr.match(/operation=sts:GetCallerIdentity/g), args.join(" ")).to.have.length(1)
    }
  })

  it("is asked for where a key is not to be seen: it is no key that is gone", async () => {
    const result = await inOther(["rewrap", "payments"])
    expect(result.status).to.equal(78)
    expect(result.stdout + result.stderr)
      .to.include("OTHER_ACCOUNT")
      .and.include(OTHER_ACCOUNT)
  })

  it("holds for parameters that name the KMS key by its bare ID: recorded as not known, judged by the import", async () => {
    const sdk = kmsClient(other)
    const { KeyMetadata } = await sdk.createKey({ Origin: "EXTERNAL" })
    const keyId = KeyMetadata?.KeyId ?? ""
    const { ImportToken = new Uint8Array(), PublicKey = new Uint8Array() } = await sdk.getParametersForImport({
      KeyId: keyId,
      WrappingAlgorithm: "RSAES_OAEP_SHA_1",
      WrappingKeySpec: "RSA_4096",
    })
    sdk.destroy()
    const parameters = join(stage.folder, "bare.json")
    const [token, key] = [ImportToken, PublicKey].map((bytes) => Buffer.from(bytes).toString("base64"))
    writeFileSync(parameters, JSON.stringify({ KeyId: keyId, ImportToken: token, PublicKey: key }))
    const algorithm = ["--wrapping-algorithm", "RSAES_OAEP_SHA_1"]
    const out = join(stage.folder, "bare.bin")
    const wrapped = await stage.run(
      ["wrap", "--name", "payments", "--parameters", parameters, ...algorithm, "--out", out, "--json"],
      { state },
    )
    expect(wrapped.status, wrapped.stderr).to.equal(0)
    expect((wrapped.json() as Placed).account).to.equal(null)
    const last = readFileSync(join(state, "custody.log.jsonl"), "utf8").trim().split("\n").at(-1) ?? ""
    const { event, facts } = JSON.parse(last) as { event: string; facts: object }
    expect(event).to.equal("source.wrapped")
    expect(facts).to.include({ kmsKey: keyId, account: "not known" })
    const imported = await inOther([
      "import",
      "--name",
      "payments",
      "--parameters",
      parameters,
      ...algorithm,
      "--wrapped",
      out,
      "--expires-in",
      "90d",
    ])
    expect([imported.status, imported.error().code]).to.deep.equal([78, "ERR_POLICY_REFUSED"])
    expect((await other.counts()).requests["ImportKeyMaterial"] ?? 0).to.equal(0)
  })

  it("is the configuration's for parameters that name the KMS key by its ARN, on the host without AWS", async () => {
    const { keyArn } = first.json() as Placed
    const config = join(stage.folder, "offline.yaml")
    const targets = `targets: { us-east-1: { region: us-east-1, account: "${OTHER_ACCOUNT}" } }`
    writeFileSync(config, `version: 1\ntokens: { t: { uri: "${stage.token.uri}" } }\n${targets}\n`)
    const parameters = join(stage.folder, "arn.json")
    const fetched = await stage.run(["params", "--key-id", keyArn, "--out", parameters, "--json"], { state })
    expect(fetched.status, fetched.stderr).to.equal(0)
    const out = join(stage.folder, "arn.bin")
    const args = ["wrap", "--config", config, "--name", "payments", "--parameters", parameters, "--out", out, "--json"]
    const result = await stage.run(args, { state })
    expect([result.status, result.error().code]).to.deep.equal([78, "ERR_POLICY_REFUSED"])
    expect(result.error().message).to.include(`111122223333, and the key's targets are in ${OTHER_ACCOUNT} in aws`)
  })

  it("is the configuration's where that says one: nothing but GetCallerIdentity is asked of another", async () => {
    const config = join(stage.folder, "pinned.yaml")
    const targets = `targets: { us-east-1: { region: us-east-1, account: "${OTHER_ACCOUNT}" } }`
    writeFileSync(
      config,
      `version: 1\ntokens: { t: { uri: "${stage.token.uri}" } }\n${targets}\nkeys: { k: { keySpec: HMAC_256 } }\n`,
    )
    await stage.kms.clearCounts()
    const result = await stage.run(["apply", "--config", config, "--json"], { state: stage.state() })
    expect(result.status).to.equal(78)
    expect(result.stdout + result.stderr).to.include("account of target us-east-1")
    const { requests } = await stage.kms.counts()
    expect(Object.keys(requests).filter((operation) => operation !== "GetCallerIdentity")).to.deep.equal([])
  })
})
