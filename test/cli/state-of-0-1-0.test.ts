import { cpSync, existsSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { expect } from "chai"
import { type CliResult, keyferry } from "#test/support/cli.js"
import { kmsClient, type LocalKmsProcess, startLocalKms } from "#test/support/local-kms.js"
import { temporaryFolder } from "#test/support/temp-dir.js"
import { modulePath } from "#test/support/tokens.js"

/** What keyferry 0.1.0 left of five keys: its state directory, the SoftHSM token, and the local KMS. */
const FIXTURE = fileURLToPath(new URL("../../../test/fixtures/state-0.1.0", import.meta.url))

interface Rows {
  readonly keys: readonly { readonly name: string; readonly outcome: string; readonly message: string }[]
}

describe("keyferry on the state of 0.1.0", () => {
  const folder = temporaryFolder()
  let kms: LocalKmsProcess

  beforeEach(async () => {
    cpSync(FIXTURE, folder(), { recursive: true })
    const tokens = join(folder(), "token", "tokens")
    writeFileSync(join(folder(), "softhsm2.conf"), `directories.tokendir = ${tokens}\nobjectstore.backend = file\n`)
    kms = await startLocalKms({
      stateFile: join(folder(), "kms.json"),
      regions: ["us-east-1", "eu-west-3"],
      rotationSeconds: 0,
    })
  })
  afterEach(() => kms.stop())

  const run = (...args: string[]): Promise<CliResult> => {
    const pin = join(folder(), "token", "pin")
    const uri = `pkcs11:token=keyferry?module-path=${modulePath("softhsm")}&pin-source=file:${pin}`
    const own = { SOFTHSM2_CONF: join(folder(), "softhsm2.conf"), KEYFERRY_TOKEN: uri }
    return keyferry(args, { env: { ...kms.env, ...own, KEYFERRY_STATE_DIR: join(folder(), "state") } })
  }
  const outcomes = (result: CliResult): readonly string[] =>
    (result.json() as Rows).keys.map(({ name, outcome }) => `${name} ${outcome}`)

  it("is migrated by the first command that changes something, and every key goes on living", async () => {
    const looked = await run("status", "--json")
    expect(looked.status, looked.stderr).to.equal(0)
    expect(existsSync(join(folder(), "state", "state.json"))).to.equal(false)

    const rewrapped = await run("rewrap", "--all", "--json")
    expect(rewrapped.status, rewrapped.stderr).to.equal(0)
    expect(rewrapped.stderr).to.match(/state of keyferry 0\.1\.0 .*before-version-2/)
    expect(outcomes(rewrapped)).to.deep.equal(["mac", "old", "old", "payments", "shared", "signer"].map(done))
    expect(existsSync(join(folder(), "state", "before-version-2", "inventory", "us-east-1", "old.json"))).to.equal(true)

    const verified = await run("verify", "--full", "--json")
    expect(verified.status, verified.stderr).to.equal(0)
    const rotated = await run("rotate", "payments", "--json")
    expect(rotated.status, rotated.stderr).to.equal(0)
    expect(rotated.stderr).to.not.include("before-version-2")
    expect((rotated.json() as { generation: number }).generation).to.equal(2)
    const sdk = kmsClient(kms)
    const { KeyMetadata } = await sdk.describeKey({ KeyId: "alias/old" })
    expect(KeyMetadata?.KeyState).to.equal("Enabled")
    sdk.destroy()
  })

  it("is refused by name where a later keyferry has had it", async () => {
    writeFileSync(join(folder(), "state", "state.json"), '{"version": 9}')
    for (const args of [["status"], ["rewrap", "--all"], ["key", "list"]]) {
      const refused = await run(...args, "--json")
      expect(refused.status).to.equal(65)
      expect(refused.error().code).to.equal("ERR_STATE_VERSION")
      expect(refused.error().message).to.include("format 9")
    }
    const entry = readFileSync(join(folder(), "state", "inventory", "us-east-1", "mac.json"), "utf8")
    expect((JSON.parse(entry) as { version: number }).version).to.equal(1)
  })
})

const done = (name: string): string => `${name} done`
