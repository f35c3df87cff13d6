import { spawnSync } from "node:child_process"
import { existsSync, readFileSync, statSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { expect } from "chai"
import {
  type TestToken,
  addSofthsmToken,
  modulePath,
  nssToken,
  opencryptokiToken,
  softhsmToken,
  spy,
  tpm2Module,
} from "#test/support/tokens.js"

const mode = (file: string): string => (statSync(file).mode & 0o777).toString(8)

/** Runs a client that knows nothing of keyferry, with the token's environment and nothing else of ours. */
function client(token: TestToken, argv: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const [command = "", ...args] = [...token.prefix, ...argv]
  const { status, stdout, stderr } = spawnSync(command, args, {
    encoding: "utf8",
    env: { PATH: process.env["PATH"], ...token.env, ...env },
  })
  return { status, stdout, output: stdout + stderr }
}

const pkcs11Tool = (token: TestToken, ...args: readonly string[]): readonly string[] => [
  "pkcs11-tool",
  "--module",
  token.module,
  ...args,
]

const login = (token: TestToken, pin: string) =>
  client(token, pkcs11Tool(token, "--token-label", token.label, "--login", "--pin", "env:PIN", "--list-objects"), {
    PIN: pin,
  })

const KEYGEN = ["--keygen", "--key-type", "AES:32", "--label", "witness"]

for (const [name, open] of [
  ["SoftHSM", softhsmToken],
  ["openCryptoki", opencryptokiToken],
] as const) {
  describe(`a throw-away ${name} token`, () => {
    let token: TestToken
    before(() => {
      token = open("fixture")
    })
    after(() => token.remove())

    it("is listed under its label with its user PIN set", () => {
      const { status, stdout } = client(token, pkcs11Tool(token, "--list-token-slots"))
      expect(status).to.equal(0)
      expect(stdout).to.match(/token label +: fixture$/m)
      expect(stdout).to.match(/token flags .*PIN initialized/)
    })

    it("takes its PIN and no other", () => {
      expect(login(token, token.pin).status).to.equal(0)
      const refused = login(token, "00000000")
      expect(refused.status).to.equal(1)
      expect(refused.output).to.contain("CKR_PIN_INCORRECT")
    })

    it("takes its security officer's PIN", () => {
      const select = [
        "--token-label",
        token.label,
        "--login",
        "--login-type",
        "so",
        "--so-pin",
        "env:PIN",
        "--session-rw",
      ]
      const { status } = client(token, pkcs11Tool(token, ...select, "--list-objects"), { PIN: token.soPin! })
      expect(status).to.equal(0)
    })

    it("keeps an object from one process to the next", () => {
      const select = ["--token-label", token.label, "--login", "--pin", "env:PIN"]
      expect(client(token, pkcs11Tool(token, ...select, ...KEYGEN), { PIN: token.pin }).status).to.equal(0)
      expect(login(token, token.pin).stdout).to.match(/label: +witness/)
    })

    it("has PIN files for its owner alone", () => {
      expect(mode(token.pinFile)).to.equal("600")
      expect(mode(join(token.dir, "so-pin"))).to.equal("600")
      expect(mode(token.dir)).to.equal("700")
    })
  })
}

describe("a throw-away SoftHSM", () => {
  it("can hold a second token", () => {
    const first = softhsmToken("first")
    try {
      const second = addSofthsmToken(first, "second, & a % of it")
      expect(second.uri).to.contain("token=second%2C%20%26%20a%20%25%20of%20it?")
      expect(login(first, first.pin).status).to.equal(0)
      expect(login(second, second.pin).status).to.equal(0)
    } finally {
      first.remove()
    }
    expect(existsSync(first.dir)).to.equal(false)
  })

  it("is recorded by pkcs11-spy, in a file for its owner alone that goes with the token", () => {
    const token = spy(softhsmToken())
    const output = token.env["PKCS11SPY_OUTPUT"]!
    try {
      expect(login(token, token.pin).status).to.equal(0)
      expect(token.recording()).to.contain("C_Login").and.to.contain(token.pin)
      expect(mode(output)).to.equal("600")
      expect(token.uri).to.contain(`module-path=${modulePath("spy")}`)
    } finally {
      token.remove()
    }
    expect(existsSync(output)).to.equal(false)
    expect(existsSync(token.dir)).to.equal(false)
  })
})

describe("a throw-away openCryptoki token", () => {
  it("does not show outside its namespace", () => {
    const token = opencryptokiToken("inside-only")
    try {
      expect(client(token, pkcs11Tool(token, "--list-token-slots")).stdout).to.contain("inside-only")
      expect(client({ ...token, prefix: [] }, pkcs11Tool(token, "--list-token-slots")).output).not.to.contain(
        "inside-only",
      )
    } finally {
      token.remove()
    }
  })

  it("passes on the status of what runs in its namespace", () => {
    const token = opencryptokiToken()
    try {
      expect(client(token, ["sh", "-c", "exit 42"]).status).to.equal(42)
    } finally {
      token.remove()
    }
  })
})

/** Logs in through pkcs11js by the parameters alone, in a process of its own. */
const LOG_IN_BY_PARAMETERS = `
  import pkcs11js from "pkcs11js"
  const module = new pkcs11js.PKCS11()
  module.load(process.env.MODULE)
  module.C_Initialize({ flags: pkcs11js.CKF_OS_LOCKING_OK, libraryParameters: process.env.PARAMETERS })
  const label = (slot) => module.C_GetTokenInfo(slot).label.trim()
  const slot = module.C_GetSlotList(true).find((slot) => label(slot) === process.env.LABEL)
  const session = module.C_OpenSession(slot, pkcs11js.CKF_SERIAL_SESSION)
  module.C_Login(session, pkcs11js.CKU_USER, process.env.PIN)
  process.stdout.write(String(module.C_GetSessionInfo(session).state))
  module.C_Finalize()
`

describe("a throw-away NSS database", () => {
  let token: TestToken
  before(() => {
    token = nssToken()
  })
  after(() => token.remove())

  const certutil = (pinFile: string, ...args: readonly string[]) =>
    client(token, ["certutil", ...args, "-d", `sql:${token.dir}/db`, "-f", pinFile])

  it("takes its PIN from certutil and no other", () => {
    const made = certutil(token.pinFile, "-G", "-k", "ec", "-q", "nistp256", "-z", token.pinFile)
    expect(made.status, made.output).to.equal(0)
    expect(certutil(token.pinFile, "-K").stdout).to.match(/^< 0> ec /m)
    expect(certutil("/dev/null", "-K").output).to.contain("SEC_ERROR_BAD_PASSWORD")
  })

  it("is opened by its library parameters", () => {
    const root = fileURLToPath(new URL("../../..", import.meta.url))
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      ["--input-type=module", "-e", LOG_IN_BY_PARAMETERS],
      {
        cwd: root,
        encoding: "utf8",
        env: { MODULE: token.module, PARAMETERS: token.libraryParameters, LABEL: token.label, PIN: token.pin },
      },
    )
    expect(status, stderr).to.equal(0)
    expect(Number(stdout), "CKS_RO_USER_FUNCTIONS").to.equal(1)
  })

  it("has its parameters in the URI, trailing space included", () => {
    const encoded = /&x-library-parameters=(.*)$/.exec(token.uri)?.[1] ?? ""
    expect(decodeURIComponent(encoded))
      .to.equal(token.libraryParameters)
      .and.to.match(/flags= $/)
    expect(token.env).to.deep.equal({})
    expect(mode(token.pinFile)).to.equal("600")
    expect(readFileSync(token.pinFile, "utf8")).to.equal(`${token.pin}\n`)
  })
})

describe("the module of tpm2-pkcs11", () => {
  it("refuses to start without a TPM", () => {
    const token = tpm2Module()
    try {
      const { status, output } = client(token, pkcs11Tool(token, "--list-slots"))
      expect(status).to.equal(1)
      expect(output).to.contain("CKR_GENERAL_ERROR")
    } finally {
      token.remove()
    }
  })
})
