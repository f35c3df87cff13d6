import { expect } from "chai"
import { errorAfter, errorOf, ERRORS, KeyferryError } from "#src/core/base/error.js"

const ARN = "arn:aws:kms:us-east-1:111122223333:key/1234abcd"
const causes = [{ code: "CKR_DEVICE_ERROR", message: "it broke" }]

describe("an error that keyferry names", () => {
  it("has its code's hint and status unless it brings its own", () => {
    const plain = new KeyferryError("ERR_KMS_UNREACHABLE", "no route")
    const { hint, exit, retry } = ERRORS.ERR_KMS_UNREACHABLE
    expect(plain).to.include({ code: "ERR_KMS_UNREACHABLE", message: "no route", hint, exit, retry, key: null })
    expect(plain.causes).to.deep.equal([])
    const cause = new Error("below")
    const own = new KeyferryError("ERR_KMS_UNREACHABLE", "x", { key: "k", hint: "h", causes, exit: "NOPERM", cause })
    expect(own).to.include({ key: "k", hint: "h", exit: "NOPERM", cause, causes })
  })

  it("keeps the key that it names itself, and gets one where it names none", () => {
    const named = new KeyferryError("ERR_KEY_IN_USE", "in use", { key: "payments" })
    expect(errorOf(named, ARN)).to.equal(named)
    const unnamed = new KeyferryError("ERR_KEY_IN_USE", "in use", { hint: "h", causes, exit: "NOPERM" })
    expect(errorOf(unnamed, ARN)).to.deep.include({
      code: "ERR_KEY_IN_USE",
      message: "in use",
      key: ARN,
      hint: "h",
      causes,
      exit: "NOPERM",
    })
    const bug = new Error("a bug")
    expect(errorOf(bug, ARN)).to.equal(bug)
    expect(errorAfter(bug, ARN)).to.equal(bug)
  })

  it("said of what was made before names that, and does not lose its own key", () => {
    const after = (message: string, key?: string) => {
      const error = errorAfter(new KeyferryError("ERR_KEY_IN_USE", message, key === undefined ? {} : { key }), ARN)
      return [(error as KeyferryError).key, (error as KeyferryError).message]
    }
    expect(after("in use")).to.deep.equal([ARN, "in use"])
    expect(after("in use", "payments")).to.deep.equal([ARN, "in use (payments)"])
    expect(after("payments is in use", "payments")).to.deep.equal([ARN, "payments is in use"])
    expect(after("in use", "1234abcd")).to.deep.equal([ARN, "in use"])
  })
})
