import { expect } from "chai"
import { plan } from "#src/core/plan/plan.js"
import type { Snapshot } from "#src/core/plan/snapshot.js"
import { BINDING, days, entryOf, importRecord, materialId, rotation, seen, snapshot } from "../../support/plan-world.js"

const DAY_S = 86_400
/** Wants a rotation every twenty days, over what a row changes. */
const next = (more: Partial<Snapshot>, wanted: Partial<Snapshot["binding"]> = {}) => {
  const {
    reason,
    next: coming,
    message,
  } = plan(snapshot({ binding: { ...BINDING, rotateEvery: 20 * DAY_S, ...wanted }, ...more }))
  return { reason, coming, message }
}
const AT = (at: Date): string => `${at.toISOString().slice(0, 19)}Z`
const due = (since: Date) => ({
  reason: "ROTATION_DUE",
  coming: { action: "rotate", at: AT(days(0)) },
  message: `its key material is in use since ${AT(since)}`,
})

/** Three generations, each imported, made and rotated to at another time than the others. */
const three = (current: number): Partial<Snapshot> => ({
  entry: entryOf([
    importRecord(0, { importedAt: days(-12) }),
    importRecord(1, { importedAt: days(-11) }),
    importRecord(2, { importedAt: days(-13) }),
  ]),
  sources: [0, 1, 2].map((generation) => ({ generation, state: "present", note: null })),
  key: seen(
    { currentKeyMaterialId: materialId(current), creationDate: days(-70) },
    {
      rotations: [
        rotation(0, { keyMaterialState: current === 0 ? "CURRENT" : "NON_CURRENT", rotationDate: null }),
        rotation(1, { keyMaterialState: current === 1 ? "CURRENT" : "NON_CURRENT", rotationDate: days(-40) }),
        rotation(2, { keyMaterialState: current === 2 ? "CURRENT" : "NON_CURRENT", rotationDate: days(-15) }),
      ],
    },
  ),
})

describe("rotateEvery", () => {
  it("counts from the rotation to the material in use, not from another's, nor from an import", () => {
    expect(next(three(2))).to.deep.include({ reason: "NOT_DUE", coming: { action: "rotate", at: AT(days(5)) } })
    expect(next(three(1))).to.deep.equal(due(days(-40)))
  })

  it("counts from the making of the KMS key for the first material, however often it was imported", () => {
    const key = seen({ creationDate: days(-25) }, { rotations: [rotation(0)] })
    expect(next({ key })).to.deep.equal(due(days(-25)))
    expect(next({ key: seen({ creationDate: days(-19) }) }).coming).to.deep.equal({
      action: "rotate",
      at: AT(days(1)),
    })
  })

  it("counts from the newest import of the newest generation where KMS tells no date", () => {
    const entry = entryOf([
      importRecord(1, { importedAt: days(-22) }),
      importRecord(1, { importedAt: days(-21) }),
      importRecord(0, { importedAt: days(-2) }),
    ])
    const key = seen({ currentKeyMaterialId: materialId(1), creationDate: days(-70) })
    expect(next({ entry, key })).to.deep.equal(due(days(-21)))
  })

  it("is due to the second", () => {
    const key = (milliseconds: number) => seen({ creationDate: new Date(days(-20).getTime() + milliseconds) })
    expect(next({ key: key(0) }).reason).to.equal("ROTATION_DUE")
    expect(next({ key: key(1) }).reason).to.equal("NOT_DUE")
  })

  const old = seen({ creationDate: days(-70) })
  const nothing: readonly [what: string, more: Partial<Snapshot>, wanted?: Partial<Snapshot["binding"]>][] = [
    ["a replaced key", { key: old, role: "former" }],
    ["a key that the configuration does not name", { key: old }, { managed: false }],
    ["a key that is not to be rotated", { key: old }, { rotateEvery: null }],
    [
      "a key that cannot be rotated",
      {
        entry: entryOf([importRecord(0, { id: null })], { keySpec: "HMAC_256", keyUsage: "GENERATE_VERIFY_MAC" }),
        key: seen({
          ...{ keySpec: "HMAC_256", keyUsage: "GENERATE_VERIFY_MAC" },
          currentKeyMaterialId: null,
          creationDate: days(-70),
        }),
      },
      { keySpec: "HMAC_256", keyUsage: "GENERATE_VERIFY_MAC" },
    ],
  ]
  for (const [what, more, wanted] of nothing) {
    it(`never rotates ${what}`, () => {
      const { reason, coming } = next(more, wanted)
      expect([reason, coming?.action ?? null]).not.to.include.members(["ROTATION_DUE"])
      expect(coming?.action).not.to.equal("rotate")
    })
  }

  it("is over after 25 rotations, as KMS counts them or as generations are known, whichever is more", () => {
    const counted = (count: number) =>
      seen(
        { creationDate: days(-70), currentKeyMaterialId: materialId(0) },
        { rotations: [rotation(0), ...Array.from({ length: count }, () => rotation(0, { rotationDate: days(-30) }))] },
      )
    expect(next({ key: counted(24) }).reason).to.equal("ROTATION_DUE")
    expect(next({ key: counted(25) }).reason).to.equal("ROTATIONS_EXHAUSTED")
    const known = entryOf(
      Array.from({ length: 26 }, (_, generation) => importRecord(generation, { importedAt: days(-21) })),
    )
    const key = seen({ currentKeyMaterialId: materialId(25), creationDate: days(-70) })
    expect(next({ entry: known, key }).reason).to.equal("ROTATIONS_EXHAUSTED")
  })
})

describe("material that was recorded", () => {
  it("and is not listed by KMS any more was lost, whatever the KMS key itself says", () => {
    const entry = entryOf([importRecord(0), importRecord(1)])
    const sources = [0, 1].map((generation) => ({ generation, state: "present" as const, note: null }))
    const key = seen({ currentKeyMaterialId: materialId(1) }, { rotations: [rotation(1)] })
    const { reason } = plan(snapshot({ entry, sources, key }))
    expect(reason).to.equal("MATERIAL_DELETED")
    expect(
      plan(snapshot({ entry, sources, key }), { recover: { deleted: true } }).imports.map(
        ({ generation }) => generation,
      ),
    ).to.include(0)
  })
})
