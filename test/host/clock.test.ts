import { expect } from "chai"
import { RunClock } from "#src/host/clock.js"

const HOST = Date.UTC(2026, 5, 1)
const DAY_MS = 86_400_000

describe("the clock of a run", () => {
  const at = (offsetMs: number): Date => new Date(HOST + offsetMs)

  it("is the host's before KMS has answered", () => {
    const clock = new RunClock(() => HOST)
    expect(clock.now()).to.deep.equal(at(0))
    expect(clock.of("prod").now()).to.deep.equal(at(0))
    expect(clock.kmsOffsetMs()).to.equal(null)
    expect(clock.skews()).to.deep.equal([])
  })

  it("is KMS' of each target by itself from its first answer on, and of the last that answered without one", () => {
    const clock = new RunClock(() => HOST)
    clock.learn("prod", at(25 * DAY_MS))
    clock.learn("test", at(-DAY_MS))
    expect(clock.of("prod").now()).to.deep.equal(at(25 * DAY_MS))
    expect(clock.of("test").now()).to.deep.equal(at(-DAY_MS))
    expect(clock.of("another").kmsOffsetMs()).to.equal(null)
    expect(clock.now()).to.deep.equal(at(-DAY_MS))
  })

  it("does not follow what is only the resolution of a Date header, and follows a host's clock that is set", () => {
    let host = HOST
    const clock = new RunClock(() => host)
    clock.learn(null, at(-900))
    expect(clock.kmsOffsetMs()).to.equal(0)
    clock.learn(null, at(60_000))
    clock.learn(null, at(59_100))
    expect(clock.kmsOffsetMs()).to.equal(60_000)
    host += DAY_MS
    clock.learn(null, at(61_000))
    expect(clock.now()).to.deep.equal(at(61_000))
  })

  for (const [offsetMs, message] of [
    [25 * DAY_MS, /^this host's clock is 25 days behind KMS' of target prod: /],
    [-3 * 3_600_000, /^this host's clock is 3 hours ahead of KMS' of target prod: /],
    [60_000, /^this host's clock is 60 seconds behind KMS' of target prod: /],
    [-59_999, null],
  ] as const) {
    it(`names a difference of ${offsetMs} ms: ${String(message !== null)}`, () => {
      const clock = new RunClock(() => HOST)
      clock.learn("prod", at(offsetMs))
      const skews = clock.skews()
      expect(skews.map(({ code, target, offsetSeconds }) => [code, target, offsetSeconds])).to.deep.equal(
        message === null ? [] : [["CLOCK_SKEW", "prod", offsetMs / 1000]],
      )
      if (message !== null) expect(skews[0]?.message).to.match(message)
    })
  }
})
