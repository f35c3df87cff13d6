import { randomBytes } from "node:crypto"
import { cpSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { readFile, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { expect } from "chai"
import { hostClock } from "../support/host-clock.js"
import { MAIN } from "#test/support/cli.js"
import { kmsClient, type LocalKmsProcess, startLocalKms } from "#test/support/local-kms.js"
import { opencryptokiToken, softhsmToken, type TestToken } from "#test/support/tokens.js"
import { block, expectPromised } from "../support/docs-blocks.js"
import { PAGED, strangerShell } from "../support/stranger-shell.js"

const DAY_S = 86_400
/** What expires is due when a third of its 90 days is left. */
const DUE_AFTER_DAYS = 70
/** Columns of a terminal that shows every row of a table whole. */
const WIDE = 400
/** What the page takes for granted of AWS; the pager is switched off there, not here. */
const OPERATOR = {
  AWS_ACCESS_KEY_ID: "AKIALOCALKMSTEST0000",
  AWS_SECRET_ACCESS_KEY: "not-a-secret",
  AWS_REGION: "us-east-1",
}

/** Each recipe as it stands, in one long life of the same keys: every one starts where the one before ended. */
describe("docs/operations.md", () => {
  let kms: LocalKmsProcess
  let folder: string
  let token: TestToken

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "keyferry-day-two-"))
    kms = await startLocalKms()
    token = softhsmToken()
    await provisionTwo()
    await encrypt()
    cpSync(join(folder, "state"), join(folder, "backup"), { recursive: true })
  })
  after(async () => {
    token.remove()
    await kms.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  const provisionTwo = async (): Promise<void> => {
    await run("keyferry provision --name payments --key-spec SYMMETRIC_DEFAULT --alias alias/payments --prove full")
    await run("keyferry provision --name in-token --key-spec SYMMETRIC_DEFAULT --custody token")
  }
  let passedDays = 0
  const passDays = async (days: number): Promise<void> => {
    passedDays += days
    await kms.clock.advance(days * DAY_S)
  }
  /** The host's clock goes with KMS': `doctor` would complain of one that stands still. */
  const withTheDays = (): Readonly<Record<string, string>> => hostClock(passedDays * DAY_S)
  /** `before.bin`: "hello" under the KMS key that the alias names now. */
  const encrypt = async (): Promise<void> => {
    using sdk = disposable(kmsClient(kms))
    const { CiphertextBlob } = await sdk.encrypt({ KeyId: "alias/payments", Plaintext: Buffer.from("hello") })
    writeFileSync(join(folder, "before.bin"), CiphertextBlob ?? "")
  }
  const keyId = async (): Promise<string> => {
    using sdk = disposable(kmsClient(kms))
    return (await sdk.describeKey({ KeyId: "alias/payments" })).KeyMetadata?.KeyId ?? expect.fail("no such key")
  }
  const enter = async (script: string, env: Readonly<Record<string, string>>, prefix: readonly string[]) => {
    const aliases = [
      `alias keyferry="${process.execPath} ${MAIN}"`,
      // older AWS CLIs, such as Debian 12's, do not read AWS_ENDPOINT_URL
      `alias aws='aws --endpoint-url "$AWS_ENDPOINT_URL"'`,
    ]
    const { output } = await strangerShell([...aliases, script].join("\n"), {
      home: folder,
      cwd: folder,
      prefix,
      env: {
        ...OPERATOR,
        ...token.env,
        AWS_ENDPOINT_URL: kms.endpoint,
        KEYFERRY_STATE_DIR: join(folder, "state"),
        ...env,
      },
      columns: WIDE,
    })
    return output
  }
  const environment = (): Readonly<Record<string, string>> => ({ KEYFERRY_TOKEN: token.uri })
  /** What brings a situation about: all of it must work. */
  const run = async (script: string): Promise<void> => {
    const output = await enter(script, { ...environment(), ...withTheDays() }, token.prefix)
    expect(output, output).to.not.match(/^exit status/m)
  }
  const recipe = async (words: string, more: Readonly<Record<string, string>> = {}): Promise<string> => {
    const text = block(words)
    const output = await enter(
      block("operations: no pager") + text,
      { ...environment(), ...withTheDays(), ...more },
      token.prefix,
    )
    expectPromised(text, output)
    expect(output).to.not.include(PAGED)
    return output
  }

  it("says what to do when a key is about to expire", async () => {
    await passDays(DUE_AFTER_DAYS)
    await recipe("about to expire")
  })

  it("says what to do when a key has expired", async () => {
    await passDays(91)
    await recipe("has expired")
  })

  it("says what to do when KMS has lost key material", async () => {
    await run(`aws kms delete-imported-key-material --key-id "$(
      aws kms describe-key --key-id alias/payments --query KeyMetadata.KeyId --output text
    )"`)
    await recipe("lost material")
  })

  it("says what to do when the token is lost, and comes back from its backup", async () => {
    const [tokens, backup] = [join(token.dir, "tokens"), join(token.dir, "backup")]
    cpSync(tokens, backup, { recursive: true })
    rmSync(tokens, { recursive: true })
    cpSync(backup, tokens, { recursive: true, filter: (path) => path === backup })
    await recipe("token is lost")
    rmSync(tokens, { recursive: true })
    renameSync(backup, tokens)
    await recipe("token is restored")
  })

  it("says what to do when KMS expected other key material", async () => {
    const key = await keyId()
    await run(`keyferry params --key-id ${key} --wrapping-algorithm RSAES_OAEP_SHA_1 --out payments.params.json
      keyferry wrap --name in-token --parameters payments.params.json --out wrong.bin && rm wrong.bin.json`)
    const output = await recipe("incorrect key material", { KEY: key })
    const [id = ""] = /^[0-9a-f]{32}$/m.exec(output) ?? []
    expect(output).to.match(new RegExp(`^payments .* ${id} `, "m"))
  })

  it("says what to do when the state is lost", async () => {
    const [state, backup, lost] = ["state", "backup", "lost"].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ]
    rmSync(state, { recursive: true })
    cpSync(backup, state, { recursive: true })
    await recipe("state is restored")
    renameSync(state, lost)
    await recipe("state is lost")
  })

  it("says what to do when the token is lost for ever", async () => {
    await encrypt()
    token.remove()
    token = softhsmToken()
    await recipe("token is not restored")
    const doctor = (): Promise<string> => enter("keyferry doctor", environment(), token.prefix)
    expect(await doctor()).to.include("no backup of the custody key")
    await recipe("backup is made")
    expect(await doctor()).to.not.include("no backup of the custody key")
  })

  it("says what to do when the PIN is locked", async () => {
    token.remove()
    token = opencryptokiToken()
    rmSync(join(folder, "state"), { recursive: true })
    await kms.reset()
    await run("keyferry provision --name payments --key-spec SYMMETRIC_DEFAULT --custody token")
    const pins = { SO_PIN: token.soPin ?? "", FIRST_PIN: "31415926", NEW_PIN: "27182818", MODULE: token.module }
    writeFileSync(token.pinFile, `${pins.NEW_PIN}\n`)
    const again = `pkcs11-tool --module ${token.module} --token-label keyferry --login --pin 27182818 --list-objects`
    const refused = await enter(`keyferry rewrap payments\n${again}\n${again}`, environment(), token.prefix)
    expect(refused)
      .to.include("ERR_TOKEN_PIN_INCORRECT")
      .and.to.match(/CKR_PIN_LOCKED|CKR_PIN_INCORRECT/)
    await recipe("PIN is locked", pins)
    expect(readFileSync(token.pinFile, "utf8").trim()).to.equal(pins.NEW_PIN)
  })

  it("says what to do when the HSM was replaced by its backup, and where there are two of them", async () => {
    token.remove()
    token = softhsmToken()
    rmSync(join(folder, "state"), { recursive: true })
    await kms.reset()
    await kms.rotationSeconds(0)
    await provisionTwo()
    const serial = await reserialled(join(token.dir, "tokens"))
    await recipe("HSM is its backup")
    // the same keys in a second device
    const [first = ""] = readdirSync(join(token.dir, "tokens"))
    cpSync(join(token.dir, "tokens", first), join(token.dir, "tokens", "11111111-2222-3333-4444-555555555555"), {
      recursive: true,
    })
    const second = await reserialled(join(token.dir, "tokens"), "11111111-2222-3333-4444-555555555555")
    const named = (selector: string): string => token.uri.replace("token=keyferry", selector)
    await recipe("two HSMs", {
      BOTH: named("token=keyferry"),
      FIRST: named(`serial=${serial}`),
      SECOND: named(`serial=${second}`),
    })
    rmSync(join(token.dir, "tokens", "11111111-2222-3333-4444-555555555555"), { recursive: true })
  })

  it("says what to do when the PIN is to be changed", async () => {
    const pins = { OLD_PIN: token.pin, NEW_PIN: "another-pin-27182", PIN_FILE: token.pinFile, MODULE: token.module }
    await recipe("PIN is changed", pins)
  })
})

/** Gives a device of SoftHSM's another serial number, as its backup in another device has it; returns that. */
async function reserialled(tokens: string, device = readdirSync(tokens)[0] ?? ""): Promise<string> {
  const path = join(tokens, device, "token.object")
  const bytes = await readFile(path)
  // SoftHSM makes the serial of the last 16 digits of the device's folder, hyphens left out
  const [serial = ""] = /[0-9a-f]{16}/.exec(bytes.toString("latin1")) ?? []
  expect(serial, "no serial number").to.not.equal("")
  const other = randomBytes(8).toString("hex")
  bytes.write(other, bytes.indexOf(serial), "latin1")
  await writeFile(path, bytes)
  return other
}

const disposable = <T extends { destroy(): void }>(client: T): T & Disposable =>
  Object.assign(client, { [Symbol.dispose]: () => client.destroy() })
