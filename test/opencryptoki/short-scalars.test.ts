import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect } from "chai"
import type { KeyRow } from "#src/core/plan/row.js"
import { type CliResult, keyferry } from "#test/support/cli.js"
import { type LocalKmsProcess, startLocalKms } from "#test/support/local-kms.js"
import { filesUnder } from "#test/support/stage.js"
import { opencryptokiToken, type TestToken } from "#test/support/tokens.js"

/** None of them short, or all, once in 32,768 times. */
const KEYS = 16

/** Keys that were made as token objects, which wrap exactly: half of them would be a byte short once unsealed. */
describe("P-521 keys of custody token on openCryptoki 3.27", function () {
  this.timeout(240_000)
  let token: TestToken
  let kms: LocalKmsProcess
  let config: string
  let short: readonly string[]

  before(async () => {
    token = opencryptokiToken()
    kms = await startLocalKms()
    config = join(token.dir, "keyferry.yaml")
    const names = Array.from({ length: KEYS }, (_, index) => `key-${index}`)
    const settings = "{ keySpec: ECC_NIST_P521, keyUsage: SIGN_VERIFY, custody: token }"
    const keys = names.map((name) => `  ${name}: ${settings}\n`).join("")
    const quotas = "{ CreateKey: 100, GetParametersForImport: 100, ImportKeyMaterial: 100 }"
    const targets = `targets: { main: { region: us-east-1, quotas: ${quotas} } }\n`
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
  const rows = (result: CliResult): readonly KeyRow[] => {
    expect(result.stdout, result.stderr).to.not.equal("")
    return (result.json() as { keys: readonly KeyRow[] }).keys
  }

  it("are all imported as they are, short or not", async () => {
    const result = await run("apply")
    expect(result.status, result.stderr + result.stdout).to.equal(0)
    expect(rows(result).map(({ outcome }) => outcome)).to.deep.equal(Array(KEYS).fill("done"))
  })

  it("are sealed by reseal where they come back whole, and else left in the token", async () => {
    const result = await run("key", "reseal", "--all", "--to", "sealed")
    const refused = rows(result).filter(({ outcome }) => outcome === "failed")
    short = refused.map(({ name }) => name)
    expect(short.length).to.be.greaterThan(0).and.lessThan(KEYS)
    expect(new Set(refused.map(({ reason }) => reason))).to.deep.equal(new Set(["ERR_SHORT_SCALAR"]))
    for (const { hint } of refused) expect(hint).to.match(/^leave it in custody token/)
    expect(filesUnder(join(token.dir, "state", "vault"))).to.have.length(KEYS - short.length)
  })

  it("are all imported again when they come due, from the vault or from the token", async () => {
    await kms.clock.advance(85 * 86_400)
    const result = await run("rewrap")
    expect(result.status, result.stderr + result.stdout).to.equal(0)
    expect(rows(result).map(({ outcome }) => outcome)).to.deep.equal(Array(KEYS).fill("done"))
    expect((await kms.counts()).errors["ImportKeyMaterial"]).to.equal(undefined)
  })
})
