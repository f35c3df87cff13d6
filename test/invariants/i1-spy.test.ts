import { execFileSync } from "node:child_process"
import { existsSync, statSync } from "node:fs"
import { join } from "node:path"
import { expect } from "chai"
import { type CliResult, keyferry } from "#test/support/cli.js"
import { type LocalKmsProcess, startLocalKms } from "#test/support/local-kms.js"
import { type RecordedCall, readRecording } from "#test/support/spy-recording.js"
import { temporaryFolder } from "#test/support/temp-dir.js"
import { nssToken, softhsmToken, type SpiedToken, spy, type TestToken } from "#test/support/tokens.js"
import { examineCalls, type Findings } from "../support/i1-rules.js"
import { PROBE_PROCESS } from "../support/i1-probe-process.js"

interface Run {
  readonly make: () => TestToken
  /** A key that goes by the composed form, and one of each other family that the token carries. */
  readonly provision: readonly (readonly string[])[]
}

const SYMMETRIC = ["--key-spec", "SYMMETRIC_DEFAULT", "--prove", "full"]
const HMAC = ["--key-spec", "HMAC_384"]
const COMPOSED_EC = ["--key-spec", "ECC_NIST_P384", "--key-usage", "SIGN_VERIFY"]
const SESSION = ["--key-spec", "HMAC_256", "--custody", "session", "--expires-in", "never", "--accept-no-reimport"]
const RSA = ["--key-spec", "RSA_2048", "--key-usage", "SIGN_VERIFY"]

const RUNS: Readonly<Record<string, Run>> = {
  SoftHSM: { make: softhsmToken, provision: [SYMMETRIC, HMAC, COMPOSED_EC, SESSION] },
  NSS: { make: nssToken, provision: [SYMMETRIC, HMAC, COMPOSED_EC, RSA] },
}

/** Rules that hold line by line, so that they can be read from a recording of several threads. */
const LINE_RULES = new Set(["call that yields plaintext", "secret attribute read", "logins"])

for (const [name, { make, provision }] of Object.entries(RUNS)) {
  describe(`invariant I1 on ${name}: what pkcs11-spy records of a full run`, () => {
    const folder = temporaryFolder()
    let kms: LocalKmsProcess
    let token: SpiedToken
    before(async () => {
      kms = await startLocalKms()
    })
    after(() => kms.stop())
    beforeEach(() => {
      token = spy(make())
    })
    afterEach(() => {
      token.remove()
    })

    const run = async (...args: readonly string[]): Promise<CliResult> => {
      const env = { ...kms.env, ...token.env, KEYFERRY_TOKEN: token.uri, KEYFERRY_STATE_DIR: join(folder(), "state") }
      const result = await keyferry([...args, "--json"], { env, cwd: folder() })
      expect(result.status, `${args.join(" ")}: ${result.stderr}`).to.equal(0)
      return result
    }
    /** What was recorded, a process each; the text, which holds the PIN, goes nowhere. */
    const recorded = (): readonly (readonly RecordedCall[])[] => readRecording(token.recording())
    const fingerprintOf = (result: CliResult): string =>
      (result.json() as { wrappingKeyFingerprint: string }).wrappingKeyFingerprint

    it("reads no secret attribute, decrypts nothing, and makes every key sensitive", async () => {
      const lent: string[] = []
      for (const [index, flags] of provision.entries()) {
        const custody = flags.includes("--custody") ? [] : ["--custody", "token"]
        const key = ["--name", `key-${index}`, ...custody, ...flags, "--wrapping-key-spec", "RSA_2048"]
        lent.push(fingerprintOf(await run("provision", ...key)))
      }
      // the three steps, with a key of the composed form
      const spec = ["--name", "steps", "--key-spec", "ECC_NIST_P384"]
      await run("key", "generate", ...spec, "--custody", "token", "--wrapping-key-spec", "RSA_2048")
      const wrapping = ["--key-usage", "SIGN_VERIFY", "--wrapping-key-spec", "RSA_2048"]
      await run("params", ...spec, ...wrapping, "--out", "steps.json")
      const files = ["--name", "steps", "--parameters", "steps.json"]
      lent.push(fingerprintOf(await run("wrap", ...files, "--out", "steps.bin")))
      await run("import", ...files, "--wrapped", "steps.bin")
      await run("key", "generate", "--name", "spare", "--key-spec", "SYMMETRIC_DEFAULT", "--custody", "token")
      await run("key", "show", "--name", "spare")
      await run("key", "destroy", "--name", "spare", "--yes")
      await run("key", "list")
      await run("token", "list")

      const findings = recorded().map(examineCalls)
      expect(findings.flatMap(({ violations }) => violations)).to.deep.equal([])
      const made = total(findings)
      expect(made.source).to.equal(provision.length + 2)
      expect(made.ephemeral).to.be.greaterThan(1)
      expect(made["throw-away"]).to.be.greaterThan(1)
      // a source key left once for each import, twice for the full proof, and only under what KMS lent for it
      const left = findings.flatMap(({ sourceKeysLeftUnder }) => sourceKeysLeftUnder)
      expect(left).to.have.length(lent.length + 1)
      expect(left).to.include.members(lent)
    })

    it("does so in the self-test of every path and in the custody probe", () => {
      const env = { ...process.env, ...token.env, PROBE_URI: token.uri, PROBE_PIN: token.pin }
      const usable = execFileSync(process.execPath, [PROBE_PROCESS], { env, encoding: "utf8" })
      expect(Number(usable)).to.be.greaterThan(5)
      const findings = recorded().map(examineCalls)
      expect(findings.flatMap(({ violations }) => violations)).to.deep.equal([])
      expect(total(findings)).to.include({ source: 0 })
      expect(findings.flatMap(({ sourceKeysLeftUnder }) => sourceKeysLeftUnder)).to.deep.equal([])
    })

    it("does so where keys are sealed, unsealed and wrapped", () => {
      const env = { ...process.env, ...token.env, PROBE_URI: token.uri, PROBE_PIN: token.pin, PROBE_SEALS: "1" }
      execFileSync(process.execPath, [PROBE_PROCESS], { env, encoding: "utf8" })
      execFileSync(process.execPath, [PROBE_PROCESS], { env, encoding: "utf8" })
      const findings = recorded().map(examineCalls)
      expect(findings.flatMap(({ violations }) => violations)).to.deep.equal([])
      expect(total(findings)).to.include({ source: 4, custody: 1, unsealed: 8 })
      expect(findings.flatMap(({ sourceKeysLeftUnder }) => sourceKeysLeftUnder)).to.have.length(4)
    })

    it("does so where doctor tests many paths side by side, as far as threads leave lines readable", async () => {
      await run("doctor")
      const violations = recorded().flatMap((calls) => examineCalls(calls).violations)
      expect(violations.filter(({ rule }) => LINE_RULES.has(rule))).to.deep.equal([])
    })

    it("keeps the recording to its owner, and does not keep it", () => {
      const path = token.env["PKCS11SPY_OUTPUT"]!
      expect(statSync(path).mode & 0o777).to.equal(0o600)
      token.remove()
      expect(existsSync(path)).to.equal(false)
    })
  })
}

function total(findings: readonly Findings[]): Record<keyof Findings["made"], number> {
  const roles = [
    "source",
    "unsealed",
    "custody",
    "ephemeral",
    "throw-away",
    "throw-away custody",
    "wrapping",
    "public half",
  ] as const
  const sum = (role: (typeof roles)[number]): number => findings.reduce((count, { made }) => count + made[role], 0)
  return Object.fromEntries(roles.map((role) => [role, sum(role)])) as ReturnType<typeof total>
}
