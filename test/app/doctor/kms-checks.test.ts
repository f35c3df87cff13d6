import { expect } from "chai"
import { examineKms } from "#src/app/doctor/kms-checks.js"
import { KeyferryError } from "#src/core/base/error.js"
import type { Clock } from "#src/core/ports/clock.js"
import { openWorld, type World, worldEnvironment } from "../../support/world.js"

describe("doctor's look at KMS", () => {
  worldEnvironment()
  let world: World
  before(async () => {
    world = await openWorld()
  })
  beforeEach(() => world.reset())
  after(() => world[Symbol.asyncDispose]())

  const offsetBy = (seconds: number | null): Clock => ({
    now: () => new Date(0),
    kmsOffsetMs: () => (seconds === null ? null : seconds * 1000),
  })
  const anyAccount = (): Promise<void> => Promise.resolve()
  const examine = async (clock = offsetBy(0)) => {
    const { kms } = (await world.run()).deps
    return (await examineKms(() => Promise.resolve(kms), clock, anyAccount)).map(({ id, status, exit, message }) => ({
      line: `${id} ${status} ${exit}`,
      message,
    }))
  }
  const lines = async (clock?: Clock): Promise<readonly string[]> => (await examine(clock)).map(({ line }) => line)

  it("changes nothing, and says whose credentials answer, where KMS is and what time it is there", async () => {
    expect(await lines()).to.deep.equal(["aws-identity ok OK", "kms ok OK", "clock ok OK"])
    const { requests } = await world.kms.counts()
    expect(Object.keys(requests).filter((name) => !/^(List|GetCallerIdentity)/.test(name))).to.deep.equal([])
    expect(await lines(offsetBy(null))).to.deep.equal(["aws-identity ok OK", "kms ok OK"])
  })

  for (const [seconds, line, message] of [
    [-1, "clock ok OK", "agrees with KMS'"],
    [2, "clock ok OK", "is 2 s behind KMS'"],
    [60, "clock ok OK", "is 60 s behind KMS'"],
    [-61, "clock warn OK", "is 61 s ahead of KMS'"],
    [300, "clock warn OK", "is 300 s behind KMS'"],
    [-301, "clock fail CONFIG", "is 301 s ahead of KMS'"],
    [301, "clock fail CONFIG", "is 301 s behind KMS'"],
  ] as const) {
    it(`says of a host whose clock KMS is ${seconds} s ahead of: ${line}`, async () => {
      const clock = (await examine(offsetBy(seconds))).at(-1)
      expect(clock).to.deep.equal({ line, message: `this host's clock ${message}` })
    })
  }

  it("warns where keys may not be listed, fails where KMS does not answer, and goes on to the rest", async () => {
    await world.kms.fault({ kind: "access-denied", operation: "ListKeys" })
    expect(await lines()).to.deep.equal(["aws-identity ok OK", "kms warn OK", "clock ok OK"])
    await world.kms.fault({ kind: "internal", operation: "ListKeys", count: 99 })
    expect((await lines())[1]).to.match(/^kms fail (UNAVAILABLE|TEMPFAIL)$/)
  })

  it("takes no Region for a host with the token alone, and every other failure to open for what it is", async () => {
    const opening = async (code: "ERR_KMS_REGION_MISSING" | "ERR_KMS_CREDENTIALS") =>
      (await examineKms(() => Promise.reject(new KeyferryError(code, "no")), offsetBy(0), anyAccount)).map(
        ({ id, status, exit }) => `${id} ${status} ${exit}`,
      )
    expect(await opening("ERR_KMS_REGION_MISSING")).to.deep.equal(["kms warn OK"])
    expect(await opening("ERR_KMS_CREDENTIALS")).to.deep.equal(["kms fail NOPERM"])
  })
})
