import { expect } from "chai"
import { AgentClock } from "#src/agent/agent-clock.js"

const HOUR = 3_600_000
const YEAR = 365 * 24 * HOUR

describe("the agent's clock between rounds", () => {
  let wall: number
  let steady: number
  let clock: AgentClock
  const pass = (ms: number): void => {
    wall += ms
    steady += ms
  }
  beforeEach(() => {
    wall = Date.parse("2026-11-28T12:00:00Z")
    steady = 5_000
    clock = new AgentClock({ wall: () => wall, steady: () => steady })
  })

  it("goes on where the host's is set back, whether KMS' time is known or not", () => {
    const start = clock.now().getTime()
    pass(HOUR)
    wall -= YEAR
    expect(clock.now().getTime() - start).to.equal(HOUR)
    // a host that was a year ahead, and is set right
    clock.learn(YEAR)
    const learnt = clock.now().getTime()
    wall -= YEAR
    pass(HOUR)
    expect(clock.now().getTime() - learnt).to.equal(HOUR)
  })

  it("takes in the time for which the machine slept", () => {
    const start = clock.now().getTime()
    wall += 8 * HOUR
    expect(clock.now().getTime() - start).to.equal(8 * HOUR)
  })

  it("is KMS' once that is learnt, also after a leap forward", () => {
    wall += YEAR
    clock.learn(-YEAR)
    expect(clock.now().toISOString()).to.equal("2026-11-28T12:00:00.000Z")
  })
})
