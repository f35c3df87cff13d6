import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect } from "chai"
import { type CliResult, keyferry } from "#test/support/cli.js"
import { readRecording } from "#test/support/spy-recording.js"
import { temporaryFolder } from "#test/support/temp-dir.js"
import { nssToken, opencryptokiToken, softhsmToken, spy, type TestToken, tpm2Module } from "#test/support/tokens.js"

interface Capability {
  readonly keySpec: string
  readonly wrappingAlgorithm: string
  readonly wrappingKeySpec: string
  readonly wrapPath: string | null
  readonly mechanisms: readonly string[]
  readonly usable: boolean
  readonly reason: string
}

interface Probe {
  readonly token: Readonly<Record<string, string>>
  readonly capabilities: readonly Capability[]
  readonly custody: readonly { readonly custody: string; readonly enforced: boolean; readonly reason: string }[]
  readonly custodyFacts: Readonly<Record<string, boolean | null>>
}

const TOKEN_KEYS = ["label", "serial", "manufacturer", "model", "firmwareVersion", "library"]
const CAPABILITY_KEYS = [
  "keySpec",
  "wrappingAlgorithm",
  "wrappingKeySpec",
  "wrapPath",
  "mechanisms",
  "usable",
  "shortScalars",
  "reason",
]

const probeOf = (result: CliResult): Probe => result.json() as Probe

/** What a verdict is, whatever the wrapping key: a path, or why there is none. */
const verdictsOn = (probe: Probe, keySpec: string, algorithm: string): readonly string[] => [
  ...new Set(
    probe.capabilities
      .filter((one) => one.keySpec === keySpec && one.wrappingAlgorithm === algorithm)
      .filter((one) => !one.reason.startsWith("KMS does not take"))
      .map((one) => one.wrapPath ?? one.reason),
  ),
]

const SPECS = {
  secret: ["SYMMETRIC_DEFAULT", "HMAC_224", "HMAC_256", "HMAC_384", "HMAC_512"],
  rsa: ["RSA_2048", "RSA_3072", "RSA_4096"],
  ec: ["ECC_NIST_P256", "ECC_NIST_P384", "ECC_NIST_P521", "ECC_SECG_P256K1"],
} as const

type Row = readonly [keySpecs: readonly string[], algorithm: string, verdict: RegExp]

/** What was measured of each token, as far as it is about the way to KMS (docs/tokens.md). */
const MATRIX: Readonly<
  Record<string, { readonly make: () => TestToken; readonly rows: readonly Row[]; readonly draft: object }>
> = {
  "SoftHSM 2.6.1": {
    make: softhsmToken,
    draft: { oaepHashes: ["SHA-1"], kwp: ["CKM_AES_KEY_WRAP_PAD"] },
    rows: [
      [SPECS.secret, "RSAES_OAEP_SHA_1", /^oaep$/],
      [[...SPECS.secret, ...SPECS.ec], "RSAES_OAEP_SHA_256", /^the token refuses CKM_RSA_PKCS_OAEP with SHA-256/],
      [[...SPECS.rsa, ...SPECS.ec], "RSA_AES_KEY_WRAP_SHA_256", /^the token refuses CKM_RSA_PKCS_OAEP with SHA-256/],
      // right by luck where the length is a multiple of 8, wrong for all others
      [["ECC_NIST_P384", "ECC_SECG_P256K1"], "RSA_AES_KEY_WRAP_SHA_1", /^composed$/],
      [
        ["ECC_NIST_P256", "ECC_NIST_P521", ...SPECS.rsa],
        "RSA_AES_KEY_WRAP_SHA_1",
        /^CKM_AES_KEY_WRAP_PAD pads the value with zero bytes before wrapping/,
      ],
      [SPECS.ec, "RSAES_OAEP_SHA_1", /^the token does not wrap this kind of key/],
    ],
  },
  "NSS 3.87": {
    make: nssToken,
    draft: { oaepHashes: ["SHA-256", "SHA-1"], kwp: ["CKM_AES_KEY_WRAP_KWP"] },
    rows: [
      [SPECS.secret, "RSAES_OAEP_SHA_1", /^oaep$/],
      [SPECS.secret, "RSAES_OAEP_SHA_256", /^oaep$/],
      [["ECC_NIST_P256", "ECC_NIST_P384", "ECC_NIST_P521"], "RSAES_OAEP_SHA_256", /^oaep$/],
      [[...SPECS.rsa, "ECC_NIST_P256", "ECC_NIST_P384", "ECC_NIST_P521"], "RSA_AES_KEY_WRAP_SHA_256", /^composed$/],
      [[...SPECS.rsa, "ECC_NIST_P256", "ECC_NIST_P384", "ECC_NIST_P521"], "RSA_AES_KEY_WRAP_SHA_1", /^composed$/],
      [["ECC_SECG_P256K1"], "RSA_AES_KEY_WRAP_SHA_256", /cannot generate.*CKR_DOMAIN_PARAMS_INVALID/],
      [["ECC_NIST_EDWARDS25519"], "RSA_AES_KEY_WRAP_SHA_256", /cannot generate.*CKR_MECHANISM_INVALID/],
    ],
  },
}

