import { expect } from "chai"
import { divergingKeys, type MaterialOrder, mergedEntry } from "#src/core/records/merge.js"
import { type FormerEntry, generationsOf, type InventoryEntry } from "#src/core/records/inventory.js"
import { arn, days, entryOf, importRecord, materialId, REGION } from "../../support/plan-world.js"

const NO_ORDERS = new Map<string, MaterialOrder>()
const merged = (ours: InventoryEntry, theirs: InventoryEntry): InventoryEntry => mergedEntry(ours, theirs, NO_ORDERS)
/** Another KMS key of the name. */
const other = (id: string, more: Partial<InventoryEntry> = {}): InventoryEntry =>
  entryOf([importRecord(0)], { keyArn: `arn:aws:kms:${REGION}:111122223333:key/${id}`, requestId: id, ...more })
const former = (id: string, retiredAt: string | null, intendedAt: string): FormerEntry => ({
  ...other(id, { intendedAt }),
  replacedAt: "2026-05-01T00:00:00Z",
  retiredAt,
})

/** The first material, and one more that this copy alone has. */
const rotated = (material: number, importedAt: Date): InventoryEntry => {
  const entry = entryOf([importRecord(0), importRecord(1, { id: materialId(material), importedAt })])
  return { ...entry, source: { ...entry.source, id: `0${material}`.repeat(16) } }
}

describe("mergedEntry", () => {
  const base = entryOf([importRecord(0)])

  it("keeps a replacement that one copy has begun, and refuses two that are different keys", () => {
    const begun = { ...base, replacement: other("new") }
    for (const [ours, theirs] of [
      [begun, base],
      [base, begun],
      [begun, begun],
    ] as const) {
      expect(merged(ours, theirs).replacement?.keyArn).to.equal(other("new").keyArn)
    }
    expect(merged(base, base).replacement).to.equal(null)
    expect(() => merged(begun, { ...base, replacement: other("newer") })).to.throw(/its replacement is/)
  })

  it("has every key that was replaced in either copy, once and oldest first, and what was retired stays so", () => {
    const ours = { ...base, former: [former("b", null, "2026-02-01T00:00:00Z")] }
    const theirs = {
      ...base,
      former: [former("a", null, "2026-01-01T00:00:00Z"), former("b", "2026-05-05T00:00:00Z", "2026-02-01T00:00:00Z")],
    }
    for (const entry of [merged(ours, theirs), merged(theirs, ours)]) {
      expect(entry.former.map(({ requestId, retiredAt }) => [requestId, retiredAt])).to.deep.equal([
        ["a", null],
        ["b", "2026-05-05T00:00:00Z"],
      ])
    }
  })

  it("refuses copies whose name stands for two keys of which neither replaced the other", () => {
    expect(() => merged(base, other("stranger"))).to.throw(/it stands for/)
    expect(() => merged(base, { ...base, keySpec: "HMAC_256" })).to.throw(/keySpec SYMMETRIC_DEFAULT here/)
  })

  it("puts what each copy alone rotated to in KMS' order, and refuses material that neither knows", () => {
    const [ours, theirs] = [rotated(1, days(-3)), rotated(2, days(-6))]
    expect(divergingKeys(ours, theirs)).to.deep.equal([arn(REGION)])
    expect(divergingKeys(ours, base)).to.deep.equal([])
    const listed = (...ids: readonly number[]) =>
      new Map([[arn(REGION), ids.map((id) => ({ keyMaterialId: materialId(id), pending: false }))]])
    const entry = mergedEntry(ours, theirs, listed(0, 2, 1))
    expect(generationsOf(entry).map(({ id, generation }) => [id.slice(0, 2), generation])).to.deep.equal([
      ["00", 0],
      ["02", 1],
      ["01", 2],
    ])
    expect(entry.imports.map(({ generation, keyMaterialId }) => [generation, keyMaterialId])).to.have.deep.members([
      [0, materialId(0)],
      [1, materialId(2)],
      [2, materialId(1)],
    ])
    expect(() => mergedEntry(ours, theirs, listed(0, 2, 7))).to.throw(/which neither copy knows/)
    expect(() => merged(ours, theirs)).to.throw(/KMS was not asked for the order/)
  })
})
