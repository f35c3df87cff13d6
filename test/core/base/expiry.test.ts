import { expect } from "chai"
import fc from "fast-check"
import { parseDuration, rfc3339, validToFrom } from "#src/core/base/expiry.js"
import { expectCode } from "#test/support/expect-code.js"

const now = new Date("2026-11-21T10:00:00.750Z")

describe("validToFrom", () => {
  const accepted: [text: string, expected: string | null][] = [
    ["90d", "2027-02-19T10:00:00Z"],
    ["12h", "2026-11-21T22:00:00Z"],
    ["2w", "2026-12-05T10:00:00Z"],
    ["1s", "2026-11-21T10:00:01Z"],
    ["364d", "2027-11-20T10:00:00Z"],
    ["2027-01-01T00:00:00Z", "2027-01-01T00:00:00Z"],
    ["2027-01-01T00:00:00.900+01:00", "2026-12-31T23:00:00Z"],
    ["2027-02-28T23:59:59-01:00", "2027-03-01T00:59:59Z"],
    ["never", null],
  ]
  for (const [text, expected] of accepted) {
    it(`${text} is ${expected ?? "never"}`, () => {
      const validTo = validToFrom(text, now)
      expect(validTo === null ? null : rfc3339(validTo)).to.equal(expected)
      // KMS truncates fractions of a second, so there must be none
      expect(validTo === null || validTo.getMilliseconds() === 0).to.equal(true)
    })
  }

  for (const text of [
    "",
    "90",
    "d",
    "-1d",
    "1.5d",
    "90D",
    "0s",
    "365d",
    "400d",
    "2026-11-21T10:00:00Z",
    "2020-01-01T00:00:00Z",
    "2027-01-01",
    "soon",
    "2027-02-30T00:00:00Z",
    "2027-02-29T00:00:00Z",
    "2027-04-31T12:00:00+02:00",
    "2027-13-01T00:00:00Z",
    "2027-02-01T24:00:00Z",
  ]) {
    it(`'${text}' is refused`, () => expectCode("ERR_EXPIRY_INVALID", () => validToFrom(text, now)))
  }

  it("takes 365 days less one second, and no second more", async () => {
    const edge = 365 * 86_400 - 1
    expect(validToFrom(`${edge}s`, now)?.getTime()).to.equal((Math.floor(now.getTime() / 1000) + edge) * 1000)
    await expectCode("ERR_EXPIRY_INVALID", () => validToFrom(`${edge + 1}s`, now))
  })

  it("parses every whole duration of every unit", () => {
    const units = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 }
    fc.assert(
      fc.property(fc.nat(999_999), fc.constantFrom(...Object.entries(units)), (count, [unit, seconds]) => {
        expect(parseDuration(`${count}${unit}`)).to.equal(count * seconds)
      }),
    )
  })
})
