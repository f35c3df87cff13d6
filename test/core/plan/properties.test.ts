import { expect } from "chai"
import fc from "fast-check"
import type { Span } from "#src/core/manifest/key-settings.js"
import { type InventoryEntry, withImport } from "#src/core/records/inventory.js"
import { jitterOf, renewalAt } from "#src/core/plan/due.js"
import { plan } from "#src/core/plan/plan.js"
import type { Decision, PlanOptions, SeenKey, Snapshot } from "#src/core/plan/snapshot.js"
import {
  BINDING,
  DAY,
  entryOf,
  importRecord,
  materialId,
  NOW,
  REGION,
  rotation,
  seen,
  snapshot,
} from "../../support/plan-world.js"

const runs = { numRuns: process.env["SLOW"] === undefined ? 200 : 5000 }

const renewBefore: fc.Arbitrary<Span> = fc.oneof(
  fc.record({ kind: fc.constant("duration" as const), seconds: fc.integer({ min: 0, max: 400 * 86_400 }) }),
  fc.record({ kind: fc.constant("percentage" as const), percent: fc.integer({ min: 0, max: 100 }) }),
)
const jitter = fc.double({ min: 0, max: 1, noNaN: true })

/** One to four generations, each imported at some time, some of them expired. */
const situation = fc
  .record({
    ages: fc.array(fc.integer({ min: 0, max: 400 }), { minLength: 1, maxLength: 4 }),
    expiresDays: fc.integer({ min: 1, max: 364 }),
    renewBefore,
    jitter,
    includeDisabled: fc.boolean(),
    interrupted: fc.boolean(),
  })
  .map(({ ages, expiresDays, interrupted, ...wishes }) => {
    const records = ages.map((age, generation) => {
      const importedAt = new Date(NOW.getTime() - age * DAY)
      return importRecord(generation, { importedAt, validTo: new Date(importedAt.getTime() + expiresDays * DAY) })
    })
    return snapshot({
      binding: { ...BINDING, expiresIn: `${expiresDays}d`, renewBefore: wishes.renewBefore },
      jitter: wishes.jitter,
      entry: entryOf(records, { importing: interrupted ? (records[0] ?? null) : null }),
      key: viewOf(records.map(({ validTo }) => new Date(validTo ?? ""))),
      sources: records.map(({ generation }) => ({ generation, state: "present", note: null })),
    })
  })

/** KMS' side of generations with these expiries. */
function viewOf(ends: readonly Date[], now = NOW): SeenKey {
  const expired = ends.some((end) => end <= now)
  const first = new Date(Math.min(...ends.map((end) => end.getTime())))
  return seen(
    {
      keyState: expired ? "PendingImport" : "Enabled",
      validTo: expired ? null : first,
      currentKeyMaterialId: materialId(ends.length - 1),
    },
    { rotations: ends.map((validTo, generation) => rotation(generation, { validTo })) },
  )
}

/** What the executor and KMS make of a decision. */
function applied(before: Snapshot, { imports }: Decision, days: number): Snapshot {
  const { entry, now } = before
  if (entry === null) return before
  const validTo = new Date(now.getTime() + days * DAY)
  const after = imports.reduce<InventoryEntry>(
    (one, { generation }) => withImport(one, importRecord(generation, { importedAt: now, validTo })),
    { ...entry, importing: null },
  )
  const ends = Array.from(
    { length: entry.earlier.length + 1 },
    (_, generation) => new Date(after.imports.find((one) => one.generation === generation)?.validTo ?? ""),
  )
  return { ...before, entry: after, key: viewOf(ends, now) }
}

describe("properties of plan", () => {
  it("applied once it finds nothing the second time, and the key is usable", () => {
    fc.assert(
      fc.property(situation, (before) => {
        const decision = plan(before)
        const after = applied(before, decision, Number.parseInt(before.binding.expiresIn))
        const again = plan(after)
        expect([decision.reason, again.action, again.reason]).to.deep.equal([decision.reason, "none", "NOT_DUE"])
        expect(after.key.seen === "key" && after.key.description.keyState).to.equal("Enabled")
      }),
      runs,
    )
  })

  it("imports every generation once, and only what is due, expired or close to it", () => {
    fc.assert(
      fc.property(situation, (before) => {
        const { imports } = plan(before)
        expect(new Set(imports.map(({ generation }) => generation)).size).to.equal(imports.length)
        expect(imports.every(({ region }) => region === REGION)).to.equal(true)
        const forced = plan(before, { force: "all" } satisfies PlanOptions).imports
        expect(forced.length).to.equal(before.sources.length)
      }),
      runs,
    )
  })

  it("renews after the import, never later than the bound, and over the spread before it", () => {
    const life = fc.integer({ min: 60, max: 364 * 86_400 })
    const renewSpread = fc.oneof(renewBefore, fc.constant<Span>({ kind: "duration", seconds: 0 }))
    fc.assert(
      fc.property(life, renewBefore, renewSpread, jitter, (seconds, before, spread, place) => {
        const validTo = new Date(NOW.getTime() + seconds * 1000)
        const renewal = { renewBefore: before, renewSpread: spread }
        const at = renewalAt({ importedAt: NOW, validTo }, renewal, place).getTime() - NOW.getTime()
        const bound = renewalAt({ importedAt: NOW, validTo }, renewal, 0).getTime() - NOW.getTime()
        expect(at).to.be.within(1, bound)
        expect(at).to.be.at.least(0.49 * bound - 1)
        const spreadMs = spread.kind === "duration" ? spread.seconds * 1000 : (bound * spread.percent) / 100
        expect(at).to.be.closeTo(bound - Math.min(spreadMs, bound / 2) * place, 2)
      }),
      runs,
    )
  })

  it("spreads over a tenth of the time to the bound where nothing else is said", () => {
    const validTo = new Date(NOW.getTime() + 100 * 86_400_000)
    const renewal = { ...BINDING, renewBefore: { kind: "percentage", percent: 20 } as const }
    expect(renewalAt({ importedAt: NOW, validTo }, renewal, 1)).to.deep.equal(new Date(NOW.getTime() + 72 * 86_400_000))
  })

  it("gives keys places all over the spread, the same at every run", () => {
    const places = Array.from({ length: 1000 }, (_, at) => jitterOf({ name: `key-${at}`, target: "prod" }))
    const mean = places.reduce((sum, place) => sum + place, 0) / places.length
    expect(mean).to.be.within(0.45, 0.55)
    expect(jitterOf({ name: "key-7", target: "prod" })).to.equal(places[7])
  })
})
