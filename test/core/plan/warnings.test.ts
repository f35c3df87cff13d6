import { expect } from "chai"
import { plan } from "#src/core/plan/plan.js"
import { type WarningCode, WARNINGS } from "#src/core/plan/reason.js"
import type { PlanOptions, Snapshot } from "#src/core/plan/snapshot.js"
import {
  arn,
  BINDING,
  days,
  entryOf,
  importRecord,
  materialId,
  REGION,
  REPLICA,
  rotation,
  seen,
  snapshot,
} from "../../support/plan-world.js"

type Row = readonly [snapshot: Partial<Snapshot>, code: WarningCode, sentence: string, options?: PlanOptions]

const bound = (more: Partial<Snapshot["binding"]>) => ({ binding: { ...BINDING, ...more } })
const never = {
  entry: entryOf([importRecord(0, { validTo: null })]),
  key: seen({ validTo: null, expirationModel: "KEY_MATERIAL_DOES_NOT_EXPIRE" }),
  ...bound({ expiresIn: "never" }),
}
const replica = { multiRegion: true, replicas: [{ region: REPLICA, keyArn: arn(REPLICA), aliasGiven: true }] }
const id = "00".repeat(16)

const ROWS: readonly Row[] = [
  [{ key: seen({ keyState: "Disabled" }) }, "DISABLED", `${arn(REGION)} is disabled`],
  [
    { ...never, sources: [{ generation: 0, state: "missing", note: null }] },
    "SOURCE_GONE",
    `the source key of generation 0 (${id}) is gone: KMS alone has this material`,
  ],
  [
    { ...never, sources: [{ generation: 0, state: "damaged", note: "digest differs" }] },
    "SOURCE_UNUSABLE",
    "the sealed material of generation 0 cannot be used: digest differs; KMS alone has it",
  ],
  [
    { sources: [{ generation: 0, state: "unknown", note: 'it is in token "old" (serial 1)' }] },
    "SOURCE_ELSEWHERE",
    `the source key of generation 0 (${id}) is not in the token that is given: it is in token "old" (serial 1)`,
  ],
  [
    bound({ managed: false }),
    "UNMANAGED_EXPIRES",
    "the configuration does not name it, and KMS loses its material on 2026-08-20T00:00:00Z",
  ],
  [
    {
      ...bound({ managed: false }),
      key: seen({ keyState: "PendingImport", validTo: null, currentKeyMaterialId: null }),
    },
    "UNMANAGED_LOST",
    "the configuration does not name it, and its key material is gone from KMS",
  ],
  [
    {},
    "SHORTER",
    "its new expiry, 2026-06-02T00:00:00Z, is earlier than its present one, 2026-08-20T00:00:00Z",
    { force: "all", expiresIn: "1d", shorten: true },
  ],
  [
    bound({ renewBefore: { kind: "duration", seconds: 100 * 86_400 } }),
    "RENEW_BEFORE_TOO_LONG",
    "renewBefore is longer than what it is imported for: it is imported again after a tenth of that",
  ],
  [
    {
      entry: entryOf(Array.from({ length: 21 }, (_, generation) => importRecord(generation))),
      key: seen(
        { currentKeyMaterialId: materialId(20) },
        { rotations: Array.from({ length: 21 }, (_, generation) => rotation(generation)) },
      ),
    },
    "ROTATIONS_FEW",
    "20 of the 25 rotations that KMS permits of one key are used",
  ],
  [
    bound({ keySpec: "HMAC_256", keyUsage: "GENERATE_VERIFY_MAC", rotateEvery: 86_400 }),
    "ROTATE_NOT_POSSIBLE",
    "a HMAC_256 key cannot be rotated: `keyferry replace` makes a new one",
  ],
  [bound({ custody: "token" }), "CUSTODY_DIFFERS", "its custody is sealed, and token is wanted: `keyferry key reseal`"],
  [
    { entry: entryOf([importRecord()], replica) },
    "REPLICA_UNWANTED",
    `the replica in ${REPLICA} is not wanted any more: it is kept alive until it is deleted`,
  ],
  [
    {
      entry: entryOf([importRecord()], replica),
      replicas: [seen({ keyState: "PendingDeletion" }, { region: REPLICA })],
      ...bound({ multiRegion: true, replicas: [REPLICA] }),
    },
    "REPLICA_STATE",
    `the replica in ${REPLICA} is PendingDeletion`,
  ],
  [
    { entry: entryOf([importRecord()], { replacement: entryOf([]) }) },
    "REPLACEMENT_BEGUN",
    "a replacement was begun and not finished: `keyferry replace payments`, `rewrap` and `apply` go on with it",
  ],
  [
    {
      role: "former",
      entry: { ...entryOf([importRecord()]), replacedAt: "2026-05-01T00:00:00Z" } as Snapshot["entry"],
    },
    "FORMER_KEPT",
    `${arn(REGION)} was replaced on 2026-05-01T00:00:00Z and is kept alive until \`keyferry retire\``,
  ],
]

describe("warnings of plan", () => {
  for (const [more, code, sentence, options] of ROWS) {
    it(code, () => {
      const { warnings } = plan(snapshot(more), options)
      expect(warnings.find((one) => one.code === code)?.message).to.equal(sentence)
    })
  }

  it("compares a new expiry with that of the material that is imported, and of no other", () => {
    const entry = entryOf([importRecord(0, { importedAt: days(-89) }), importRecord(1)])
    const sources = [0, 1].map((generation) => ({ generation, state: "present" as const, note: null }))
    const rotations = [rotation(0, { keyMaterialState: "NON_CURRENT", validTo: days(1) }), rotation(1)]
    const key = seen({ currentKeyMaterialId: materialId(1) }, { rotations })
    const { imports, warnings } = plan(snapshot({ entry, sources, key }), { expiresIn: "40d" })
    expect(imports.map(({ generation }) => generation)).to.deep.equal([0])
    expect(warnings.map(({ code }) => code)).to.deep.equal([])
    const all = plan(snapshot({ entry, sources, key }), { expiresIn: "40d", force: "all", shorten: true })
    expect(all.imports.map(({ generation }) => generation)).to.deep.equal([0, 1])
    expect(all.warnings.map(({ code }) => code)).to.deep.equal(["SHORTER"])
  })

  it("has a row for every warning, and none for a key in good order", () => {
    expect(Object.keys(WARNINGS)).to.have.members([...new Set(ROWS.map(([, code]) => code))])
    expect(plan(snapshot()).warnings).to.deep.equal([])
  })

  it("brings neither drift nor rotation to a replaced key, and still imports it again", () => {
    const former = { role: "former" as const, ...bound({ description: "money", rotateEvery: 1, alias: "alias/a" }) }
    expect(plan(snapshot({ ...former, aliasHolder: null }))).to.deep.include({ action: "none", drift: [] })
    const entry = entryOf([importRecord(0, { importedAt: days(-70) })])
    expect(plan(snapshot({ ...former, entry, key: seen({ validTo: days(20) }) })).reason).to.equal("DUE")
  })
})
