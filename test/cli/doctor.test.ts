import { spawnSync } from "node:child_process"
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect } from "chai"
import { type CliResult, keyferry } from "#test/support/cli.js"
import { type LocalKmsProcess, startLocalKms } from "#test/support/local-kms.js"
import { temporaryFolder } from "#test/support/temp-dir.js"
import { nssToken, opencryptokiToken, softhsmToken, type TestToken, tpm2Module } from "#test/support/tokens.js"

interface Check {
  readonly id: string
  readonly status: "ok" | "warn" | "fail"
  readonly message: string
  readonly hint: string | null
}

/** What a token carries and enforces, as it was measured of the versions that Debian 12 has. */
interface Expected {
  readonly make: () => TestToken
  readonly library: RegExp
  /** Key specs it carries, each with the algorithm that `auto` takes. */
  readonly carried: Readonly<Record<string, string>>
  /** Key specs it refuses, with the words or the answer that say why. */
  readonly refused: readonly (readonly [keySpecs: string, why: string])[]
  /** What it does not enforce; nothing for a token that enforces all. */
  readonly unenforced: readonly string[]
  /** Why custody `sealed` is refused; null where it is not. */
  readonly unsealed: string | null
}

const PADS = "CKM_AES_KEY_WRAP_PAD pads the value with zero bytes before wrapping"

const secretKeys = (algorithm: string): Record<string, string> =>
  Object.fromEntries(
    ["SYMMETRIC_DEFAULT", "HMAC_224", "HMAC_256", "HMAC_384", "HMAC_512"].map((keySpec) => [keySpec, algorithm]),
  )

const EXPECTED: Readonly<Record<string, Expected>> = {
  "SoftHSM 2.6.1": {
    make: softhsmToken,
    library: /^\/.*libsofthsm2\.so loads: \S.* 2\.6$/,
    carried: {
      ...secretKeys("RSAES_OAEP_SHA_1"),
      ECC_NIST_P384: "RSA_AES_KEY_WRAP_SHA_1",
      ECC_SECG_P256K1: "RSA_AES_KEY_WRAP_SHA_1",
    },
    refused: [
      ["RSA_2048, RSA_3072, RSA_4096", PADS],
      ["ECC_NIST_P256, ECC_NIST_P521", PADS],
      ["ECC_NIST_EDWARDS25519", "CKR_KEY_NOT_WRAPPABLE"],
    ],
    unenforced: [],
    unsealed: null,
  },
  "NSS 3.87": {
    make: nssToken,
    library: /^\/.*libsoftokn3\.so loads: NSS \S/,
    carried: {
      ...secretKeys("RSAES_OAEP_SHA_256"),
      ...Object.fromEntries(
        ["RSA_2048", "RSA_3072", "RSA_4096", "ECC_NIST_P256", "ECC_NIST_P384", "ECC_NIST_P521"].map((keySpec) => [
          keySpec,
          "RSA_AES_KEY_WRAP_SHA_256",
        ]),
      ),
    },
    refused: [
      ["ECC_SECG_P256K1", "cannot generate: CKR_DOMAIN_PARAMS_INVALID"],
      ["ECC_NIST_EDWARDS25519", "cannot generate: CKR_MECHANISM_INVALID"],
    ],
    unenforced: ["CKA_EXTRACTABLE is false", "from false to true", "CKA_WRAP_WITH_TRUSTED", "CKA_LOCAL"],
    unsealed: "wraps a key whose CKA_EXTRACTABLE is false",
  },
  "openCryptoki 3.8.1": {
    make: opencryptokiToken,
    library: /^\/.*libopencryptoki\.so loads: \S.* 3\.8$/,
    carried: Object.fromEntries(
      Object.entries(secretKeys("RSAES_OAEP_SHA_256")).filter(([keySpec]) => keySpec !== "HMAC_224"),
    ),
    refused: [
      ["HMAC_224", "the token cannot compute HMAC_SHA_224"],
      ["RSA_2048, RSA_3072, RSA_4096", "the token has no CKM_AES_KEY_WRAP_KWP"],
      [
        "ECC_NIST_P256, ECC_NIST_P384, ECC_NIST_P521, ECC_SECG_P256K1, ECC_NIST_EDWARDS25519",
        "cannot generate: CKR_MECHANISM_INVALID",
      ],
    ],
    unenforced: ["could not be asked", "CKA_LOCAL"],
    unsealed: "the token has no CKM_AES_KEY_WRAP_KWP",
  },
}

