import { expect } from "chai"
import { DEFAULT_POLICY, type Manifest, pinnedAccounts } from "#src/core/manifest/manifest.js"

const target = (account: string | null, region: string) => ({ account, region }) as Manifest["targets"][string]
const MANIFEST = {
  targets: {
    prod: target("111122223333", "us-east-1"),
    china: target("444455556666", "cn-north-1"),
    open: target(null, "us-east-1"),
  },
  keys: { pinned: { targets: ["prod", "china"] }, half: { targets: ["prod", "open"] } },
} as unknown as Manifest

describe("pinnedAccounts", () => {
  it("names account and partition of each target of a key", () => {
    expect(pinnedAccounts(MANIFEST, "pinned")).to.deep.equal([
      { account: "111122223333", partition: "aws" },
      { account: "444455556666", partition: "aws-cn" },
    ])
  })

  it("is empty where one target is open, or there is no manifest", () => {
    expect(pinnedAccounts(MANIFEST, "half")).to.deep.equal([])
    expect(pinnedAccounts(MANIFEST, "not-named"), "any target then").to.deep.equal([])
    expect(pinnedAccounts(null, "pinned")).to.deep.equal([])
  })
})

describe("DEFAULT_POLICY", () => {
  it("takes no custody that a token does not enforce", () => {
    expect(DEFAULT_POLICY).to.deep.equal({
      ...{ minimumHash: "SHA-1", allowCustody: null },
      ...{ allowUnenforcedCustody: false, allowShortScalars: false, requireFingerprint: false },
    })
  })
})
