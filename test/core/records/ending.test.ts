import { expect } from "chai"
import type { KeySpec, KeyUsage } from "#src/core/key/key-spec.js"
import { consequencesOf, type Ending, ENDINGS } from "#src/core/records/ending.js"

const ARN = "arn:aws:kms:us-east-1:111122223333:key/1"

function consequences(ending: Ending, keySpec: KeySpec, keyUsage: KeyUsage, untouched: readonly string[] = []): string {
  const key = { keyArn: ARN, region: "us-east-1", keyState: "Enabled", aliases: ["alias/card"] }
  const deletionDate = "2026-06-01T00:00:00Z"
  return consequencesOf({ ending, name: "card", keySpec, keyUsage, keys: [key], deletionDate, untouched }).join("\n")
}

describe("what an end of a KMS key means", () => {
  it("is said of each ending: what no longer works and until when, nothing where nothing stops", () => {
    const of = (ending: Ending): string => consequences(ending, "HMAC_256", "GENERATE_VERIFY_MAC")
    expect(of("enable")).to.equal(`enabling ${ARN} (Enabled, known as alias/card)`)
    expect(of("disable")).to.include("it makes and verifies no MACs: until `keyferry enable card`")
    expect(of("delete-material"))
      .to.include("it makes and verifies no MACs: until")
      .and.to.include("recover card --yes")
    expect(of("schedule-deletion")).to.include("for ever from 2026-06-01").and.to.include(`--key-id ${ARN}`)
  })

  it("says of ciphertexts alone that no other KMS key opens them", () => {
    const opens = "No other KMS key opens its ciphertexts"
    expect(consequences("schedule-deletion", "SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT")).to.include(opens)
    expect(consequences("schedule-deletion", "HMAC_256", "GENERATE_VERIFY_MAC")).to.not.include(opens)
    expect(consequences("disable", "SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT")).to.not.include(opens)
  })

  it("names the KMS keys that stay, where there are any", () => {
    const stay = "other KMS keys of card stay as they are"
    expect(consequences("disable", "HMAC_256", "GENERATE_VERIFY_MAC")).to.not.include(stay)
    expect(consequences("disable", "HMAC_256", "GENERATE_VERIFY_MAC", ["arn:2", "arn:3"])).to.include(
      `${stay}: arn:2, arn:3`,
    )
  })

  it("can lose the last copy where material is deleted or the key is, and in no other case", () => {
    const endings = Object.entries(ENDINGS)
    expect(endings.filter(([, { lastCopy }]) => lastCopy).map(([ending]) => ending)).to.deep.equal([
      "delete-material",
      "schedule-deletion",
    ])
    expect(endings.filter(([, { stops }]) => !stops).map(([ending]) => ending)).to.deep.equal(["enable"])
  })
})
