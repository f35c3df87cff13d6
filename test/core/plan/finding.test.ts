import { expect } from "chai"
import { CUSTODIES } from "#src/core/key/custody.js"
import { withAcceptances } from "#src/core/plan/acceptance.js"
import { type Finding, findingsOf, firstEnd, worstStatus } from "#src/core/plan/finding.js"
import { plan } from "#src/core/plan/plan.js"
import type { Snapshot } from "#src/core/plan/snapshot.js"
import {
  BINDING,
  arn,
  days,
  entryOf,
  failed,
  importRecord,
  NOW,
  REGION,
  REPLICA,
  seen,
  snapshot,
} from "../../support/plan-world.js"

const DAY_S = 86_400
const THRESHOLDS = { warn: 14 * DAY_S, crit: 3 * DAY_S }
const LOST = { keyState: "PendingImport", validTo: null, expirationModel: null, currentKeyMaterialId: null }

const ending = (end: number): Partial<Snapshot> => ({
  entry: entryOf([importRecord(0, { importedAt: days(end - 90), validTo: days(end) })]),
  key: seen({ validTo: days(end) }),
})
const missing = { sources: [{ generation: 0, state: "missing" as const, note: null }] }
const replicated = {
  binding: { ...BINDING, multiRegion: true, replicas: [REPLICA] },
  entry: entryOf([importRecord(), importRecord(0, { region: REPLICA })], {
    multiRegion: true,
    replicas: [{ region: REPLICA, keyArn: arn(REPLICA), aliasGiven: true }],
  }),
}
const never = {
  entry: entryOf([importRecord(0, { validTo: null })]),
  key: seen({ validTo: null, expirationModel: "KEY_MATERIAL_DOES_NOT_EXPIRE" }),
}

type Row = readonly [what: string, snapshot: Partial<Snapshot>, findings: readonly string[], tells?: RegExp]

const ROWS: readonly Row[] = [
  ["a key that is well", {}, []],
  ["a key that is due, and not near its end", ending(14.5), []],
  ["a key 14 days before its end", ending(14), ["warning EXPIRES_SOON"], /on 2026-06-15T00:00:00Z/],
  ["a key a little more than 3 days before it", ending(3.01), ["warning EXPIRES_SOON"]],
  ["a key 3 days before it", ending(3), ["critical EXPIRES_SOON"], /keyferry rewrap payments/],
  ["a key that no binding names", { ...ending(2), binding: { ...BINDING, managed: false } }, ["critical EXPIRES_SOON"]],
  ["a deleted key", { key: seen(LOST) }, ["critical MATERIAL_DELETED"], /recover payments --yes/],
  [
    "an expired key",
    { ...ending(-1), key: seen(LOST) },
    ["critical EXPIRED"],
    /in us-east-1: its key material expired on 2026-05-31T00:00:00Z .*keyferry recover payments$/,
  ],
  [
    "an expired key that no binding names",
    { ...ending(-1), key: seen(LOST), binding: { ...BINDING, managed: false } },
    ["critical EXPIRED"],
  ],
  [
    "a replica alone that lost its material",
    { ...replicated, replicas: [seen(LOST, { region: REPLICA })] },
    ["critical MATERIAL_DELETED"],
    /dead in eu-west-3:/,
  ],
  [
    "a replica that does not answer, of a key near its end",
    { ...replicated, key: seen({ validTo: days(2) }), replicas: [failed("ERR_KMS_UNREACHABLE", "no route", REPLICA)] },
    ["unknown REPLICA_UNSEEN", "critical EXPIRES_SOON"],
  ],
  ["a lost source", missing, ["critical SOURCE_MISSING"], /KMS loses its material on 2026-08-20/],
  [
    "a lost source of a lost key",
    { ...missing, key: seen(LOST) },
    ["critical MATERIAL_DELETED", "critical SOURCE_MISSING"],
  ],
  ["a lost source of what never expires", { ...missing, ...never }, ["warning SOURCE_MISSING"], /KMS alone has/],
  [
    "a damaged source",
    { sources: [{ generation: 0, state: "damaged", note: "a bit" }] },
    ["critical SOURCE_DAMAGED"],
    /\(a bit\)/,
  ],
  ["a source of which nothing is known", { sources: [{ generation: 0, state: "unknown", note: null }] }, []],
  ["KMS that is not reached", { key: failed("ERR_KMS_UNREACHABLE", "no route") }, ["unknown KMS_UNREACHABLE"]],
  ["KMS that refuses", { key: failed("ERR_KMS_ACCESS_DENIED", "no") }, ["unknown KMS_DENIED"]],
  ["an entry that cannot be read", { damage: "garbage" }, ["unknown ENTRY_UNREADABLE"]],
  ["a KMS key that is gone", { key: failed("ERR_KMS_KEY_NOT_FOUND", "gone") }, ["critical KEY_GONE"]],
  ["a KMS key that is to be deleted", { key: seen({ keyState: "PendingDeletion" }) }, ["critical PENDING_DELETION"]],
  ["another owner's key", { claimedBy: "somebody" }, ["warning KEY_CLAIMED"]],
]

