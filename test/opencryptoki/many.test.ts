import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect } from "chai"
import { type CliResult, keyferry } from "#test/support/cli.js"
import { type LocalKmsProcess, startLocalKms } from "#test/support/local-kms.js"
import { filesUnder } from "#test/support/stage.js"
import { opencryptokiToken, type TestToken } from "#test/support/tokens.js"

const KEYS = 200
/** Enough for none of the keys to wait for AWS' quotas, which would take most of the time. */
const QUOTAS = "{ CreateKey: 1000, GetParametersForImport: 1000, ImportKeyMaterial: 1000, GetPublicKey: 1000 }"

/** Every second P-521 key of this token is a byte short once it was unsealed, and the local KMS takes no such key. */
describe("200 sealed P-521 keys on openCryptoki 3.27", function () {
  this.timeout(400_000)
  let token: TestToken
  let kms: LocalKmsProcess
  let config: string

  before(async () => {
    token = opencryptokiToken()
    kms = await startLocalKms()
    config = join(token.dir, "keyferry.yaml")
    const names = Array.from({ length: KEYS }, (_, index) => `key-${String(index).padStart(3, "0")}`)
    const keys = names.map((name) => `  ${name}: { keySpec: ECC_NIST_P521, keyUsage: SIGN_VERIFY }\n`).join("")
    const targets = `targets: { main: { region: us-east-1, quotas: ${QUOTAS} } }\n`
    writeFileSync(config, `version: 1\ntokens: { ock: { uri: "${token.uri}" } }\n${targets}keys:\n${keys}`)
  })
  after(async () => {
    token.remove()
    await kms.stop()
  })

  const run = (...args: readonly string[]): Promise<CliResult> =>
    keyferry([...args, "--config", config, "--json"], {
      env: { ...kms.env, ...token.env, KEYFERRY_STATE_DIR: join(token.dir, "state") },
      prefix: token.prefix,
    })
  const refused = async (): Promise<object | undefined> => (await kms.counts()).errors["ImportKeyMaterial"]
  const imports = async (): Promise<number> => (await kms.counts()).requests["ImportKeyMaterial"] ?? 0

  it("are provisioned by one apply, without one import that fails", async () => {
    const result = await run("apply")
    expect(result.status, result.stderr).to.equal(0)
    const { summary, keys } = result.json() as { summary: object; keys: { outcome: string; imports: object[] }[] }
    expect(summary).to.deep.include({ keys: KEYS, done: KEYS, failed: 0 })
    expect(keys.filter(({ outcome }) => outcome !== "done")).to.deep.equal([])
    // an import that was refused would have been sent again, with a KMS key or parameters of its own
    const { requests } = await kms.counts()
    expect(requests).to.include({ CreateKey: KEYS, GetParametersForImport: KEYS, ImportKeyMaterial: KEYS })
    expect(await refused()).to.equal(undefined)
    expect(filesUnder(join(token.dir, "state", "vault"))).to.have.length(KEYS)
  })

  it("are unsealed and imported again, all of them, when they come due", async () => {
    await kms.clock.advance(85 * 86_400)
    const before = await imports()
    const result = await run("rewrap")
    expect(result.status, result.stderr).to.equal(0)
    expect((result.json() as { summary: object }).summary).to.deep.include({ keys: KEYS, done: KEYS, failed: 0 })
    expect((await imports()) - before).to.equal(KEYS)
    expect(await refused()).to.equal(undefined)
  })
})
