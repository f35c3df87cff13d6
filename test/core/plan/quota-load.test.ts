import { expect } from "chai"
import { type LoadingKey, quotaLoads } from "#src/core/plan/quota-load.js"
import type { Decision } from "#src/core/plan/snapshot.js"
import { arn, BINDING, entryOf, importRecord, NOW, REGION, REPLICA } from "#test/support/plan-world.js"

const at = (next: string | null): Pick<Decision, "action" | "next" | "imports"> => ({
  action: "none",
  next: next === null ? null : { action: "rewrap", at: next },
  imports: [],
})
const key = (next: string | null, more: Partial<LoadingKey> = {}): LoadingKey => ({
  snapshot: { binding: BINDING, entry: entryOf([importRecord()]), region: REGION },
  decision: at(next),
  quotas: undefined,
  ...more,
})
const many = <T>(count: number, one: T): readonly T[] => Array.from({ length: count }, () => one)

describe("when the quota binds", () => {
  it("is said of each account and Region: how long all takes, what a day holds, and the busiest day", () => {
    const keys = [...many(300, key("2026-07-04T23:00:00Z")), ...many(700, key("2026-07-05T01:00:00Z"))]
    // (1,000 - 1) / 0.97 seconds at 1 a second; 0.97 times 86,400 a day
    expect(quotaLoads(keys, NOW)).to.deep.equal([
      {
        account: "111122223333",
        region: REGION,
        operation: "GetParametersForImport",
        perSecond: 1,
        imports: 1000,
        seconds: 1030,
        busiestDay: { day: "2026-07-05", imports: 700 },
        importsPerDay: 83_808,
      },
    ])
  })

  it("goes by a target's own quotas, and by the scarcer operation of the two", () => {
    const quotas = { GetParametersForImport: 30, ImportKeyMaterial: 10 }
    const [load] = quotaLoads(many(1000, key(null, { quotas })), NOW)
    expect([load?.operation, load?.perSecond, load?.importsPerDay]).to.deep.equal(["ImportKeyMaterial", 10, 838_080])
    // 1,000 less the burst of 5, at 97 % of 10 a second
    expect([load?.seconds, load?.busiestDay]).to.deep.equal([103, null])
  })

  it("counts every generation in every Region, the one that takes longest first", () => {
    const replicas = [{ region: REPLICA, keyArn: arn(REPLICA), aliasGiven: false }]
    const entry = entryOf([importRecord(0), importRecord(1)], { replicas })
    const rotated = key("2026-06-09T00:00:00Z", { snapshot: { binding: BINDING, entry, region: REGION } })
    const loads = quotaLoads([rotated, key("2026-06-10T00:00:00Z")], NOW)
    expect(loads.map(({ region, imports, busiestDay }) => [region, imports, busiestDay?.imports])).to.deep.equal([
      [REGION, 3, 2],
      [REPLICA, 2, 2],
    ])
  })

  it("counts what is due now as today's, and a key that is not made yet without an account", () => {
    const planned = { region: REGION, keyArn: "", generation: 0, importType: null, keyMaterialId: null }
    const unmade = { snapshot: { binding: BINDING, entry: null, region: REGION } }
    const due = key(null, { ...unmade, decision: { action: "rewrap", next: null, imports: [planned] } })
    const [load] = quotaLoads([due], NOW)
    expect([load?.account, load?.imports, load?.busiestDay]).to.deep.equal([null, 1, { day: "2026-06-01", imports: 1 }])
  })

  it("leaves out what is never imported again", () => {
    const watched = { binding: { ...BINDING, managed: false }, entry: entryOf([importRecord()]), region: REGION }
    const once = { binding: { ...BINDING, custody: "session" as const }, entry: null, region: REGION }
    const keys = [key(null, { snapshot: watched }), key(null, { snapshot: once })]
    expect(quotaLoads(keys, NOW)).to.deep.equal([])
  })
})
