import { createPrivateKey, randomBytes } from "node:crypto"
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { expect } from "chai"
import type { KeyResult } from "#src/core/records/key-result.js"
import type { Change } from "#src/local-kms/state/journal.js"
import { type CliOptions, type CliResult, keyferry, outcomesByName } from "../support/cli.js"
import { type KmsProxy, startKmsProxy } from "../support/kms-proxy.js"
import { searchDump } from "../support/material-search.js"
import { type PostgresServer, startPostgres } from "../support/postgres.js"
import { filesUnder, keysNamed, setStage, type Stage } from "../support/stage.js"
import { nssToken } from "../support/tokens.js"

/** What is committed without waiting would stay in the server's memory until after the test. */
const LATE_WAL = ["synchronous_commit = off", "wal_writer_delay = 10s", "wal_writer_flush_after = 1GB"]

describe("the life of keys whose state is in PostgreSQL", () => {
  let folder: string
  let stage: Stage
  let server: PostgresServer
  let proxy: KmsProxy
  let config: string
  const password = randomBytes(12).toString("hex")
  /** Plaintext, as the local KMS keeps it. */
  const materials = new Map<string, Buffer>()
  let printed = ""

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "keyferry-cli-"))
    server = await startPostgres(LATE_WAL)
    stage = await setStage({ stateFile: join(folder, "kms.state") })
    await stage.kms.rotationSeconds(0)
    proxy = await startKmsProxy(stage.kms.endpoint)
    await server.createDatabase("fleet")
    server.sql(
      "fleet",
      `CREATE ROLE owner LOGIN; CREATE ROLE agent LOGIN PASSWORD '${password}'; ALTER DATABASE fleet OWNER TO owner`,
    )
    const access = join(server.folder, "data/pg_hba.conf")
    writeFileSync(access, `local all agent scram-sha-256\n${readFileSync(access, "utf8")}`)
    server.sql("fleet", "SELECT pg_reload_conf()")
    config = configured("keyferry.yaml", { password })
  })
  after(async () => {
    await proxy[Symbol.asyncDispose]()
    await stage[Symbol.asyncDispose]()
    await server[Symbol.asyncDispose]()
    rmSync(folder, { recursive: true })
  })

  /** A configuration file that names the database, and the file that has its password. */
  function configured(
    name: string,
    { password, url = server.urlOf("fleet", "agent") }: { password: string; url?: string },
  ) {
    const [file, passwordFile] = [join(folder, name), join(folder, `${name}.password`)]
    writeFileSync(passwordFile, `${password}\n`, { mode: 0o600 })
    writeFileSync(file, `version: 1\nstate: { postgres: ${JSON.stringify({ url, passwordFile })} }\n`)
    return file
  }
  async function run(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
    const env = { ...stage.env, AWS_ENDPOINT_URL: proxy.endpoint, KEYFERRY_CONFIG: config, ...options.env }
    const result = await keyferry(args, { ...options, env })
    printed += result.stdout + result.stderr
    rememberMaterials()
    return result
  }
  function rememberMaterials(): void {
    for (const line of readFileSync(join(folder, "kms.state"), "utf8").split("\n").slice(1, -1)) {
      const change = JSON.parse(line) as Change
      if (!("set" in change)) continue
      for (const [id, { secret }] of change.set.keys.flatMap(({ holdings }) => holdings))
        if (secret !== undefined) materials.set(id, Buffer.from(secret, "base64"))
    }
  }
  async function well<Result>(...words: readonly string[]): Promise<Result> {
    const result = await run([...words, "--json"])
    expect(result.status, `${words.join(" ")}: ${result.stderr}`).to.equal(0)
    return result.json() as Result
  }
  async function rows(...words: readonly string[]): Promise<Readonly<Record<string, string>>> {
    const result = await run([...words, "--json"])
    expect(result.status, `${words.join(" ")}: ${result.stderr}`).to.equal(0)
    return outcomesByName(result)
  }
  async function refused(words: readonly string[], options: CliOptions = {}) {
    const result = await run([...words, "--json"], options)
    expect(result.stdout, words.join(" ")).to.equal("")
    return { status: result.status, ...result.error() }
  }
  const provision = (name: string, keySpec: string, ...more: readonly string[]): Promise<KeyResult> =>
    well("provision", "--name", name, "--key-spec", keySpec, "--wrapping-key-spec", "RSA_2048", ...more)
  const stateSql = (text: string): string => server.sql("fleet", text).trim()
  const eventsOf = (name: string): readonly string[] =>
    stateSql(`SELECT line::json ->> 'event' FROM keyferry.custody_log WHERE name = '${name}' ORDER BY seq`).split("\n")
  const requests = async (operation: string): Promise<number> => (await stage.kms.counts()).requests[operation] ?? 0

  it("begins with tables of the owner and grants of the role; what is missing is said", async () => {
    const early = await refused(["key", "list"])
    expect(early).to.include({ status: 65, code: "ERR_STATE_VERSION" })
    expect(early.hint).to.include("keyferry state migrate")
    const asOwner = { KEYFERRY_STATE_URL: server.urlOf("fleet", "owner"), KEYFERRY_CONFIG: undefined }
    const migrated = await run(["state", "migrate"], { env: asOwner })
    expect(migrated.status, migrated.stderr).to.equal(0)
    const ungranted = await refused(["key", "list"])
    expect(ungranted).to.include({ status: 77, code: "ERR_DATABASE_REFUSED" })
    expect(ungranted.hint).to.include("keyferry policy postgres --role ROLE")
    const grants = await run(["policy", "postgres", "--role", "agent"])
    stateSql(`SET ROLE owner; ${grants.stdout}`)
    expect(await well("key", "list")).to.deep.include({ keys: [] })
  })

  it("is refused beside a directory, with a wrong role or password, and without its server", async () => {
    const both = await refused(["key", "list"], { env: { KEYFERRY_STATE_DIR: folder } })
    expect(both).to.include({ status: 64, code: "ERR_USAGE" })
    const wrong = configured("wrong.yaml", { password: "of somebody else" })
    const stranger = configured("stranger.yaml", { password, url: server.urlOf("fleet", "stranger") })
    for (const KEYFERRY_CONFIG of [wrong, stranger]) {
      const error = await refused(["key", "list"], { env: { KEYFERRY_CONFIG } })
      expect(error).to.include({ status: 77, code: "ERR_DATABASE_REFUSED" })
    }
    const open = `postgres://agent:${password}@/fleet?host=${encodeURIComponent(server.folder)}`
    const inUrl = await refused(["key", "list"], { env: { KEYFERRY_STATE_URL: open } })
    expect(inUrl).to.include({ status: 78, code: "ERR_DATABASE_SETTING" })
    await server.stop("fast")
    expect(await refused(["key", "list"])).to.include({ status: 75, code: "ERR_DATABASE_UNREACHABLE" })
    const files = await well<{ keys: unknown[] }>("key", "list", "--state-dir", join(folder, "files"))
    expect(files.keys).to.deep.equal([])
    await server.start()
    await well("key", "list")
  })

  it("has every step that it has over files", async () => {
    const manifest = join(folder, "manifest.yaml")
    writeFileSync(
      manifest,
      `${readFileSync(config, "utf8")}
tokens: { only: { uri: ${JSON.stringify(stage.token.uri)} } }
targets: { us-east-1: { region: us-east-1, endpoint: ${JSON.stringify(proxy.endpoint)} } }
defaults: { token: only, wrappingKeySpec: RSA_2048, targets: [us-east-1] }
keys:
  aes: { keySpec: SYMMETRIC_DEFAULT, prove: full }
  mac: { keySpec: HMAC_256, custody: token }
  old: { keySpec: HMAC_256 }
`,
    )
    const names = ["aes", "mac", "old"]
    const fleet = async (...words: readonly string[]): Promise<readonly string[]> => {
      const outcomes = await rows(...words, "--config", manifest)
      return Object.entries(outcomes).map(([name, outcome]) => `${name} ${outcome.split(" ")[0]}`)
    }
    expect(await fleet("provision")).to.have.members(names.map((name) => `${name} done`))
    expect(await fleet("rewrap")).to.have.members(names.map((name) => `${name} nothing`))
    expect(await fleet("rewrap", "--all")).to.have.members(names.map((name) => `${name} done`))
    await well("rotate", "aes", "--config", manifest)
    await well("replace", "old", "--config", manifest)
    expect(await fleet("retire", "old", "--yes")).to.deep.equal(["old done"])
    const { custodyKey } = await well<{ custodyKey: { label: string } }>(
      ...["key", "reseal", "--all", "--new-custody-key", "--config", manifest],
    )
    expect(custodyKey.label).to.equal("keyferry/custody/keyferry/2")
    const { keys } = await well<{ keys: readonly { name: string }[] }>(...["key", "list", "--config", manifest])
    expect(new Set(keys.map(({ name }) => name))).to.deep.equal(new Set(names))
    const [mac] = await keysNamed(stage.sdk, "mac")
    await stage.sdk.deleteImportedKeyMaterial({ KeyId: mac?.arn })
    expect(await fleet("recover", "mac", "--yes")).to.deep.equal(["mac done"])
    expect(await fleet("verify", "mac", "old")).to.deep.equal(["mac done", "old done"])

    const status = await run(["status", "--config", manifest])
    expect(status.status, status.stdout + status.stderr).to.equal(0)
    for (const name of names) expect(status.stdout).to.match(new RegExp(`^${name} `, "m"))
    expect((await fleet("status")).map((row) => row.split(" ")[0])).to.have.members(names)
    const watched = await run(["check", "--json", "--config", manifest])
    expect(watched.status, watched.stdout + watched.stderr).to.be.oneOf([0, 1])
    watched.json()
    const { checks } = await well<{ checks: readonly { id: string; status: string }[] }>("doctor", "--config", manifest)
    expect(checks.filter(({ status }) => status === "fail")).to.deep.equal([])
    expect(checks.map(({ id }) => id)).to.include("state")
    const forGood = ["--custody", "locked", "--expires-in", "never", "--accept-no-reimport"]
    expect(await provision("door", "HMAC_256", ...forGood)).to.include({ custody: "locked" })
  })

  it("has an RSA key, of a token that carries such", async () => {
    using cleanup = new DisposableStack()
    const nss = cleanup.adopt(nssToken(), (token) => token.remove())
    const lenient = join(folder, "lenient.yaml")
    writeFileSync(lenient, `${readFileSync(config, "utf8")}policy: { allowUnenforcedCustody: true }\n`)
    const env = { ...nss.env, KEYFERRY_TOKEN: nss.uri, KEYFERRY_CONFIG: lenient }
    const words = ["provision", "--name", "sign", "--key-spec", "RSA_2048", "--key-usage", "SIGN_VERIFY", "--json"]
    const provisioned = await run(words, { env })
    expect(provisioned.status, provisioned.stderr).to.equal(0)
    expect(provisioned.json()).to.deep.include({ custody: "sealed", proof: { kind: "public-key", result: "proven" } })
  })

  for (const [moment, isDone] of [
    ["KMS has not taken the material", false],
    ["KMS has taken it, and the process dies as well", true],
  ] as const) {
    it(`is durable before ImportKeyMaterial, where the server dies at that moment: ${moment}`, async () => {
      const name = isDone ? "taken" : "lost"
      const created = await requests("CreateKey")
      let kept: readonly string[] = []
      const words = ["provision", "--name", name, "--key-spec", "SYMMETRIC_DEFAULT", "--json"]
      const hit = Promise.withResolvers<undefined>()
      const seen = Promise.withResolvers<undefined>()
      proxy.spoil("ImportKeyMaterial", {
        effect: isDone,
        async onHit() {
          await server.stop("immediate")
          hit.resolve(undefined)
          await server.start()
          const paths = `SELECT path FROM keyferry.text WHERE path ~ '^(vault|inventory)/.*${name}'`
          kept = [
            ...stateSql(paths)
              .split("\n")
              .map((path) => path.split("/")[0] ?? ""),
            ...eventsOf(name),
          ]
          seen.resolve(undefined)
        },
        respond: (response) => response.destroy(),
      })
      const died = await run(words, isDone ? { killWhen: hit.promise } : {})
      await seen.promise
      proxy.unspoil()
      expect(kept).to.include.members(["vault", "inventory", "source.sealed", "import.intended"])
      if (isDone) expect(died.signal).to.equal("SIGKILL")
      else expect([died.status, died.error().code]).to.deep.equal([75, "ERR_BINDING_LOST"])
      const { keyArn: KeyId } = await well<KeyResult>(...words.slice(0, -1))
      expect(await requests("CreateKey")).to.equal(created + 1)
      const all = await stage.sdk.listKeyRotations({ KeyId, IncludeKeyMaterial: "ALL_KEY_MATERIAL" })
      expect(all.Rotations).to.have.length(1)
      expect(eventsOf(name)).to.include("import.proven")
    })
  }

  it("leaves no material, PIN or password in a dump, in an export or in what was printed", async () => {
    const archive = join(folder, "exported")
    await well("state", "export", archive)
    expect(materials.size).to.be.at.least(7)
    const parts = [...materials.values()].flatMap((secret) => (secret.length > 64 ? privatePartsOf(secret) : []))
    expect(parts).to.have.length.at.least(3)
    const secrets = [...materials.values(), ...parts, Buffer.from(stage.token.pin), Buffer.from(password)]
    const files = statSync(archive).isDirectory() ? filesUnder(archive).map((file) => join(archive, file)) : [archive]
    const exported = files.map((file) => readFileSync(file, "utf8")).join("\n")
    const vault = stateSql("SELECT convert_from(content, 'UTF8') FROM keyferry.text WHERE path LIKE 'vault/%' LIMIT 1")
    const ciphertext = Buffer.from((JSON.parse(vault) as { ciphertext: string }).ciphertext, "base64")
    const dump = server.dump("fleet")
    for (const text of [dump, exported]) {
      expect(searchDump(text, secrets)).to.deep.equal([])
      expect(searchDump(text, [ciphertext])).to.not.deep.equal([])
    }
    expect(searchDump(printed, secrets)).to.deep.equal([])
    expect(printed).to.include("ERR_BINDING_LOST")
  })
})

/** The private numbers of an RSA key, which stand in its PKCS #8. */
function privatePartsOf(pkcs8: Buffer): readonly Buffer[] {
  const { d, p, q } = createPrivateKey({ key: pkcs8, format: "der", type: "pkcs8" }).export({ format: "jwk" })
  return [d, p, q].map((part) => Buffer.from(part ?? "", "base64url"))
}