describe("findings", () => {
  for (const [what, more, expected, tells] of ROWS) {
    it(`${what}: ${expected.join(", ") || "nothing"}`, () => {
      const world = snapshot(more)
      const findings = findingsOf(world, plan(world), THRESHOLDS)
      expect(findings.map(({ status, id }) => `${status} ${id}`)).to.deep.equal(expected)
      for (const finding of findings) expect(finding).to.include({ name: "payments", target: "prod" })
      if (tells !== undefined)
        expect(findings.map(({ message, hint }) => `${message} ${hint ?? ""}`).join("\n")).to.match(tells)
    })
  }

  it("do not tell who holds a key that can be imported only once to recover it", () => {
    const custody = Object.entries(CUSTODIES).find(([, { reimport }]) => !reimport)?.[0] ?? ""
    const entry = { ...entryOf([importRecord(0, { validTo: null })]), custody: custody as "locked" }
    const world = snapshot({ entry, key: seen(LOST) })
    const dead = findingsOf(world, plan(world), THRESHOLDS).find(({ id }) => id === "MATERIAL_DELETED")
    expect(dead?.hint).to.include("keyferry replace")
  })

  it("name the first end of what KMS still has", () => {
    expect(firstEnd(snapshot(ending(7)))).to.deep.equal(days(7))
    expect(firstEnd(snapshot({ key: seen(LOST) }))).to.equal(null)
    expect(firstEnd(snapshot(never))).to.equal(null)
  })

  it("count by the worst of them", () => {
    expect(worstStatus([])).to.equal("ok")
    expect(worstStatus(["ok", "warning"])).to.equal("warning")
    expect(worstStatus(["warning", "unknown", "ok"])).to.equal("unknown")
    expect(worstStatus(["unknown", "critical", "warning"])).to.equal("critical")
  })
})

describe("acceptances", () => {
  const finding: Finding = { id: "EXPIRED", status: "critical", message: "m", name: "a", target: REGION, hint: null }
  const accepted = (acceptances: Readonly<Record<string, string>>) => withAcceptances([finding], acceptances, NOW)[0]

  it("silence a finding by the name of its key or target, to the end of their day", () => {
    expect(accepted({ "EXPIRED:a": "2026-06-01" })).to.include({ status: "ok", acceptedUntil: "2026-06-02T00:00:00Z" })
    expect(accepted({ [`EXPIRED:${REGION}`]: "2026-06-01T00:00:01Z" })).to.include({ status: "ok" })
    expect(accepted({ "EXPIRED:a": "2026-05-01", [`EXPIRED:${REGION}`]: "2026-07-01" })).to.include({ status: "ok" })
  })

  it("silence no other, and none for longer", () => {
    const others = { "EXPIRES_SOON:a": "2027-01-01", "EXPIRED:b": "2027-01-01" }
    expect(accepted(others)).to.deep.equal({ ...finding, acceptedUntil: null })
    const message = "m; it was accepted until 2026-06-01T00:00:00Z"
    expect(accepted({ "EXPIRED:a": "2026-05-31" })).to.deep.equal({ ...finding, message, acceptedUntil: null })
  })
})
