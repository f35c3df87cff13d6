import { expect } from "chai"
import { custodyIdentityOf, custodyLabelOf } from "#src/core/records/sealed-material.js"

describe("a custody key's label", () => {
  it("is read back as it was written", () => {
    for (const identity of [
      { owner: "payments", number: 0 },
      { owner: "keyferry", number: 12 },
    ]) {
      expect(custodyIdentityOf(custodyLabelOf(identity))).to.deep.equal(identity)
    }
  })

  for (const label of [
    "keyferry/payments/card/0",
    "keyferry/custody/payments",
    "keyferry/custody/payments/",
    "keyferry/custody//1",
    "keyferry/custody/payments/01",
    "keyferry/custody/payments/-1",
    "keyferry/custody/payments/card/1",
    "my/keyferry/custody/payments/1",
    "",
  ]) {
    it(`is not '${label}'`, () => expect(custodyIdentityOf(label)).to.equal(undefined))
  }
})