const checksOf = (result: CliResult): readonly Check[] => (result.json() as { checks: Check[] }).checks
const checkOf = (checks: readonly Check[], id: string): Check => {
  const found = checks.find((check) => check.id === id)
  if (found === undefined) throw new Error(`no check ${id} among ${checks.map((check) => check.id).join(", ")}`)
  return found
}
const idsBy = (checks: readonly Check[], status: Check["status"]): readonly string[] => [
  ...new Set(checks.filter((check) => check.status === status).map(({ id }) => id)),
]

/** Each check is one line, each failure and warning has its fix, and nothing that is well has one. */
function assertForm(checks: readonly Check[]): void {
  for (const { id, status, message, hint } of checks) {
    expect(message, id).to.match(/^\S[^\n]*[^\n.]$/)
    if (status === "ok") expect(hint, id).to.equal(null)
    else
      expect(hint, id)
        .to.match(/^\S[^\n]*[^\n.]$/)
        .and.not.include("keyferry doctor")
  }
}

describe("doctor", () => {
  const folder = temporaryFolder()
  let kms: LocalKmsProcess
  before(async () => {
    kms = await startLocalKms()
  })
  after(() => kms.stop())

  const run = (token: TestToken | null, args: readonly string[], env: Readonly<Record<string, string>> = {}) =>
    keyferry(["doctor", ...args], {
      env: {
        ...token?.env,
        ...(token === null ? {} : { KEYFERRY_TOKEN: token.uri }),
        KEYFERRY_STATE_DIR: join(folder(), "state"),
        ...env,
      },
      prefix: token?.prefix ?? [],
    })

  for (const [name, { make, library, carried, refused, unenforced, unsealed }] of Object.entries(EXPECTED)) {
    describe(`on ${name}`, () => {
      let token: TestToken
      before(() => {
        token = make()
      })
      after(() => token.remove())

      it("says what is true of token and KMS, as JSON and as text", async () => {
        const result = await run(token, ["--json"], kms.env)
        expect(result.status, result.stderr).to.equal(0)
        const checks = checksOf(result)
        assertForm(checks)
        expect(idsBy(checks, "fail")).to.deep.equal([])
        expect(idsBy(checks, "ok")).to.include.members(["library", "token", "pin", "login", "mechanisms", "custody"])
        expect(idsBy(checks, "ok")).to.include.members(["aws-identity", "kms", "clock", "state", "leftovers"])

        expect(checkOf(checks, "library").message).to.match(library)
        expect(checkOf(checks, "token").message).to.include(`"${token.label}"`).and.include("login required")
        expect(checkOf(checks, "claims").message).to.include("CKM_RSA_PKCS_OAEP")
        const proven = checkOf(checks, "mechanisms")
          .message.replace(/^[^:]*: /, "")
          .split("; ")
        const byKeySpec = proven.flatMap((part) => {
          const [algorithm = "", keySpecs = ""] = part.split(" for ")
          return keySpecs.split(", ").map((keySpec) => [keySpec, algorithm])
        })
        expect(Object.fromEntries(byKeySpec)).to.deep.equal(carried)
        const refusals = checks
          .filter(({ id }) => id === "mechanisms-refused")
          .map(({ message }) => message.split(": "))
        expect(refusals.map(([keySpecs]) => keySpecs)).to.have.members(refused.map(([keySpecs]) => keySpecs))
        for (const [keySpecs, why] of refused) {
          const found = checks.find(({ message }) => message.startsWith(`${keySpecs}: `))
          expect(found?.message, keySpecs).to.include(why)
        }
        const enforcement = checkOf(checks, "enforcement")
        expect(enforcement.status).to.equal(unenforced.length === 0 ? "ok" : "warn")
        for (const words of unenforced) expect(enforcement.message).to.include(words)
        expect(checkOf(checks, "custody").message).to.match(/token.* and session custody/)
        const { message = null } =
          checks.find((check) => check.id === "custody-refused" && check.message.startsWith("sealed custody: ")) ?? {}
        if (unsealed === null) expect(message).to.equal(null)
        else expect(message).to.include(unsealed)
        expect(checkOf(checks, "aws-identity").message).to.include("111122223333")
        expect(checkOf(checks, "kms").message).to.include(kms.endpoint)

        const text = await run(token, [], kms.env)
        expect(text.status).to.equal(0)
        const lines = text.stdout.trimEnd().split("\n")
        expect(lines).to.have.length(checks.length + checks.filter(({ hint }) => hint !== null).length)
        for (const { id, status, message, hint } of checks) {
          const at = lines.findIndex(
            (line) => line.startsWith(status) && line.includes(` ${id} `) && line.endsWith(message),
          )
          expect(at, `${id}: ${message}`).to.be.greaterThan(-1)
          if (hint !== null) expect(lines[at + 1]!.trim()).to.equal(`fix: ${hint}`)
        }
      })
    })
  }

  describe("where something is missing", () => {
    it("KMS and token not named: says so and checks the rest", async () => {
      const result = await run(null, ["--json"])
      expect(result.status).to.equal(0)
      const checks = checksOf(result)
      assertForm(checks)
      expect(idsBy(checks, "warn")).to.include.members(["library", "kms"])
      expect(idsBy(checks, "fail")).to.deep.equal([])
    })

    it("tpm2-pkcs11's module without a token: fails at the library, and still looks at KMS", async () => {
      const token = tpm2Module()
      try {
        const result = await run(token, ["--json"], kms.env)
        expect(result.status).to.equal(69)
        const checks = checksOf(result)
        assertForm(checks)
        expect(idsBy(checks, "fail")).to.deep.equal(["library"])
        expect(checkOf(checks, "library").message).to.include(token.module).and.include("CKR_GENERAL_ERROR")
        expect(checkOf(checks, "kms").status).to.equal("ok")
        expect(checks.some(({ id }) => id === "login" || id === "mechanisms")).to.equal(false)
      } finally {
        token.remove()
      }
    })

    const paths: readonly (readonly [what: string, path: () => string])[] = [
      ["a path that does not exist", () => "/nonexistent/libtoken.so"],
      ["a file that is no library", () => "/etc/passwd"],
      ["a folder", () => folder()],
      ["a library that speaks no PKCS #11", () => otherLibrary()],
    ]
    for (const [what, path] of paths) {
      it(`${what}: fails at the library with its fix`, async () => {
        const uri = `pkcs11:token=any?module-path=${path()}`
        for (const env of [{}, kms.env]) {
          const result = await run(null, ["--json", "--token", uri], env)
          expect(result.status, result.stderr).to.equal(69)
          const checks = checksOf(result)
          assertForm(checks)
          expect(idsBy(checks, "fail")).to.deep.equal(["library"])
          expect(checkOf(checks, "library").message).to.include(path())
          expect(checkOf(checks, "library").hint).to.include("module-path")
        }
      })
    }

    it("KMS out of reach: 69, and the token is still looked at", async () => {
      const result = await run(null, ["--json"], { ...kms.env, AWS_ENDPOINT_URL: "http://127.0.0.1:9" })
      expect(result.status).to.equal(69)
      const checks = checksOf(result)
      assertForm(checks)
      expect(idsBy(checks, "fail")).to.include.members(["aws-identity", "kms"])
      expect(idsBy(checks, "warn")).to.include("library")
    })

    it("a plain http endpoint elsewhere: refused, 78", async () => {
      const result = await run(null, ["--json"], { ...kms.env, AWS_ENDPOINT_URL: "http://kms.example.com" })
      expect(result.status).to.equal(78)
      expect(idsBy(checksOf(result), "fail")).to.deep.equal(["kms"])
    })

    it("no AWS credentials: 77", async () => {
      const env = Object.entries(kms.env).filter(([name]) => !/^AWS_(ACCESS_KEY_ID|SECRET_ACCESS_KEY)$/.test(name))
      const result = await run(null, ["--json"], Object.fromEntries(env))
      expect(result.status, result.stdout).to.equal(77)
      assertForm(checksOf(result))
    })

    it("a clock that is wrong: fails past five minutes, 78", async () => {
      await kms.clock.advance(3600)
      try {
        const result = await run(null, ["--json"], kms.env)
        expect(result.status).to.equal(78)
        const checks = checksOf(result)
        assertForm(checks)
        expect(checkOf(checks, "clock").status).to.equal("fail")
        expect(checkOf(checks, "clock").message).to.match(/ 3(599|600|601) s behind /)
      } finally {
        await kms.clock.advance(-3600)
      }
    })
  })

  describe("on SoftHSM with a fault", () => {
    let token: TestToken
    before(() => {
      token = softhsmToken()
    })
    after(() => token.remove())

    it("no such token: 69, and those that there are are named", async () => {
      const result = await run({ ...token, uri: token.uri.replace(`token=${token.label}`, "token=other") }, ["--json"])
      expect(result.status).to.equal(69)
      const checks = checksOf(result)
      assertForm(checks)
      expect(idsBy(checks, "fail")).to.deep.equal(["token"])
      expect(checkOf(checks, "token").message).to.include(`"${token.label}"`)
    })

    it("a wrong PIN: 77 at the login, and not presented by the next run", async () => {
      const wrong = join(folder(), "wrong-pin")
      writeFileSync(wrong, "00000000\n", { mode: 0o600 })
      const first = await run(token, ["--json", "--pin-source", `file:${wrong}`])
      expect(first.status).to.equal(77)
      expect(idsBy(checksOf(first), "fail")).to.deep.equal(["login"])
      expect(checkOf(checksOf(first), "login").message).to.include("CKR_PIN_INCORRECT")
      const second = await run(token, ["--json", "--pin-source", `file:${wrong}`])
      expect(second.status).to.equal(77)
      expect(checkOf(checksOf(second), "login").message).to.not.include("CKR_PIN_INCORRECT")
      for (const result of [first, second]) {
        assertForm(checksOf(result))
        expect(result.stdout + result.stderr).to.not.include("00000000")
      }
    })

    it("a PIN source that is not there: 77", async () => {
      const result = await run(token, ["--json", "--pin-source", "env:NO_SUCH_VARIABLE"])
      expect(result.status).to.equal(77)
      expect(idsBy(checksOf(result), "fail")).to.deep.equal(["login"])
      assertForm(checksOf(result))
    })

    it("an inventory that is damaged: fails with the file's name, 65", async () => {
      const target = join(folder(), "state", "inventory", "us-east-1")
      mkdirSync(target, { recursive: true, mode: 0o700 })
      writeFileSync(join(target, "payments.json"), "{", { mode: 0o600 })
      const result = await run(null, ["--json"])
      expect(result.status, result.stdout).to.equal(65)
      const checks = checksOf(result)
      assertForm(checks)
      expect(checkOf(checks, "leftovers").message).to.include("payments.json")
    })
  })

  describe("on openCryptoki, which counts wrong PINs", () => {
    let token: TestToken
    beforeEach(() => {
      token = opencryptokiToken()
    })
    afterEach(() => token.remove())

    /** Another program of the machine that tries a PIN. */
    const elsewhere = (pin: string): void => {
      const [command = "", ...prefix] = token.prefix
      const tool = ["pkcs11-tool", "--module", token.module, "--slot", "3", "--login", "--pin", "env:OTHER", "-O"]
      spawnSync(command, [...prefix, ...tool], { env: { ...process.env, OTHER: pin } })
    }

    it("presents a wrong PIN once, warns, then leaves the last try and a locked PIN alone", async () => {
      const file = join(folder(), "pin")
      writeFileSync(file, "wrong1\n", { mode: 0o600 })
      const source = ["--json", "--pin-source", `file:${file}`]
      const look = async (...more: readonly string[]): Promise<readonly Check[]> => {
        const result = await run(token, [...source, ...more])
        expect(result.status, result.stdout).to.equal(77)
        assertForm(checksOf(result))
        return checksOf(result)
      }
      const first = await look()
      expect(checkOf(first, "pin").status).to.equal("ok")
      expect(checkOf(first, "login").message).to.include("CKR_PIN_INCORRECT")

      // had the marker not held this back, the flag would say last try after it
      for (const again of [await look(), await look()]) {
        expect(checkOf(again, "pin").status).to.equal("warn")
        expect(checkOf(again, "token").message).to.not.include("last try")
        expect(checkOf(again, "login").message).to.not.include("CKR_")
      }

      // the file changed: its new PIN may be presented, once more
      writeFileSync(file, "wrong2\n", { mode: 0o600 })
      expect(checkOf(await look(), "login").message).to.include("CKR_PIN_INCORRECT")

      const last = await look("--retry-pin")
      expect(idsBy(last, "fail")).to.deep.equal(["pin"])
      expect(checkOf(last, "pin").message).to.include("CKF_USER_PIN_FINAL_TRY")
      const provision = ["provision", "--name", "k", "--key-spec", "SYMMETRIC_DEFAULT", "--custody", "token", "--json"]
      const refused = await keyferry([...provision, "--retry-pin"], {
        env: { ...kms.env, KEYFERRY_TOKEN: token.uri, KEYFERRY_STATE_DIR: join(folder(), "state") },
        prefix: token.prefix,
      })
      expect(refused.status).to.equal(77)
      expect(refused.error().code).to.equal("ERR_TOKEN_PIN_FINAL_TRY")
      // neither of the two presented it: the token is not locked
      expect(checkOf(await look(), "pin").message).to.include("CKF_USER_PIN_FINAL_TRY")

      elsewhere("wrong3")
      const locked = await look("--retry-pin")
      expect(checkOf(locked, "pin").message).to.include("CKF_USER_PIN_LOCKED")
      expect(checkOf(locked, "pin").hint).to.include("security officer")
    })

    it("carries an AES key to KMS by OAEP with SHA-256, and proves it", async () => {
      const flags = ["--name", "k", "--key-spec", "SYMMETRIC_DEFAULT", "--custody", "token", "--prove", "full"]
      const result = await keyferry(["provision", ...flags, "--json"], {
        env: { ...kms.env, KEYFERRY_TOKEN: token.uri, KEYFERRY_STATE_DIR: join(folder(), "state") },
        prefix: token.prefix,
      })
      expect(result.status, result.stderr).to.equal(0)
      expect(result.json()).to.deep.include({
        wrappingAlgorithm: "RSAES_OAEP_SHA_256",
        wrapPath: "oaep",
        proof: { kind: "key-material-id", result: "proven" },
      })
    })
  })
})

/** A shared library that node itself has loaded on Linux. */
function otherLibrary(): string {
  const path = /\s(\/\S*libm\.so\S*)$/m.exec(readFileSync("/proc/self/maps", "utf8"))?.[1]
  if (path === undefined) throw new Error("node has not loaded libm")
  return path
}
