import { expect } from "chai"
import { waitAfterTrouble } from "#src/agent/trouble.js"

describe("the wait after a round that token or KMS kept from its work", () => {
  it("is a minute, doubles, and is an hour at most, however long the trouble lasts", () => {
    const minutes = [1, 2, 3, 4, 5, 6, 7, 8, 1_000].map((rounds) => waitAfterTrouble(rounds) / 60_000)
    expect(minutes).to.deep.equal([1, 2, 4, 8, 16, 32, 60, 60, 60])
  })
})
