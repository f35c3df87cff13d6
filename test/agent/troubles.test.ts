import { expect } from "chai"
import { isOverAfter, troublesOf } from "#src/agent/notify/troubles.js"
import { KeyferryError } from "#src/core/base/error.js"
import type { AcceptedFinding } from "#src/core/plan/acceptance.js"
import type { Trouble } from "#src/core/records/incident.js"
import { roundReport, sightOf } from "#test/support/round-report.js"

const finding = (id: string, more: Partial<AcceptedFinding> = {}): AcceptedFinding => ({
  id,
  status: "critical",
  message: `${id} of a`,
  name: "a",
  target: "eu",
  hint: null,
  acceptedUntil: null,
  ...more,
})

const words = (troubles: readonly Trouble[]): readonly string[] =>
  troubles.map(({ kind, reason, name }) => `${kind} ${reason} ${name ?? ""}`)

const trouble = (kind: Trouble["kind"], reason: string, more: Partial<Trouble> = {}): Trouble => ({
  kind,
  status: "critical",
  reason,
  name: "a",
  target: "eu",
  message: "",
  hint: null,
  ...more,
})

describe("the troubles of a round", () => {
  it("are what check finds and nobody has accepted, and keys that failed, also those that wait", () => {
    const backoff = { failures: 2, since: "", retryAt: "", replaced: false, target: "eu", message: "no" }
    const checks = [finding("EXPIRED"), finding("SOURCE_MISSING", { status: "ok" }), finding("DISABLED")]
    const report = roundReport({
      sight: sightOf([], checks),
      round: { rows: [], degraded: [], backoffs: [{ ...backoff, name: "b", reason: "ERR_KMS_OTHER" }] },
    })
    expect(words(troublesOf(report))).to.deep.equal(["failure ERR_KMS_OTHER b", "dead EXPIRED a"])
  })

  it("are a refused PIN as such, and a round that could not begin", () => {
    const refused = new KeyferryError("ERR_TOKEN_PIN_REFUSED_BEFORE", "no")
    const locked = new KeyferryError("ERR_STATE_LOCKED", "no")
    for (const [error, said] of [
      [refused, "breaker ERR_TOKEN_PIN_REFUSED_BEFORE "],
      [locked, "failure ERR_STATE_LOCKED "],
    ] as const) {
      expect(words(troublesOf(roundReport({ error, round: null, sight: null, outcome: "failed" })))).to.deep.equal([
        said,
      ])
    }
  })

  it("are over only where the round would have seen them", () => {
    const unseen = sightOf([], [finding("KMS_UNREACHABLE", { status: "unknown" })])
    const blind = roundReport({ sight: unseen })
    expect(isOverAfter(blind)(trouble("dead", "EXPIRED"))).to.equal(false)
    expect(isOverAfter(blind)(trouble("dead", "EXPIRED", { name: "b", target: "us" }))).to.equal(true)
    expect(isOverAfter(blind)(trouble("clock", "CLOCK_SKEW", { name: null }))).to.equal(false)
    expect(isOverAfter(roundReport())(trouble("dead", "EXPIRED"))).to.equal(true)
    const failed = roundReport({ sight: null, round: null, error: new KeyferryError("ERR_STATE_LOCKED", "") })
    for (const kind of ["dead", "failure", "breaker"] as const) {
      expect(isOverAfter(failed)(trouble(kind, "EXPIRED")), kind).to.equal(false)
    }
  })

  it("are not over of a source or a custody key while the token that has it was not looked at", () => {
    for (const state of ["failed", "not given"] as const) {
      const over = isOverAfter(roundReport({ sight: sightOf([], [], state) }))
      expect(
        ["SOURCE_MISSING", "SOURCE_DAMAGED", "SOURCE_UNUSABLE", "CUSTODY_KEY_LOST"].filter((id) =>
          over(trouble("dying", id)),
        ),
      ).to.deep.equal([])
      expect(over(trouble("dying", "EXPIRES_SOON"))).to.equal(true)
    }
    expect(isOverAfter(roundReport())(trouble("dying", "SOURCE_MISSING"))).to.equal(true)
  })
})
