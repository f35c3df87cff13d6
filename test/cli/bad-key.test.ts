import { execFileSync } from "node:child_process"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect } from "chai"
import { nssToken, softhsmToken, type TestToken } from "#test/support/tokens.js"
import { makePkcs8, spkiOf } from "../support/local-kms-fixture.js"
import { inParallel, sharedLane } from "../support/in-parallel.js"
import { provisionArgs, refused, type Refusal } from "../support/refusal.js"
import { setStage, type Stage } from "../support/stage.js"

type Options = Readonly<Record<string, string | true>>

const EC = { "key-usage": "SIGN_VERIFY" }
const USAGE = { code: "ERR_USAGE", exit: 64 } as const
const EXPIRY = { code: "ERR_EXPIRY_INVALID", exit: 64 } as const
const UNCLEAN = { code: "ERR_NO_USABLE_ALGORITHM", exit: 65 } as const
const NOT_ALLOWED = { code: "ERR_ALGORITHM_NOT_ALLOWED", exit: 65 } as const
const TAKEN = { code: "ERR_NAME_TAKEN", exit: 65 } as const
const NOT_UNDERSTOOD = { code: "ERR_NOT_ACKNOWLEDGED", exit: 78, tells: /--accept-no-reimport/ } as const

const inDays = (days: number): string => new Date(Date.now() + days * 86_400_000).toISOString()

