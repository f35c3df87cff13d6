import { expect } from "chai"
import { nextRound } from "#src/agent/schedule.js"

const EVERY_NIGHT = { schedule: "30 2 * * *", timeZone: "Europe/Paris", jitter: 0 }

/** The first rounds after a time, as an operator of that zone reads them in UTC. */
function rounds(
  count: number,
  from: string,
  schedule: Partial<typeof EVERY_NIGHT> = {},
  chance = 0,
): readonly string[] {
  let after = new Date(from)
  return Array.from({ length: count }, () => {
    const next = nextRound({ ...EVERY_NIGHT, ...schedule }, after, chance)
    after = next
    return next.toISOString().slice(0, 16)
  })
}

describe("the agent's schedule", () => {
  it("is read in its time zone", () => {
    expect(rounds(2, "2026-11-28T12:00:00Z")).to.deep.equal(["2026-11-29T01:30", "2026-11-30T01:30"])
    expect(rounds(1, "2026-11-28T12:00:00Z", { timeZone: "Asia/Kolkata" })).to.deep.equal(["2026-11-28T21:00"])
    expect(rounds(1, "2026-11-28T12:00:00Z", { timeZone: "UTC" })).to.deep.equal(["2026-11-29T02:30"])
  })

  it("leaves no night out where summer time begins: the hour that is not there is made up for at once", () => {
    // 2027-03-28, 02:00 to 03:00 in Paris does not exist
    expect(rounds(3, "2027-03-26T12:00:00Z")).to.deep.equal([
      "2027-03-27T01:30",
      "2027-03-28T01:00",
      "2027-03-29T00:30",
    ])
  })

  it("has one round where summer time ends: the hour that comes twice is taken once", () => {
    // 2026-10-25, 02:30 in Paris is at 00:30 and at 01:30 UTC
    const nights = rounds(3, "2026-10-24T12:00:00Z")
    expect(nights.map((night) => night.slice(0, 10))).to.deep.equal(["2026-10-25", "2026-10-26", "2026-10-27"])
    expect(nights[0]).to.equal("2026-10-25T00:30")
    expect(nights.slice(1)).to.deep.equal(["2026-10-26T01:30", "2026-10-27T01:30"])
  })

  it("goes on every hour through both changes", () => {
    const hourly = { schedule: "0 * * * *" }
    expect(rounds(4, "2026-10-24T23:30:00Z", hourly)).to.deep.equal([
      "2026-10-25T00:00",
      "2026-10-25T01:00",
      "2026-10-25T02:00",
      "2026-10-25T03:00",
    ])
    expect(rounds(3, "2027-03-27T23:30:00Z", hourly)).to.deep.equal([
      "2027-03-28T00:00",
      "2027-03-28T01:00",
      "2027-03-28T02:00",
    ])
  })

  it("is delayed by chance, up to the jitter and not beyond", () => {
    const jitter = { jitter: 900 }
    expect(rounds(1, "2026-11-28T12:00:00Z", jitter, 0)).to.deep.equal(["2026-11-29T01:30"])
    expect(rounds(1, "2026-11-28T12:00:00Z", jitter, 0.5)).to.deep.equal(["2026-11-29T01:37"])
    expect(
      nextRound({ ...EVERY_NIGHT, ...jitter }, new Date("2026-11-28T12:00:00Z"), 0.999_999).getTime(),
    ).to.be.lessThan(Date.parse("2026-11-29T01:45:00Z"))
  })

  it("knows days of the week and of the month, leap days too", () => {
    expect(rounds(2, "2026-11-28T12:00:00Z", { schedule: "0 3 * * 1", timeZone: "UTC" })).to.deep.equal([
      "2026-11-30T03:00",
      "2026-12-07T03:00",
    ])
    expect(rounds(1, "2026-11-28T12:00:00Z", { schedule: "0 3 29 2 *", timeZone: "UTC" })).to.deep.equal([
      "2028-02-29T03:00",
    ])
  })
})
