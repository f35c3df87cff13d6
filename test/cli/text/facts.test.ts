import { expect } from "chai"
import { facts } from "#src/cli/text/facts.js"

const ARN = "arn:aws:kms:us-east-1:111122223333:key/c87124ed-7277-426f-9079-bc0dd27b53f1"
const DIGEST = `sha256:${"0a".repeat(32)}`

describe("facts on a screen", () => {
  const rows = [
    ["name", "payments"],
    ["key ARN", ARN],
    ["wrapping key", DIGEST],
    ["proof", "accepted by KMS; a symmetric key has no stronger proof than to be imported twice"],
  ] as const

  it("have no line that is wider: what has no room beside its name stands below it, whole", () => {
    expect(facts(rows, { width: 80, wide: false }).split("\n")).to.deep.equal([
      "name          payments",
      "key ARN",
      `  ${ARN}`,
      `wrapping key`,
      `  ${DIGEST}`,
      "proof         accepted by KMS; a symmetric key has no stronger proof than to be",
      "              imported twice",
    ])
  })

  it("are a line each where there is room, and in a pipe", () => {
    for (const width of [120, undefined]) {
      expect(facts(rows, { width, wide: false }).split("\n")[1]).to.equal(`key ARN       ${ARN}`)
    }
    expect(facts(rows, { width: 40, wide: true }).split("\n")).to.have.length(4)
  })
})
