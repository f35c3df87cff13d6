import { randomBytes } from "node:crypto"
import { existsSync, mkdirSync } from "node:fs"
import { join } from "node:path"
import { expect } from "chai"
import { KEY_SPECS, type KeySpec, WRAPPING_KEY_SPEC_NAMES } from "#src/core/key/key-spec.js"
import { kmsAllows } from "#src/core/key/wrapping-algorithm.js"
import { keyferry } from "#test/support/cli.js"
import { type LocalKmsProcess, startLocalKms } from "#test/support/local-kms.js"
import { openssl, type OpenSsl } from "#test/support/openssl.js"
import { nssToken, softhsmToken, type TestToken } from "#test/support/tokens.js"
import { type Cell, CELLS, isDemanded, isTaken, nameOf, TAKEN_BY_KMS } from "../support/matrix-cells.js"
import { type Carried, type LocalKeys, type Outcome, runMatrix } from "../support/matrix-process.js"
import { assertKey, localKey, openWithOpenSsl } from "../support/matrix-opened.js"

const KEY_ID = "11111111-2222-3333-4444-555555555555"
const PROOFS = { aes: "key-material-id", hmac: "mac", rsa: "public-key", ec: "public-key", edwards: "public-key" }

/** The tokens carry keys of the same names, which one Region has once. */
const REGIONS: Readonly<Record<string, string>> = { SoftHSM: "us-east-1", NSS: "eu-west-1" }

