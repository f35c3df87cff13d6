import { expect } from "chai"
import { plan } from "#src/core/plan/plan.js"
import type { Snapshot } from "#src/core/plan/snapshot.js"
import {
  arn,
  BINDING,
  days,
  entryOf,
  failed,
  importRecord,
  REGION,
  REPLICA,
  seen,
  snapshot,
} from "../../support/plan-world.js"

const HERE = "mrk-1"
const former = (keyArn: string) => ({ ...entryOf([]), keyArn, replacedAt: "2026-05-01T00:00:00Z", retiredAt: null })
const WANTED: Partial<Snapshot["binding"]> = {
  alias: "alias/a",
  multiRegion: true,
  replicas: [REPLICA],
}
/** Fields that differ, each with its Region and whether it can be set right; and what is done about them. */
const drift = (more: Partial<Snapshot>, wanted: Partial<Snapshot["binding"]> = {}) => {
  const replicas = { multiRegion: true, replicas: [{ region: REPLICA, keyArn: arn(REPLICA), aliasGiven: true }] }
  const decision = plan(
    snapshot({
      binding: { ...BINDING, ...WANTED, ...wanted },
      aliasHolder: HERE,
      replicas: [seen({}, { region: REPLICA })],
      entry: entryOf([importRecord(), importRecord(0, { region: REPLICA })], replicas),
      ...more,
    }),
  )
  return [
    decision.reason,
    ...decision.drift.map((one) => `${one.field} ${one.region} ${one.correctable}: ${one.found}`),
  ]
}
const TAGS = { owner: "a", cost: "7" }

describe("drift of plan", () => {
  it("is none where all is as wanted, or was not looked at", () => {
    const tagged = { tags: TAGS, policy: "{}" }
    expect(
      drift({ wantedTags: TAGS, key: seen({}, tagged), replicas: [seen({}, { region: REPLICA, ...tagged })] }),
    ).to.deep.equal(["NOT_DUE"])
    expect(drift({ wantedTags: TAGS }, { keyPolicy: '{"Statement":[]}' }), "not looked at").to.deep.equal(["NOT_DUE"])
    expect(drift({ aliasHolder: undefined }), "not looked at").to.deep.equal(["NOT_DUE"])
    expect(drift({ aliasHolder: "another" }, { alias: null }), "not wanted").to.deep.equal(["NOT_DUE"])
    expect(drift({ key: failed("ERR_KMS_UNREACHABLE", "no route"), aliasHolder: "another" })).to.deep.equal([
      "KMS_UNREACHABLE",
    ])
  })

  it("names each tag that is missing or differs, in each Region, and none that nobody wants", () => {
    const key = seen({}, { tags: { owner: "b", other: "x" } })
    const replicas = [seen({}, { region: REPLICA, tags: { ...TAGS, other: "x" } })]
    expect(drift({ wantedTags: TAGS, key, replicas })).to.deep.equal([
      "DRIFT",
      `tags ${REGION} true: owner=b`,
      `tags ${REGION} true: none`,
    ])
    expect(drift({ wantedTags: TAGS, replicas: [seen({}, { region: REPLICA, tags: { owner: "a" } })] })).to.deep.equal([
      "DRIFT",
      `tags ${REPLICA} true: none`,
    ])
  })

  it("moves an alias that names nobody, or a key that this one replaced, and no other", () => {
    const entry = entryOf([importRecord()], { former: [former("arn:aws:kms:us-east-1:1:key/old")] })
    const alone = { entry, replicas: [] }
    const single = { multiRegion: false, replicas: [] }
    expect(drift({ ...alone, aliasHolder: null }, single)).to.deep.equal(["DRIFT", `alias ${REGION} true: none`])
    expect(drift({ ...alone, aliasHolder: "old" }, single)).to.deep.equal(["DRIFT", `alias ${REGION} true: old`])
    expect(drift({ ...alone, aliasHolder: "older" }, single)).to.deep.equal([
      "ALIAS_TAKEN",
      `alias ${REGION} false: older`,
    ])
    const replacement = entryOf([], { keyArn: "arn:aws:kms:us-east-1:1:key/new" })
    expect(drift({ entry: { ...entry, replacement }, replicas: [], aliasHolder: "new" }, single)[1]).to.equal(
      `alias ${REGION} true: new`,
    )
  })

  it("shows an expiry that only a person changes, and corrects the rest", () => {
    const key = seen({ description: "b" })
    expect(drift({ key }, { description: "a", expiresIn: "never" }).slice(1)).to.deep.equal([
      `description ${REGION} true: b`,
      `description ${REPLICA} true: `,
      `expiry ${REGION} true: 2026-08-20T00:00:00Z`,
      `expiry ${REPLICA} true: 2026-08-20T00:00:00Z`,
    ])
    expect(drift({}, { expiresIn: days(80).toISOString() }), "a fixed end is not compared").to.deep.equal(["FIXED_END"])
  })

  it("is looked for neither of a replaced key, nor of one that the configuration does not name", () => {
    expect(drift({ aliasHolder: null, role: "former" })).to.deep.equal(["NOT_DUE"])
    expect(drift({ aliasHolder: null }, { managed: false })).to.deep.equal(["UNMANAGED"])
  })
})
