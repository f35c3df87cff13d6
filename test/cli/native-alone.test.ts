import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect } from "chai"
import type { CliResult } from "#test/support/cli.js"
import { lyingToken } from "#test/support/liar.js"
import { provisionArgs, refused } from "#test/support/refusal.js"
import { setStage, type Stage } from "#test/support/stage.js"

const SEALS_NOTHING = /the token has no CKM_AES_KEY_WRAP_KWP \(C_WrapKey: CKR_MECHANISM_INVALID\)/

/** A token with CKM_RSA_AES_KEY_WRAP alone, as YubiHSM 2 has it: no OAEP, no RFC 5649, so that nothing is composed. */
describe("a token with the native RSA_AES_KEY_WRAP alone", () => {
  let stage: Stage
  let state: string
  let env: Readonly<Record<string, string>>
  let config: string

  before(async () => {
    stage = await setStage()
    state = stage.state()
    const lying = lyingToken(stage.token)
    env = { ...lying.env, LIAR: "native alone", KEYFERRY_TOKEN: "" }
    config = join(stage.folder, "keyferry.yaml")
    const token = `  yubihsm: { uri: "${lying.uri}", profile: yubihsm2 }\n`
    const keys = `  kept: { keySpec: ECC_NIST_P384, keyUsage: SIGN_VERIFY, custody: token }\n`
    const targets = `targets: { main: { region: us-east-1 } }\n`
    writeFileSync(config, `version: 1\ntokens:\n${token}${targets}keys:\n${keys}`)
  })
  after(() => stage[Symbol.asyncDispose]())

  const run = async (...args: readonly string[]): Promise<Record<string, unknown>> => {
    const result: CliResult = await stage.run([...args, "--config", config, "--json"], { state, env })
    expect(result.status, result.stderr).to.equal(0)
    return result.json() as Record<string, unknown>
  }
  const args = (name: string, custody: string, keySpec = "ECC_NIST_P384"): readonly string[] =>
    provisionArgs({
      name,
      custody,
      "key-spec": keySpec,
      ...(keySpec === "ECC_NIST_P384" ? { "key-usage": "SIGN_VERIFY" } : {}),
    })

  it("is probed by it: which key specs, by what, and which custody", async () => {
    const probe = (await run("token", "probe")) as unknown as {
      capabilities: { keySpec: string; usable: boolean; wrapPath: string | null; mechanisms: string[] }[]
      custody: { custody: string; enforced: boolean; reason: string }[]
      custodyFacts: Record<string, boolean | null>
    }
    const usable = probe.capabilities.filter((capability) => capability.usable)
    // SoftHSM's key wrap, which the module calls, is exact where the length is a multiple of eight
    expect(new Set(usable.map(({ keySpec }) => keySpec))).to.deep.equal(new Set(["ECC_NIST_P384", "ECC_SECG_P256K1"]))
    expect(usable).to.have.length(2 * 3)
    for (const { wrapPath, mechanisms } of usable) {
      expect([wrapPath, ...mechanisms]).to.deep.equal(["native", "CKM_RSA_AES_KEY_WRAP"])
    }
    expect(Object.values(probe.custodyFacts).filter((fact) => fact === false)).to.deep.equal([])
    expect(probe.custodyFacts).to.include({ extractableFalseRefusesWrap: true, wrapWithTrustedEnforced: true })
    const enforced = Object.fromEntries(probe.custody.map((verdict) => [verdict.custody, verdict.enforced]))
    expect(enforced).to.deep.equal({ sealed: false, token: true, locked: true, session: true })
    expect(probe.custody[0]!.reason).to.match(SEALS_NOTHING)
  })

  it("is said by doctor to be of use for all custody but sealed, and why", async () => {
    const { checks } = (await run("doctor")) as { checks: { id: string; status: string; message: string }[] }
    const messages = (id: string): readonly string[] =>
      checks.filter((check) => check.id === id).map(({ status, message }) => `${status}: ${message}`)
    expect(messages("custody").join()).to.match(/^ok: token, locked and session custody/)
    expect(messages("custody-refused")).to.have.length(1)
    expect(messages("custody-refused")[0])
      .to.match(/^warn: sealed custody: /)
      .and.match(SEALS_NOTHING)
    expect(messages("enforcement").join()).to.match(/^ok/)
    expect(messages("mechanisms").join()).to.include("RSA_AES_KEY_WRAP_SHA_1 for ECC_NIST_P384, ECC_SECG_P256K1")
  })

  it("carries a key of custody token, and carries it again after its material was deleted", async () => {
    const made = await run(...args("kept", "token"))
    expect(made).to.include({ wrapPath: "native", custody: "token" })
    expect(made).to.deep.include({ proof: { kind: "public-key", result: "proven" } })
    await stage.sdk.deleteImportedKeyMaterial({ KeyId: String(made["keyArn"]) })
    await run("recover", "--yes")
    const { KeyMetadata } = await stage.sdk.describeKey({ KeyId: String(made["keyArn"]) })
    expect(KeyMetadata?.KeyState).to.equal("Enabled")
  })

  it("locks a key, which then leaves by nothing", async () => {
    const made = await run(...args("locked", "locked"), "--accept-no-reimport", "--expires-in", "never")
    expect(made).to.include({ wrapPath: "native", custody: "locked" })
    const source = made["sourceKey"] as { attributes: { extractable: boolean } }
    expect(source.attributes.extractable).to.equal(false)
  })

  it("is refused for custody sealed by what it lacks, and nothing is made", async () => {
    const options = { state, env }
    const why = { code: "ERR_CUSTODY_REFUSED", exit: 78, tells: SEALS_NOTHING } as const
    const { hint } = (await refused(stage, [...args("sealed", "sealed"), "--config", config], why, options)).error()
    expect(hint).to.include("--custody token")
  })

  it("is refused for a key that KMS takes by OAEP alone", async () => {
    const why = { code: "ERR_NO_USABLE_ALGORITHM", exit: 65, tells: /the token has no CKM_RSA_PKCS_OAEP/ } as const
    const aes = [...args("aes", "token", "SYMMETRIC_DEFAULT"), "--config", config]
    await refused(stage, aes, why, { state, env })
  })
})