/** Functions that only a live test of paths or custody calls. */
const TESTING = ["C_GenerateKey", "C_GenerateKeyPair", "C_WrapKey", "C_CreateObject", "C_CopyObject"]

describe("token probe", () => {
  /** One state directory a token: what a test needs cold, it asks for with `--fresh` or spoils. */
  const probe = (token: TestToken, ...args: readonly string[]): Promise<CliResult> =>
    keyferry(["token", "probe", ...args], {
      env: { ...token.env, KEYFERRY_TOKEN: token.uri, KEYFERRY_STATE_DIR: join(token.dir, "state") },
    })

  for (const [name, { make, rows, draft }] of Object.entries(MATRIX)) {
    describe(`on ${name}`, () => {
      let token: TestToken
      let first: Probe
      before(async () => {
        token = make()
        const result = await probe(token, "--json")
        expect(result.status, result.stderr).to.equal(0)
        first = probeOf(result)
      })
      after(() => token.remove())

      it("finds what is known of it, with the reasons in words", () => {
        for (const [keySpecs, algorithm, verdict] of rows) {
          for (const keySpec of keySpecs) {
            const found = verdictsOn(first, keySpec, algorithm)
            expect(found, `${keySpec} by ${algorithm}`).to.have.length(1)
            expect(found[0], `${keySpec} by ${algorithm}`).to.match(verdict)
          }
        }
        // what PKCS #11 promises of CKA_EXTRACTABLE, SoftHSM keeps and NSS does not
        expect(first.custodyFacts["extractableFalseRefusesWrap"]).to.equal(name.startsWith("SoftHSM"))
      })

      it("gives the JSON that is relied on", () => {
        expect(first.token).to.have.all.keys(TOKEN_KEYS)
        expect(first.token).to.include({ label: token.label })
        expect(first.capabilities).to.have.length(13 * 4 * 3)
        for (const capability of first.capabilities) {
          expect(capability).to.have.all.keys(CAPABILITY_KEYS)
          expect(capability.usable).to.equal(capability.wrapPath !== null)
          expect(capability.mechanisms).to.have.length(
            { oaep: 1, composed: 2, none: 0 }[capability.wrapPath ?? "none"]!,
          )
          expect(capability.reason).to.match(/^\S.*\S$/)
        }
        expect(first.custody.map(({ custody }) => custody)).to.deep.equal(["sealed", "token", "locked", "session"])
        for (const { enforced, reason } of first.custody) {
          expect(enforced).to.be.a("boolean")
          expect(reason).to.match(/^\S.*\S$/)
        }
      })

      it("shows people the same, one row a verdict", async () => {
        const text = await probe(token)
        expect(text.status, text.stderr).to.equal(0)
        const lines = text.stdout.split("\n")
        for (const { keySpec, wrappingAlgorithm, wrappingKeySpec, wrapPath, reason } of first.capabilities) {
          const row = lines.find(
            (line) =>
              line.startsWith(`${keySpec} `) &&
              line.split(` ${wrappingAlgorithm} `)[1]?.includes(` ${wrappingKeySpec} `) === true,
          )
          expect(row, `${keySpec} by ${wrappingAlgorithm} under ${wrappingKeySpec}`).to.include(reason)
          expect(row).to.include(` ${wrapPath ?? "no"} `)
        }
      })

      it("drafts a profile of what was proven", async () => {
        const result = await probe(token, "--json", "--draft-profile")
        expect(result.status, result.stderr).to.equal(0)
        expect((result.json() as { draftProfile: object }).draftProfile).to.deep.include(draft)
      })
    })
  }

  it("tests once and then answers from the cache, unless --fresh asks again", async () => {
    const token = spy(nssToken())
    try {
      const calls: (readonly string[])[] = []
      const results: Probe[] = []
      for (const args of [["--json"], ["--json"], ["--json", "--fresh"]]) {
        const result = await probe(token, ...args)
        expect(result.status, result.stderr).to.equal(0)
        results.push(probeOf(result))
        calls.push(
          readRecording(token.recording())
            .at(-1)!
            .map((call) => call.name),
        )
      }
      const tested = calls.map((names) => TESTING.filter((name) => names.includes(name)))
      expect(tested).to.deep.equal([TESTING, [], TESTING])
      expect(results[1]).to.deep.equal(results[0])
    } finally {
      token.remove()
    }
  })

  it("does not believe a cache that was damaged", async () => {
    const token = nssToken()
    try {
      const before = probeOf(await probe(token, "--json"))
      const cache = join(token.dir, "state", "self-test")
      const files = readdirSync(cache).map((file) => join(cache, file))
      expect(files).to.not.deep.equal([])
      for (const file of files) writeFileSync(file, readFileSync(file, "utf8").replaceAll('"oaep"', '"plain"'))
      const result = await probe(token, "--json")
      expect(result.status, result.stderr).to.equal(0)
      expect(probeOf(result)).to.deep.equal(before)
    } finally {
      token.remove()
    }
  })
})

