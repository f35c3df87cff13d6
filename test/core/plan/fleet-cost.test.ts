import { expect } from "chai"
import type { Binding } from "#src/core/manifest/binding.js"
import { costOf } from "#src/core/plan/fleet-cost.js"
import type { InventoryEntry } from "#src/core/records/inventory.js"
import { BINDING, entryOf, importRecord, REGION, REPLICA, seen } from "#test/support/plan-world.js"

const key = (
  binding: Partial<Binding> = {},
  entry: InventoryEntry | null = entryOf([importRecord()]),
  keyState = "Enabled",
) => ({
  binding: { ...BINDING, ...binding },
  entry,
  key: seen({ keyState }),
  replicas: [],
})
const NEVER = { expiresIn: "never" } as const
const many = <T>(count: number, one: T): readonly T[] => Array.from({ length: count }, () => one)

describe("what a fleet costs a month", () => {
  it("is a dollar a key, and three cents for ten thousand requests: a look a day and the imports", () => {
    // 90 days less 30 before the end, less half of the spread of 6: an import every 57 days, two requests each
    expect(costOf(many(10_000, key()))).to.deep.equal({
      currency: "USD",
      pricesOf: "2026-06",
      kmsKeys: 10_000,
      keysPerMonth: 10_000,
      requests: 619_006,
      requestsPerMonth: 1.86,
    })
  })

  it("counts no import of what never expires, nor of what its custody imports only once", () => {
    const { requests } = costOf(many(1000, key(NEVER)))
    expect(requests).to.equal(60_833)
    expect(costOf(many(1000, key({ custody: "session" }, null))).requests).to.equal(60_833)
    expect(costOf(many(1000, key({ managed: false }))).requests).to.equal(60_833)
  })

  it("charges the first two rotations of a key, and no third; one that is under way is none yet", () => {
    const rotated = (generations: number, more: Partial<InventoryEntry> = {}) =>
      key(
        NEVER,
        entryOf(
          Array.from({ length: generations }, (_, generation) => importRecord(generation)),
          more,
        ),
      )
    const costs = [1, 2, 3, 4, 9].map((generations) => costOf([rotated(generations)]).keysPerMonth)
    expect(costs).to.deep.equal([1, 2, 3, 3, 3])
    expect(costOf([rotated(2, { rotating: true })]).keysPerMonth).to.equal(1)
  })

  it("charges each replica as a key, with the rotations of its own, made or asked for", () => {
    const replicas = [{ region: REPLICA, keyArn: null, aliasGiven: false }]
    const entry = entryOf([importRecord(0), importRecord(1)], { replicas })
    const { kmsKeys, keysPerMonth } = costOf([key({ ...NEVER, replicas: [REPLICA] }, entry)])
    expect([kmsKeys, keysPerMonth]).to.deep.equal([2, 4])
    expect(costOf([key({ ...NEVER, replicas: [REPLICA, REGION] }, null)]).kmsKeys).to.equal(3)
  })

  it("charges nothing for a key that waits for its deletion", () => {
    const dying = costOf([key(NEVER, entryOf([importRecord()]), "PendingDeletion")])
    expect([dying.kmsKeys, dying.keysPerMonth, dying.requests]).to.deep.equal([0, 0, 0])
  })

  it("charges the proof of a key pair at the price of asymmetric requests, of RSA_2048 at the others'", () => {
    const daily = { expiresIn: "2d", renewBefore: { kind: "duration", seconds: 86_400 } } as const
    const spread = { renewSpread: { kind: "duration", seconds: 0 } } as const
    // a look and an import a day: five requests, 1,520,833 a month of 10,000 keys, a fifth of them GetPublicKey
    const usd = (keySpec: Binding["keySpec"]): number =>
      costOf(many(10_000, key({ keySpec, keyUsage: "SIGN_VERIFY", ...daily, ...spread }))).requestsPerMonth
    expect([usd("ECC_NIST_P256"), usd("RSA_2048"), usd("RSA_4096")]).to.deep.equal([8.21, 4.56, 8.21])
  })

  it("counts the rotations of rotateEvery, each with its import into every Region", () => {
    const yearly = { ...NEVER, rotateEvery: 365 * 86_400, replicas: [REPLICA] }
    // 60.8 looks of each of two keys, and a twelfth of two imports and one rotation
    expect(costOf(many(12, key(yearly, null))).requests).to.equal(1465)
  })
})