describe("matrix: every algorithm, key spec and wrapping key", function () {
  this.timeout(300_000)
  const tokens: Record<string, TestToken> = {}
  const outcomes: Record<string, readonly Outcome[]> = {}
  let kms: LocalKmsProcess
  let tool: OpenSsl

  before(async () => {
    Object.assign(tokens, { SoftHSM: softhsmToken(), NSS: nssToken() })
    kms = await startLocalKms({ regions: Object.values(REGIONS) })
    tool = openssl()
    const keys = Object.fromEntries(WRAPPING_KEY_SPEC_NAMES.map((spec) => [spec, localKey(tool, spec)])) as LocalKeys
    const runs = Object.entries(tokens).map(async ([name, token]) => {
      const folder = join(tool.folder, name)
      mkdirSync(folder)
      const region = REGIONS[name]!
      const env = {
        ...kms.env,
        AWS_REGION: region,
        AWS_DEFAULT_REGION: region,
        ...token.env,
        KEYFERRY_TOKEN: token.uri,
      }
      outcomes[name] = await runMatrix(env, keys, folder)
    })
    await Promise.all(runs)
  })
  after(async () => {
    for (const token of Object.values(tokens)) token.remove()
    tool[Symbol.dispose]()
    await kms.stop()
  })

  const all = (): readonly (Outcome & { readonly where: string })[] =>
    Object.entries(outcomes).flatMap(([token, own]) =>
      own.map((outcome) => ({ ...outcome, where: `${nameOf(outcome.cell)} on ${token}` })),
    )
  const carriedCells = (): readonly { readonly where: string; readonly cell: Cell; readonly carried: Carried }[] =>
    all().flatMap(({ where, cell, carried }) => (carried ? [{ where, cell, carried }] : []))

  it("knows what KMS takes, as it is written down here", () => {
    expect(CELLS).to.have.length(13 * 4 * 3)
    for (const cell of CELLS) {
      const { keySpec, wrappingAlgorithm, wrappingKeySpec } = cell
      expect(kmsAllows(keySpec, wrappingAlgorithm, wrappingKeySpec), nameOf(cell)).to.equal(isTaken(cell))
    }
  })

  for (const keySpec of Object.keys(TAKEN_BY_KMS) as KeySpec[]) {
    it(`carries ${keySpec} to KMS and proves it, or refuses it with the reason`, () => {
      const own = all().filter(({ cell }) => cell.keySpec === keySpec)
      expect(own).to.have.length(4 * 3 * Object.keys(tokens).length)
      for (const { where, cell, carried, refused } of own) {
        if (carried) {
          expect(isTaken(cell), where).to.equal(true)
          expect(carried.wrappingAlgorithm, where).to.equal(cell.wrappingAlgorithm)
          expect(carried.wrapPath, where).to.equal(cell.wrappingAlgorithm.startsWith("RSAES") ? "oaep" : "composed")
          expect(carried.proof, where).to.deep.equal({ kind: PROOFS[KEY_SPECS[keySpec].family], result: "proven" })
        } else if (isTaken(cell)) {
          expect(refused?.code, where).to.equal("ERR_NO_USABLE_ALGORITHM")
          expect(refused?.causes.join(), where).to.not.equal("")
        } else {
          expect(refused?.code, where).to.equal("ERR_ALGORITHM_NOT_ALLOWED")
          expect(refused?.hint, where).to.include("KMS takes")
        }
      }
    })
  }

  it("carries on one of the two tokens all that is asked of them", () => {
    const carried = new Set(carriedCells().map(({ cell }) => nameOf(cell)))
    const demanded = CELLS.filter(isDemanded)
    expect(demanded.filter((cell) => !carried.has(nameOf(cell))).map(nameOf)).to.deep.equal([])
    expect(new Set(demanded.map((cell) => cell.keySpec))).to.have.property("size", 12)
    expect(new Set(demanded.map((cell) => cell.wrappingAlgorithm))).to.have.property("size", 4)
    expect(new Set(demanded.map((cell) => cell.wrappingKeySpec))).to.have.property("size", 3)
  })

  it("made no KMS key and spent no import parameters on what it refused", async () => {
    const { requests } = await kms.counts()
    const carried = carriedCells()
    const twice = carried.filter(({ cell }) => cell.keySpec === "SYMMETRIC_DEFAULT")
    expect(requests["CreateKey"]).to.equal(carried.length)
    expect(requests["GetParametersForImport"]).to.equal(carried.length + twice.length)
    expect(requests["ImportKeyMaterial"]).to.equal(carried.length + twice.length)
  })

  it("wraps what the OpenSSL command line opens: to the byte the same key by every path", () => {
    const values = new Map<string, Buffer>()
    for (const { where, cell, carried } of carriedCells()) {
      const value = openWithOpenSsl(tool, Buffer.from(carried.blob, "base64"), cell)
      const known = values.get(carried.sourceKey) ?? value
      expect(known.equals(value), `${where}: another value than by an earlier path`).to.equal(true)
      values.set(carried.sourceKey, value)
      assertKey(tool, where, cell.keySpec, value, carried)
    }
    expect(values.size).to.be.greaterThan(0)
  })

  it("refuses by the command what the parameters ask and the token does not have, and says how to go on", async () => {
    const token = tokens["SoftHSM"]!
    tool.write("import-token.bin", randomBytes(300))
    const files = ["--public-key", "RSA_2048.der", "--import-token", "import-token.bin", "--out", "refused.wrapped"]
    const what = ["--name", "HMAC_224", "--wrapping-algorithm", "RSAES_OAEP_SHA_256", "--json"]
    const result = await keyferry(["wrap", ...what, "--key-id", KEY_ID, ...files], {
      cwd: tool.folder,
      env: { ...token.env, KEYFERRY_TOKEN: token.uri, KEYFERRY_STATE_DIR: join(tool.folder, "SoftHSM", "state") },
    })
    expect(result.status).to.equal(65)
    expect(result.error().code).to.equal("ERR_NO_USABLE_ALGORITHM")
    expect(result.error().hint).to.include("--wrapping-algorithm")
    expect(result.error().causes.map(({ code }) => code)).to.deep.equal(["RSAES_OAEP_SHA_256"])
    expect(existsSync(join(tool.folder, "refused.wrapped"))).to.equal(false)
  })

  const commands: readonly (readonly [token: string, cell: Cell])[] = [
    ["SoftHSM", { keySpec: "ECC_NIST_P384", wrappingAlgorithm: "RSA_AES_KEY_WRAP_SHA_1", wrappingKeySpec: "RSA_3072" }],
    ["NSS", { keySpec: "HMAC_224", wrappingAlgorithm: "RSAES_OAEP_SHA_256", wrappingKeySpec: "RSA_2048" }],
  ]
  for (const [name, cell] of commands) {
    it(`wraps the same by the command, from the console's loose files: ${nameOf(cell)} on ${name}`, async () => {
      const { carried } = outcomes[name]!.find((outcome) => nameOf(outcome.cell) === nameOf(cell))!
      const token = tokens[name]!
      tool.write("import-token.bin", randomBytes(300))
      const out = `${name}.wrapped`
      const files = ["--public-key", `${cell.wrappingKeySpec}.der`, "--import-token", "import-token.bin", "--out", out]
      const what = ["--name", cell.keySpec, "--wrapping-algorithm", cell.wrappingAlgorithm]
      const { status, stderr } = await keyferry(["wrap", ...what, "--key-id", KEY_ID, ...files], {
        cwd: tool.folder,
        env: { ...token.env, KEYFERRY_TOKEN: token.uri, KEYFERRY_STATE_DIR: join(tool.folder, name, "state") },
      })
      expect(status, stderr).to.equal(0)
      assertKey(tool, nameOf(cell), cell.keySpec, openWithOpenSsl(tool, tool.read(out), cell), carried!)
    })
  }
})
