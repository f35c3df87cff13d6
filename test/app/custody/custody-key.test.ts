import { expect } from "chai"
import { refuseMissing } from "#src/app/custody/custody-key.js"
import type { CustodyKey } from "#src/core/records/sealed-material.js"
import { expectCode } from "#test/support/expect-code.js"

const OWNER = "payments"

const custodyKey = (more: Partial<CustodyKey>): CustodyKey => ({
  id: "0a0b",
  label: "keyferry/custody/payments/0",
  number: 0,
  attributes: {} as CustodyKey["attributes"],
  kcv: "112233",
  allowedMechanisms: true,
  unwrapTemplate: true,
  ...more,
})

describe("a custody key on record", () => {
  const recorded = custodyKey({})

  it("is there by its ID and check value, or by its ID where either has no check value", () => {
    refuseMissing(recorded, [custodyKey({ id: "0c", kcv: "445566" }), recorded], OWNER)
    refuseMissing({ ...recorded, kcv: null }, [custodyKey({ kcv: "445566" })], OWNER)
    refuseMissing(recorded, [custodyKey({ kcv: null })], OWNER)
  })

  it("is missing where the token has others alone", async () => {
    const others = [custodyKey({ id: "0c" }), custodyKey({ id: "0d" })]
    const error = await expectCode("ERR_CUSTODY_KEY_MISSING", () => refuseMissing(recorded, others, OWNER))
    expect(error.message).to.include("no longer").and.to.include("keys of payments are sealed")
    expect(error.key).to.equal(recorded.label)
  })

  it("is missing where another key stands in its place", async () => {
    const other = [custodyKey({ kcv: "445566" })]
    const error = await expectCode("ERR_CUSTODY_KEY_MISSING", () => refuseMissing(recorded, other, OWNER))
    expect(error.message).to.include("in the place of the custody key")
  })
})