describe("bad input: what the key is to be", () => {
  let stage: Stage
  before(async () => {
    stage = await setStage()
  })
  after(() => stage[Symbol.asyncDispose]())

  const refusals: readonly (readonly [theme: string, rows: readonly (readonly [Options, Refusal])[]])[] = [
    [
      "a key that SoftHSM 2.6.1 does not carry cleanly",
      [
        [
          { "key-spec": "ECC_NIST_P256", ...EC },
          { ...UNCLEAN, tells: /pads the value with zero bytes/ },
        ],
        [{ "key-spec": "ECC_NIST_P521", ...EC }, UNCLEAN],
        [
          { "key-spec": "RSA_2048", ...EC },
          { ...UNCLEAN, tells: /pads the value with zero bytes/ },
        ],
        [{ "key-spec": "RSA_4096", "key-usage": "ENCRYPT_DECRYPT" }, UNCLEAN],
        [{ "key-spec": "ECC_NIST_EDWARDS25519" }, UNCLEAN],
        [{ "wrapping-algorithm": "RSAES_OAEP_SHA_256" }, { ...UNCLEAN, tells: /refuses .*SHA-256.*CKR_ARGUMENTS_BAD/ }],
      ],
    ],
    [
      "an algorithm that KMS does not take for the key spec",
      [
        [{ "wrapping-algorithm": "RSA_AES_KEY_WRAP_SHA_256" }, { ...NOT_ALLOWED, tells: /RSAES_OAEP_SHA_256/ }],
        [{ "key-spec": "HMAC_256", "wrapping-algorithm": "RSA_AES_KEY_WRAP_SHA_1" }, NOT_ALLOWED],
        [{ "key-spec": "RSA_2048", ...EC, "wrapping-algorithm": "RSAES_OAEP_SHA_256" }, NOT_ALLOWED],
        [
          {
            "key-spec": "ECC_NIST_P521",
            ...EC,
            "wrapping-algorithm": "RSAES_OAEP_SHA_1",
            "wrapping-key-spec": "RSA_2048",
          },
          NOT_ALLOWED,
        ],
      ],
    ],
    [
      "an expiry that KMS would refuse, or that is none",
      [
        [{ "expires-in": "0d" }, EXPIRY],
        [{ "expires-in": "365d" }, { ...EXPIRY, tells: /365 days/ }],
        [{ "expires-in": "400d" }, EXPIRY],
        [{ "expires-in": "2020-01-01T00:00:00Z" }, { ...EXPIRY, tells: /future/ }],
        [{ "expires-in": inDays(400) }, EXPIRY],
        [{ "expires-in": "90" }, EXPIRY],
        [{ "expires-in": "-5d" }, EXPIRY],
        [{ "expires-in": "tomorrow" }, EXPIRY],
      ],
    ],
    [
      "a custody whose conditions are not met",
      [
        [{ custody: "locked" }, NOT_UNDERSTOOD],
        [{ custody: "locked", "accept-no-reimport": true }, NOT_UNDERSTOOD],
        [{ custody: "locked", "expires-in": "never" }, NOT_UNDERSTOOD],
        [{ custody: "sealed", "local-use": true }, USAGE],
        [{ custody: "session" }, NOT_UNDERSTOOD],
        [{ custody: "session", "accept-no-reimport": true }, NOT_UNDERSTOOD],
        [{ custody: "session", "expires-in": "never" }, NOT_UNDERSTOOD],
      ],
    ],
    [
      "a command line that is wrong",
      [
        [{ name: "../etc/passwd" }, USAGE],
        [{ name: "" }, USAGE],
        [{ name: "a".repeat(64) }, USAGE],
        [{ "key-spec": "AES_256" }, USAGE],
        [{ "key-spec": "ECC_NIST_P384" }, { ...USAGE, tells: /SIGN_VERIFY or KEY_AGREEMENT/ }],
        [{ "key-spec": "HMAC_256", "key-usage": "SIGN_VERIFY" }, USAGE],
        [{ alias: "alias/aws/mine" }, USAGE],
        [{ alias: "alias/with space" }, USAGE],
        [{ tag: "no-value" }, USAGE],
        [{ tag: "keyferry:owner=me" }, USAGE],
        [{ expires: "90d" }, USAGE],
        [{ "wrapping-key-spec": "RSA_1024" }, USAGE],
      ],
    ],
  ]
  for (const [theme, rows] of refusals) {
    describe(theme, () => {
      inParallel(rows, {
        width: 1,
        name: ([options]) =>
          Object.entries(options)
            .map(([name, value]) => `--${name}${value === true ? "" : ` ${value}`}`)
            .join(" "),
        lane: sharedLane,
        run: async ([options, refusal]) => {
          await refused(stage, provisionArgs(options), refusal)
        },
      })
    })
  }

  it("options that are missing are all named", async () => {
    const result = await refused(stage, ["provision"], USAGE)
    expect(result.error().message).to.match(/name.*key-spec/)
  })

  it("a session key without provision", async () => {
    const args = ["key", "generate", "--name", "k", "--key-spec", "HMAC_256", "--custody", "session"]
    await refused(stage, args, { code: "ERR_CUSTODY_REFUSED", exit: 78, tells: /provision/ })
  })

  it("secp256k1 on NSS", async () => {
    const nss = nssToken()
    try {
      const args = provisionArgs({ "key-spec": "ECC_SECG_P256K1", ...EC, token: nss.uri })
      await refused(stage, args, { ...UNCLEAN, tells: /secp256k1|curve|CKR_/i })
    } finally {
      nss.remove()
    }
  })

  describe("a name that is taken", () => {
    let state: string
    before(async () => {
      state = stage.state()
      expect((await stage.run(provisionArgs({ name: "taken" }), { state })).status).to.equal(0)
    })
    const rows: readonly (readonly [Options, RegExp])[] = [
      [{ "key-spec": "HMAC_256" }, /SYMMETRIC_DEFAULT/],
      [{ custody: "session", "accept-no-reimport": true, "expires-in": "never" }, /custody token, not session/],
      [{ alias: "alias/other" }, /alias none, not alias\/other/],
      [{ "multi-region": true }, /multi-Region false, not true/],
    ]
    for (const [options, tells] of rows) {
      it(`by a key with other flags: ${JSON.stringify(options)}`, async () => {
        await refused(stage, provisionArgs({ name: "taken", ...options }), { ...TAKEN, tells }, { state })
      })
    }

    it("by a key of another token", async () => {
      const other = softhsmToken("other")
      try {
        const env = { ...other.env, KEYFERRY_TOKEN: other.uri }
        await refused(stage, provisionArgs({ name: "taken" }), { ...TAKEN, tells: /keyferry/ }, { state, env })
      } finally {
        other.remove()
      }
    })

    it("by a source key, for another one", async () => {
      const args = ["key", "generate", "--name", "taken", "--key-spec", "SYMMETRIC_DEFAULT", "--custody", "token"]
      await refused(stage, args, TAKEN, { state })
    })

    it("by a source key of another key spec, where the state is lost", async () => {
      await refused(stage, provisionArgs({ name: "taken", "key-spec": "HMAC_256" }), TAKEN)
    })
  })

  describe("a label that something else in the token has", () => {
    it("an object that is no source key", async () => {
      const spki = join(stage.folder, "public.der")
      writeFileSync(spki, spkiOf(makePkcs8("ECC_NIST_P384")))
      pkcs11Tool(stage.token, "--write-object", spki, "--type", "pubkey", "--id", "01", "--label", labelOf("odd"))
      await refused(stage, provisionArgs({ name: "odd" }), { ...TAKEN, tells: /keyferry\/keyferry\/odd\/0/ })
    })

    it("a key that was not made as custody asks", async () => {
      const kind = ["--keygen", "--key-type", "AES:32", "--extractable"]
      pkcs11Tool(stage.token, ...kind, "--id", "02", "--label", labelOf("open"))
      await refused(stage, provisionArgs({ name: "open" }), {
        code: "ERR_KEY_ATTRIBUTES",
        exit: 65,
        tells: /CKA_SENSITIVE|CKA_ENCRYPT/,
      })
    })

    it("a key that is not extractable", async () => {
      pkcs11Tool(
        stage.token,
        "--keygen",
        "--key-type",
        "AES:32",
        "--sensitive",
        "--id",
        "03",
        "--label",
        labelOf("closed"),
      )
      await refused(stage, provisionArgs({ name: "closed" }), { code: "ERR_KEY_NOT_EXTRACTABLE", exit: 65 })
    })

    it("two keys of one label", async () => {
      const kind = ["--keygen", "--key-type", "AES:32", "--sensitive", "--extractable"]
      for (const id of ["04", "05"]) pkcs11Tool(stage.token, ...kind, "--id", id, "--label", labelOf("twice"))
      await refused(stage, provisionArgs({ name: "twice" }), { code: "ERR_KEY_AMBIGUOUS", exit: 65 })
    })
  })
})

const labelOf = (name: string): string => `keyferry/keyferry/${name}/0`

/** Somebody else's tool at the token. */
function pkcs11Tool(token: TestToken, ...args: readonly string[]): void {
  const env = { ...process.env, ...token.env, USER_PIN: token.pin }
  const login = ["--module", token.module, "--token-label", token.label, "--login", "--pin", "env:USER_PIN"]
  execFileSync("pkcs11-tool", [...login, ...args], { env, stdio: "pipe" })
}
