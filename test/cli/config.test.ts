import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { expect } from "chai"
import { parse } from "yaml"
import { EXAMPLE } from "#test/support/config-example.js"
import { keyferry } from "#test/support/cli.js"
import { kmsClient, type LocalKmsProcess, startLocalKms } from "#test/support/local-kms.js"
import { addSofthsmToken, softhsmToken } from "#test/support/tokens.js"

interface Checked {
  readonly bindings: number
  readonly configuration: { readonly keys: { readonly payments: Readonly<Record<string, unknown>> } }
}

interface Doctor {
  readonly checks: readonly { readonly id: string; readonly status: string; readonly message: string }[]
}

const ROLE = "arn:aws:iam::111122223333:role/byok"

describe("the configuration file on the command line", () => {
  const folder = mkdtempSync(join(tmpdir(), "keyferry-config-"))
  const first = softhsmToken("first")
  const second = addSofthsmToken(first, "second")
  let kms: LocalKmsProcess
  let files = 0
  const file = (text: string): string => {
    files += 1
    const path = join(folder, `${files}.yaml`)
    writeFileSync(path, text)
    return path
  }
  before(async () => {
    kms = await startLocalKms({ regions: ["eu-west-3", "eu-west-1"] })
  })
  after(async () => {
    await kms.stop()
    first.remove()
    rmSync(folder, { recursive: true, force: true })
  })

  const run = (args: readonly string[], env: Readonly<Record<string, string>> = {}) =>
    keyferry(args, { env: { PATH: process.env["PATH"] ?? "", HOME: "/nonexistent", ...env } })

  it("is checked and printed with its defaults", async () => {
    const path = file(EXAMPLE)
    const json = await run(["config", "check", "--json"], { KEYFERRY_CONFIG: path })
    expect(json.status, json.stderr).to.equal(0)
    const { bindings, configuration } = json.json() as Checked
    expect(bindings).to.equal(2)
    expect(configuration.keys.payments).to.include({ wrappingAlgorithm: "auto", keyUsage: "ENCRYPT_DECRYPT" })
    const text = await run(["config", "check", "--config", path])
    expect(parse(text.stdout)).to.deep.equal(configuration)
  })

  it("is refused with 78 and every fault, by any command, before anything is asked", async () => {
    const path = file("version: 1\nkeyz: {}\nid: a/b\n")
    for (const args of [
      ["config", "check"],
      ["key", "list"],
      ["provision", "--name", "a", "--key-spec", "HMAC_256", "--custody", "token"],
    ]) {
      const refused = await run([...args, "--config", path, "--json"])
      expect(refused.status, args.join(" ")).to.equal(78)
      expect(refused.stdout).to.equal("")
      expect(refused.error()).to.include({ code: "ERR_CONFIG_INVALID", key: path })
      expect(refused.error().causes.map(({ code }) => code)).to.deep.equal(["keyz", "id"])
    }
    for (const [unreadable, cause] of [
      [join(folder, "none.yaml"), "ENOENT"],
      [folder, "EISDIR"],
    ] as const) {
      const refused = await run(["config", "check", "--config", unreadable, "--json"])
      expect(refused.status).to.equal(78)
      expect(refused.error().causes[0]?.code).to.equal(cause)
    }
    writeFileSync(join(folder, "utf16.yaml"), Buffer.from("\ufeffversion: 1\n", "utf16le"))
    expect((await run(["config", "check", "--config", join(folder, "utf16.yaml")])).stderr).to.contain("UTF-16")
    expect((await run(["config", "check"])).status).to.equal(64)
  })

  it("is written for a token profile, once, and described by a schema", async () => {
    const path = join(folder, "written.yaml")
    const args = ["init", "--profile", "softhsm2", "--module", "/opt/m.so", "--region", "eu-west-3", "--out", path]
    expect((await run(args)).status).to.equal(0)
    expect(statSync(path).mode & 0o777).to.equal(0o600)
    expect((await run(["config", "check", "--config", path])).status).to.equal(0)
    expect(readFileSync(path, "utf8")).to.contain("module-path=/opt/m.so").and.to.contain("region: eu-west-3")
    expect((await run(args)).status).to.equal(73)
    const unknown = await run(["init", "--profile", "unknown"])
    expect(unknown.status).to.equal(64)
    expect(unknown.stderr).to.contain("softhsm2").and.to.contain("cloudhsm")
    const schema = JSON.parse((await run(["config", "schema"])).stdout) as { title: string }
    expect(schema.title).to.equal("keyferry configuration")
  })

  describe("with two tokens and two targets", () => {
    const state = join(folder, "state")
    const two = (): string =>
      file(`version: 1
id: byok-test
tokens:
  one: { uri: ${JSON.stringify(first.uri)} }
  two: { uri: ${JSON.stringify(second.uri)} }
targets:
  paris: { region: eu-west-3, endpoint: "${kms.endpoint}" }
  ireland: { region: eu-west-1, endpoint: "${kms.endpoint}", roleArn: "${ROLE}" }
keys:
  payments: { keySpec: HMAC_256, token: two, targets: [ireland], custody: token }
`)
    const env = () => {
      const { AWS_REGION, AWS_DEFAULT_REGION, AWS_ENDPOINT_URL, ...rest } = kms.env
      expect([AWS_REGION, AWS_DEFAULT_REGION, AWS_ENDPOINT_URL]).to.not.include(undefined)
      return { ...rest, ...first.env, KEYFERRY_STATE_DIR: state }
    }

    it("has doctor check each of them", async () => {
      const { stdout, status } = await run(["doctor", "--json", "--config", two()], env())
      const { checks } = JSON.parse(stdout) as Doctor
      const said = (id: string) => checks.filter((check) => check.id === id).map(({ message }) => message)
      expect(said("config")[0]).to.contain("tokens 2, targets 2, keys 1")
      expect(said("token").map((line) => line.slice(0, 12))).to.deep.equal(['one: "first"', 'two: "second'])
      expect(said("login")).to.deep.equal(["one: logged in", "two: logged in"])
      expect(said("aws-identity")[1]).to.match(/^ireland: account 111122223333 as .*assumed-role\/byok/)
      expect(said("kms").map((line) => line.split(":")[0])).to.deep.equal(["paris", "ireland"])
      expect(status).to.equal(0)
    })

    it("finds a key's token and target by its name, and tags it with the file's id", async () => {
      const args = ["provision", "--name", "payments", "--key-spec", "HMAC_256", "--custody", "token", "--json"]
      const done = await run([...args, "--config", two()], env())
      expect(done.status, done.stderr).to.equal(0)
      const { keyArn, token, sourceKey } = done.json() as {
        keyArn: string
        token: { label: string }
        sourceKey: { label: string }
      }
      expect(keyArn).to.contain(":eu-west-1:")
      expect(token.label).to.equal("second")
      expect(sourceKey.label).to.equal("keyferry/byok-test/payments/0")
      const sdk = kmsClient(kms, "eu-west-1")
      const { Tags = [] } = await sdk.listResourceTags({ KeyId: keyArn })
      sdk.destroy()
      expect(Tags).to.deep.include({ TagKey: "keyferry:owner", TagValue: "byok-test" })
      const { name, target } = JSON.parse(
        readFileSync(join(state, "inventory", "ireland", "payments.json"), "utf8"),
      ) as Record<string, string>
      expect({ name, target }).to.deep.equal({ name: "payments", target: "ireland" })
    })

    it("asks which where nothing says so, and takes flags over the file", async () => {
      const several = await run(["key", "list", "--config", two()], env())
      expect(several.status).to.equal(64)
      expect(several.stderr).to.contain("one, two").and.to.contain("--token NAME")
      const named = await run(["key", "list", "--token", "two", "--config", two(), "--json"], env())
      expect(named.status, named.stderr).to.equal(0)
      expect(named.stdout).to.contain("payments")
      const pin = await run(["doctor", "--pin-source", "env:PIN", "--config", two()], env())
      expect(pin.status).to.equal(64)
      expect(pin.stderr).to.contain("--pin-source is for one token")
      const none = await run(["key", "list", "--token", "three", "--config", two()], env())
      expect(none.stderr).to.contain("there is no token three")
    })
  })

  it("names a Region or an AWS profile that cannot be, wherever it is from", async () => {
    const region = await run(["doctor", "--json"], { ...kms.env, AWS_REGION: "Paris", KEYFERRY_STATE_DIR: folder })
    const said = (JSON.parse(region.stdout) as Doctor).checks.find(({ id }) => id === "kms")
    expect(said).to.include({ status: "fail", message: "AWS_REGION 'Paris' is not the name of an AWS Region" })
    const profile = await run(["doctor", "--json", "--profile", "none"], { ...kms.env, KEYFERRY_STATE_DIR: folder })
    const told = (JSON.parse(profile.stdout) as Doctor).checks.find(({ id }) => id === "kms")
    expect(told).to.include({ status: "fail", message: "there is no AWS profile 'none'" })
  })
})
