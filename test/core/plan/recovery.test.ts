import { expect } from "chai"
import { byImportance, type Recovering, recoveryTime } from "#src/core/plan/recovery.js"
import type { Quotas } from "#src/core/plan/schedule.js"

const NOW = new Date("2026-06-01T00:00:00Z")
const PARAMETERS = "GetParametersForImport"

const key = (regions: readonly string[], quotas?: Quotas, account = "111122223333"): Recovering => ({
  imports: regions.map((region) => ({
    region,
    keyArn: `arn:aws:kms:${region}:${account}:key/mrk-${"0".repeat(32)}`,
    generation: 0,
    importType: null,
    keyMaterialId: null,
  })),
  costs: { [PARAMETERS]: regions.length, ImportKeyMaterial: regions.length },
  quotas,
})
const many = <T>(count: number, entry: T): readonly T[] => Array.from({ length: count }, () => entry)

describe("the order of recovery", () => {
  it("is by priority, 1 before 2 and none last, then by name", () => {
    const keys = [
      { name: "b", priority: null },
      { name: "z", priority: 2 },
      { name: "a", priority: null },
      { name: "c", priority: 10 },
      { name: "y", priority: 2 },
      { name: "x", priority: 1 },
    ]
    expect(keys.sort(byImportance).map(({ name }) => name)).to.deep.equal(["x", "y", "z", "c", "a", "b"])
  })
})

describe("the time of recovery", () => {
  it("is that of the slowest account and Region, which are worked on at the same time", () => {
    const keys = [...many(98, key(["eu-west-3"])), ...many(10, key(["us-east-1"]))]
    expect(recoveryTime(keys, NOW)).to.deep.equal({
      imports: 108,
      perSecond: 1.94,
      seconds: 100,
      finishes: "2026-06-01T00:01:40Z",
      ask: [{ operation: PARAMETERS, account: "111122223333", region: "eu-west-3", perSecond: 1, wanted: 2 }],
    })
  })

  it("counts targets of one account and Region together, by the smaller quota of the two", () => {
    const quick = key(["eu-west-3"], { [PARAMETERS]: 30, ImportKeyMaterial: 30 })
    const slow = key(["eu-west-3"], { [PARAMETERS]: 15 })
    const { seconds, perSecond } = recoveryTime([...many(300, quick), ...many(300, slow)], NOW)
    expect(perSecond).to.equal(14.55)
    // 600 less the burst of 7, at 97 % of 15 a second
    expect(seconds).to.equal(41)
    const apart = recoveryTime([...many(300, quick), ...many(300, key(["eu-west-3"], {}, "444455556666"))], NOW)
    expect(apart.seconds).to.equal(309)
  })

  it("asks for every quota that would hold it up for more than half the time", () => {
    const { ask } = recoveryTime(many(1000, key(["eu-west-3", "us-east-1"], { [PARAMETERS]: 15 })), NOW)
    expect(ask.map(({ operation, region, perSecond, wanted }) => [operation, region, perSecond, wanted])).to.deep.equal(
      [
        [PARAMETERS, "eu-west-3", 15, 30],
        ["ImportKeyMaterial", "eu-west-3", 15, 30],
        [PARAMETERS, "us-east-1", 15, 30],
        ["ImportKeyMaterial", "us-east-1", 15, 30],
      ],
    )
  })

  it("is nothing where nothing is lost, and asks for nothing", () => {
    expect(recoveryTime([], NOW)).to.deep.equal({
      imports: 0,
      perSecond: 0,
      seconds: 0,
      finishes: "2026-06-01T00:00:00Z",
      ask: [],
    })
    expect(recoveryTime([key(["eu-west-3"])], NOW)).to.include({ imports: 1, seconds: 0 })
  })
})
