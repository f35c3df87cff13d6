import { expect } from "chai"
import { type Backoff, backoffAfter, isWaiting } from "#src/core/records/backoff.js"

const NOW = new Date("2026-11-28T12:00:00Z")
const HOUR = 3_600_000
const at = (milliseconds: number): Date => new Date(NOW.getTime() + milliseconds)
const FAILURE = { name: "payments", target: "eu", replaced: false, reason: "ERR_KMS_OTHER", message: "no", end: null }

/** Hours that a key waits after so many failures, one right after the end of the other's wait. */
function waits(times: number, end: Date | null = null): readonly number[] {
  let backoff: Backoff | undefined
  let now = NOW
  return Array.from({ length: times }, () => {
    backoff = backoffAfter(backoff, { ...FAILURE, now, end })
    const hours = (Date.parse(backoff.retryAt) - now.getTime()) / HOUR
    now = new Date(backoff.retryAt)
    return hours
  })
}

describe("backoff of a key that failed", () => {
  it("is an hour, doubles, and is a day at most, however often it fails", () => {
    expect(waits(8)).to.deep.equal([1, 2, 4, 8, 16, 24, 24, 24])
    expect(waits(2_000).at(-1)).to.equal(24)
  })

  it("leaves of the key's life never more than a quarter without a try, down to a minute", () => {
    expect(waits(1, at(2 * HOUR))).to.deep.equal([0.5])
    expect(waits(3, at(40 * HOUR))).to.deep.equal([1, 2, 4])
    const ends = at(10 * HOUR)
    let now = NOW
    let backoff: Backoff | undefined
    const tries: number[] = []
    while (now < ends) {
      backoff = backoffAfter(backoff, { ...FAILURE, now, end: ends })
      tries.push((ends.getTime() - now.getTime()) / 60_000)
      now = new Date(backoff.retryAt)
    }
    // the last tries come in the last minutes
    expect(tries.at(-1)).to.be.lessThan(2)
    expect(backoffAfter(undefined, { ...FAILURE, now: NOW, end: at(1_000) }).retryAt).to.equal("2026-11-28T12:01:00Z")
  })

  it("waits of a dead key as of one that never dies", () => {
    expect(waits(3, at(-HOUR))).to.deep.equal([1, 2, 4])
  })

  it("keeps when it began, how often it failed, and why it did last", () => {
    const first = backoffAfter(undefined, { ...FAILURE, now: NOW })
    const second = backoffAfter(first, { ...FAILURE, reason: "ERR_TOKEN_FULL", message: "full", now: at(HOUR) })
    expect(second).to.deep.equal({
      name: "payments",
      target: "eu",
      replaced: false,
      failures: 2,
      since: "2026-11-28T12:00:00Z",
      retryAt: "2026-11-28T15:00:00Z",
      reason: "ERR_TOKEN_FULL",
      message: "full",
    })
  })

  it("is over at its time, and is not believed where a clock that was set back makes it longer than any", () => {
    const { retryAt } = backoffAfter(undefined, { ...FAILURE, now: NOW })
    expect([at(0), at(HOUR - 1), at(HOUR), at(2 * HOUR)].map((now) => isWaiting({ retryAt }, now))).to.deep.equal([
      true,
      true,
      false,
      false,
    ])
    expect(isWaiting({ retryAt }, at(-40 * HOUR))).to.equal(false)
  })
})