describe("token list", () => {
  const folder = temporaryFolder()
  const list = (token: TestToken | null, ...args: readonly string[]): Promise<CliResult> =>
    keyferry(["token", "list", ...args], {
      env: { ...token?.env, KEYFERRY_STATE_DIR: join(folder(), "state") },
      prefix: token?.prefix ?? [],
    })

  interface Slot {
    readonly slotId: string | number
    readonly token: Readonly<Record<string, string>> | null
    readonly flags: readonly string[]
    readonly reason: string | null
  }
  const slotsOf = (result: CliResult): readonly Slot[] => (result.json() as { slots: Slot[] }).slots

  it("shows what a module has without a PIN, uninitialised slots too", async () => {
    const token = softhsmToken()
    try {
      const result = await list(token, "--module", token.module, "--json")
      expect(result.status, result.stderr).to.equal(0)
      expect(result.json()).to.deep.include({ modulePath: token.module })
      const slots = slotsOf(result)
      expect(slots).to.have.length(2)
      const own = slots.find((slot) => slot.token?.["label"] === token.label)
      expect(own?.flags).to.include.members(["initialised", "user PIN set"])
      const other = slots.find((slot) => slot !== own)
      expect(other?.flags).to.include("not initialised").and.not.include("initialised")

      const text = await list(token, "--module", token.module)
      const rows = text.stdout.trimEnd().split("\n")
      expect(rows[0]).to.include(token.module)
      expect(rows).to.have.length(2 + slots.length)
      for (const { slotId, flags } of slots) {
        expect(rows.some((row) => row.startsWith(`${slotId} `) && row.endsWith(flags.join(", ")))).to.equal(true)
      }
    } finally {
      token.remove()
    }
  })

  for (const [name, make] of [
    ["NSS", nssToken],
    ["openCryptoki", opencryptokiToken],
  ] as const) {
    it(`takes module and parameters from the token URI: ${name}`, async () => {
      const token = make()
      try {
        const result = await list(token, "--token", token.uri, "--json")
        expect(result.status, result.stderr).to.equal(0)
        expect(slotsOf(result).map((slot) => slot.token?.["label"])).to.include(token.label)
      } finally {
        token.remove()
      }
    })
  }

  it("names no module: usage", async () => {
    const result = await list(null, "--json")
    expect(result.status).to.equal(64)
    expect(result.error().code).to.equal("ERR_USAGE")
  })

  it("a module that does not load or start: 69, with the call and the answer", async () => {
    const missing = await list(null, "--module", "/nonexistent.so", "--json")
    expect(missing.status).to.equal(69)
    expect(missing.error().code).to.equal("ERR_MODULE_UNUSABLE")
    const tpm = tpm2Module()
    try {
      const dead = await list(tpm, "--module", tpm.module, "--json")
      expect(dead.status).to.equal(69)
      expect(dead.error()).to.deep.include({
        code: "ERR_MODULE_UNUSABLE",
        causes: [{ code: "CKR_GENERAL_ERROR", message: "C_Initialize" }],
      })
      expect(dead.stdout).to.equal("")
    } finally {
      tpm.remove()
    }
  })
})
