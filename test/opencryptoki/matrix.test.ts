import { expect } from "chai"
import type { KeySpec } from "#src/core/key/key-spec.js"
import { opencryptokiToken } from "#test/support/tokens.js"
import { type Cell, CELLS, isTaken, nameOf } from "../support/matrix-cells.js"
import { matrixSuite } from "../support/matrix-suite.js"

const OAEP = "RSAES_OAEP"
const isPrivate = (keySpec: KeySpec): boolean => /^(RSA|ECC)_/.test(keySpec)

/** As measured of 3.27.0: secret keys leave by OAEP alone, private keys by the native RSA-AES alone. */
function carries({ keySpec, wrappingAlgorithm, ...cell }: Cell): boolean {
  if (!isTaken({ keySpec, wrappingAlgorithm, ...cell }) || keySpec === "ECC_NIST_EDWARDS25519") return false
  return wrappingAlgorithm.startsWith(OAEP) !== isPrivate(keySpec)
}

describe("matrix of openCryptoki 3.27: every algorithm, key spec and wrapping key", () => {
  const matrix = matrixSuite({ openCryptoki: { make: opencryptokiToken, region: "us-east-1", path: "native" } })

  it("carries every cell that it was measured to carry, and no other", () => {
    const carried = matrix.carriedCells().map(({ cell }) => nameOf(cell))
    expect(carried).to.deep.equal(CELLS.filter(carries).map(nameOf))
    expect(carried).to.have.length(72)
  })

  it("refuses each other cell that KMS takes for what the token does", () => {
    const refused = matrix.outcomes("openCryptoki").filter(({ cell }) => isTaken(cell) && !carries(cell))
    expect(refused).to.have.length(32)
    for (const { cell, refused: refusal } of refused) {
      const why = cell.wrappingAlgorithm.startsWith(OAEP)
        ? /the token does not wrap this kind of key by CKM_RSA_PKCS_OAEP .*CKR_KEY_NOT_WRAPPABLE/
        : /CKM_RSA_AES_KEY_WRAP gives a malformed PKCS #8 of 53 bytes \(RFC 8410 has 48\)/
      expect(refusal?.causes.join(), nameOf(cell)).to.match(why)
    }
  })
})
