import { randomBytes } from "node:crypto"
import { existsSync } from "node:fs"
import { join } from "node:path"
import { expect } from "chai"
import { keyferry } from "#test/support/cli.js"
import { nssToken, softhsmToken } from "#test/support/tokens.js"
import { type Cell, CELLS, isDemanded, nameOf } from "../support/matrix-cells.js"
import { assertKey, openWithOpenSsl } from "../support/matrix-opened.js"
import { matrixSuite } from "../support/matrix-suite.js"

const KEY_ID = "11111111-2222-3333-4444-555555555555"

describe("matrix: every algorithm, key spec and wrapping key", () => {
  const matrix = matrixSuite({
    SoftHSM: { make: softhsmToken, region: "us-east-1", path: "composed" },
    NSS: { make: nssToken, region: "eu-west-1", path: "composed" },
  })

  it("carries on one of the two tokens all that is asked of them", () => {
    const carried = new Set(matrix.carriedCells().map(({ cell }) => nameOf(cell)))
    const demanded = CELLS.filter(isDemanded)
    expect(demanded.filter((cell) => !carried.has(nameOf(cell))).map(nameOf)).to.deep.equal([])
    expect(new Set(demanded.map((cell) => cell.keySpec))).to.have.property("size", 12)
    expect(new Set(demanded.map((cell) => cell.wrappingAlgorithm))).to.have.property("size", 4)
    expect(new Set(demanded.map((cell) => cell.wrappingKeySpec))).to.have.property("size", 3)
  })

  it("refuses by the command what the parameters ask and the token does not have, and says how to go on", async () => {
    const token = matrix.tokens["SoftHSM"]!
    matrix.tool.write("import-token.bin", randomBytes(300))
    const files = ["--public-key", "RSA_2048.der", "--import-token", "import-token.bin", "--out", "refused.wrapped"]
    const what = ["--name", "HMAC_224", "--wrapping-algorithm", "RSAES_OAEP_SHA_256", "--json"]
    const result = await keyferry(["wrap", ...what, "--key-id", KEY_ID, ...files], {
      cwd: matrix.tool.folder,
      env: {
        ...token.env,
        KEYFERRY_TOKEN: token.uri,
        KEYFERRY_STATE_DIR: join(matrix.tool.folder, "SoftHSM", "state"),
      },
    })
    expect(result.status).to.equal(65)
    expect(result.error().code).to.equal("ERR_NO_USABLE_ALGORITHM")
    expect(result.error().hint).to.include("--wrapping-algorithm")
    expect(result.error().causes.map(({ code }) => code)).to.deep.equal(["RSAES_OAEP_SHA_256"])
    expect(existsSync(join(matrix.tool.folder, "refused.wrapped"))).to.equal(false)
  })

  const commands: readonly (readonly [token: string, cell: Cell])[] = [
    ["SoftHSM", { keySpec: "ECC_NIST_P384", wrappingAlgorithm: "RSA_AES_KEY_WRAP_SHA_1", wrappingKeySpec: "RSA_3072" }],
    ["NSS", { keySpec: "HMAC_224", wrappingAlgorithm: "RSAES_OAEP_SHA_256", wrappingKeySpec: "RSA_2048" }],
  ]
  for (const [name, cell] of commands) {
    it(`wraps the same by the command, from the console's loose files: ${nameOf(cell)} on ${name}`, async () => {
      const { carried } = matrix.outcomes(name).find((outcome) => nameOf(outcome.cell) === nameOf(cell))!
      const token = matrix.tokens[name]!
      matrix.tool.write("import-token.bin", randomBytes(300))
      const out = `${name}.wrapped`
      const files = ["--public-key", `${cell.wrappingKeySpec}.der`, "--import-token", "import-token.bin", "--out", out]
      const what = ["--name", cell.keySpec, "--wrapping-algorithm", cell.wrappingAlgorithm]
      const { status, stderr } = await keyferry(["wrap", ...what, "--key-id", KEY_ID, ...files], {
        cwd: matrix.tool.folder,
        env: { ...token.env, KEYFERRY_TOKEN: token.uri, KEYFERRY_STATE_DIR: join(matrix.tool.folder, name, "state") },
      })
      expect(status, stderr).to.equal(0)
      assertKey(
        matrix.tool,
        nameOf(cell),
        cell.keySpec,
        openWithOpenSsl(matrix.tool, matrix.tool.read(out), cell),
        carried!,
      )
    })
  }
})
