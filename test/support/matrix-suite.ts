import { mkdirSync } from "node:fs"
import { join } from "node:path"
import { expect } from "chai"
import { KEY_SPECS, type KeySpec, WRAPPING_KEY_SPEC_NAMES } from "#src/core/key/key-spec.js"
import { kmsAllows, type WrapPath } from "#src/core/key/wrapping-algorithm.js"
import { type LocalKmsProcess, startLocalKms } from "#test/support/local-kms.js"
import { openssl, type OpenSsl } from "#test/support/openssl.js"
import type { TestToken } from "#test/support/tokens.js"
import { type Cell, CELLS, isTaken, nameOf, TAKEN_BY_KMS } from "./matrix-cells.js"
import { assertKey, localKey, openWithOpenSsl } from "./matrix-opened.js"
import { type Carried, type LocalKeys, type Outcome, runMatrix } from "./matrix-process.js"

const PROOFS = { aes: "key-material-id", hmac: "mac", rsa: "public-key", ec: "public-key", edwards: "public-key" }

/** A token whose matrix is carried. */
export interface MatrixToken {
  readonly make: () => TestToken
  /** The tokens carry keys of the same names, which one Region has once. */
  readonly region: string
  /** How it makes RSA_AES_KEY_WRAP_*. */
  readonly path: WrapPath
}

export interface Matrix {
  readonly tokens: Readonly<Record<string, TestToken>>
  readonly tool: OpenSsl
  outcomes(token: string): readonly Outcome[]
  /** Cells that any token carried. */
  carriedCells(): readonly { readonly where: string; readonly cell: Cell; readonly carried: Carried }[]
}

/** Carries every cell from each of the tokens before the tests of the calling suite, and holds what is true of them all. */
export function matrixSuite(kinds: Readonly<Record<string, MatrixToken>>): Matrix {
  const tokens: Record<string, TestToken> = {}
  const outcomes: Record<string, readonly Outcome[]> = {}
  let kms: LocalKmsProcess
  let tool: OpenSsl

  before(async () => {
    for (const [name, { make }] of Object.entries(kinds)) tokens[name] = make()
    kms = await startLocalKms({ regions: Object.values(kinds).map(({ region }) => region) })
    tool = openssl()
    const keys = Object.fromEntries(WRAPPING_KEY_SPEC_NAMES.map((spec) => [spec, localKey(tool, spec)])) as LocalKeys
    const runs = Object.entries(kinds).map(async ([name, { region }]) => {
      const folder = join(tool.folder, name)
      mkdirSync(folder)
      const token = tokens[name]!
      const env = {
        ...kms.env,
        AWS_REGION: region,
        AWS_DEFAULT_REGION: region,
        ...token.env,
        KEYFERRY_TOKEN: token.uri,
      }
      outcomes[name] = await runMatrix({ env, prefix: token.prefix, localKeys: keys, folder })
    })
    await Promise.all(runs)
  })
  after(async () => {
    for (const token of Object.values(tokens)) token.remove()
    tool[Symbol.dispose]()
    await kms.stop()
  })

  const all = (): readonly (Outcome & { readonly where: string; readonly path: WrapPath })[] =>
    Object.entries(outcomes).flatMap(([token, own]) =>
      own.map((outcome) => ({ ...outcome, where: `${nameOf(outcome.cell)} on ${token}`, path: kinds[token]!.path })),
    )
  const carriedCells: Matrix["carriedCells"] = () =>
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
      expect(own).to.have.length(4 * 3 * Object.keys(kinds).length)
      for (const { where, path, cell, carried, refused } of own) {
        if (carried) {
          expect(isTaken(cell), where).to.equal(true)
          expect(carried.wrappingAlgorithm, where).to.equal(cell.wrappingAlgorithm)
          expect(carried.wrapPath, where).to.equal(cell.wrappingAlgorithm.startsWith("RSAES") ? "oaep" : path)
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

  return {
    tokens,
    get tool() {
      return tool
    },
    outcomes: (token) => outcomes[token]!,
    carriedCells,
  }
}
