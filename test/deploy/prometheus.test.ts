import { spawnSync } from "node:child_process"
import { expect } from "chai"
import { OWN_FINDINGS } from "#src/core/plan/finding.js"
import { REASONS } from "#src/core/plan/reason.js"
import { type AlertCase, ALERTS, fired, OF_BLOCKED, PROMETHEUS, RULES, type Series } from "#test/support/alerts.js"

const BLOCKED = Object.entries(REASONS)
  .filter(([reason, { action }]) => action === "blocked" && !Object.hasOwn(ALERTS, reason))
  .map(([reason]) => reason)

interface Case extends AlertCase {
  /** Each alert that fires, `NAME severity`. */
  readonly alerts: readonly string[]
}

const finding = (reason: string, status: string): Series => ({
  series: `keyferry_check_findings{instance="hsm",reason="${reason}",status="${status}"}`,
  values: "1x400",
})
const gauge = (name: string, value: number): Series => ({
  series: name.includes("{") ? name : `${name}{instance="hsm"}`,
  values: `${value}x400`,
})
const expiresIn = (days: number): Series =>
  gauge(
    'keyferry_key_material_expiration_timestamp_seconds{job="keyferry",instance="hsm",name="a",target="eu",region="r",generation="0"}',
    days * 86_400,
  )
/** An agent that says so for five hours, and then is down. */
const forFiveHours = ({ series, values }: Series): readonly Series[] => [
  { series, values: `${values.replace(/x.*/, "")}x60 stale` },
  { series: 'up{job="keyferry",instance="hsm"}', values: "1x60 0x400" },
]

describe("alert rules of Prometheus", () => {
  for (const [kind, file] of [
    ["rules", RULES],
    ["config", PROMETHEUS],
  ] as const) {
    it(`are taken by promtool: ${kind}`, () => {
      const { status, stdout, stderr } = spawnSync("promtool", ["check", kind, file], { encoding: "utf8" })
      expect(status, stdout + stderr).to.equal(0)
    })
  }

  it("have one for each finding that check knows, as bad as check calls it", () => {
    const known = new Set([...OWN_FINDINGS, ...BLOCKED, ...Object.keys(ALERTS)])
    expect(OWN_FINDINGS.filter((id) => !Object.hasOwn(ALERTS, id))).to.deep.equal([])
    expect(known.size).to.be.greaterThan(30)
    const rows = [
      ...Object.entries(ALERTS).flatMap(([id, byStatus]) =>
        Object.entries(byStatus).map(([status, alert]) => ({ id, status, alert })),
      ),
      ...["KMS_UNREACHABLE", "UNKNOWN_HERE"].map((id) => ({ id, status: "unknown", alert: OF_BLOCKED.unknown })),
      ...["DISABLED", "IDENTITY_CHANGED"].map((id) => ({ id, status: "warning", alert: OF_BLOCKED.warning })),
    ]
    const cases = rows.map(({ id, status, alert }) => ({
      inputs: [finding(id, status)],
      at: "3h",
      alerts: alert === null ? [] : [alert.join(" ")],
    }))
    expect(fired(cases)).to.deep.equal(cases.map(({ alerts }) => alerts))
  })

  it("tell of an expiry by its date, whether the agent runs or not", () => {
    const cases: readonly Case[] = [
      { inputs: [expiresIn(20)], at: "1h", alerts: [] },
      { inputs: [expiresIn(13)], at: "1h", alerts: ["KeyferryKeyDying warning"] },
      { inputs: [expiresIn(2)], at: "1h", alerts: ["KeyferryKeyDying critical"] },
      { inputs: [expiresIn(0.01)], at: "1h", alerts: ["KeyferryKeyExpired critical"] },
      // within 14 days only after the agent went down
      {
        inputs: forFiveHours(expiresIn(14.23)),
        at: "6h",
        alerts: ["KeyferryDown warning", "KeyferryKeyDying warning"],
      },
      // who took the agent from the configuration of Prometheus is not called any more
      { inputs: forFiveHours(expiresIn(2)).slice(0, 1), at: "6h", alerts: [] },
    ]
    expect(fired(cases)).to.deep.equal(cases.map(({ alerts }) => alerts))
  })

  it("tell of the clock as check does, of a refused PIN, of rounds that fail, of an agent that is down", () => {
    const last = gauge('keyferry_run_last_timestamp_seconds{instance="hsm",outcome="done"}', 0)
    const cases: readonly Case[] = [
      { inputs: [gauge("keyferry_clock_offset_seconds", 59)], at: "1h", alerts: [] },
      { inputs: [gauge("keyferry_clock_offset_seconds", -60)], at: "1h", alerts: ["KeyferryClockWrong warning"] },
      { inputs: [gauge("keyferry_clock_offset_seconds", 300)], at: "1h", alerts: ["KeyferryClockWrong critical"] },
      { inputs: [gauge("keyferry_pin_breaker_open", 1)], at: "1h", alerts: ["KeyferryPinRefused critical"] },
      { inputs: [gauge("keyferry_pin_breaker_open", 0)], at: "1h", alerts: [] },
      { inputs: [{ ...last, values: "0x400" }], at: "25h", alerts: [] },
      { inputs: [{ ...last, values: "0x400" }], at: "27h", alerts: ["KeyferryRoundsFail warning"] },
      { inputs: [gauge('up{job="keyferry",instance="hsm"}', 0)], at: "1h", alerts: ["KeyferryDown warning"] },
      { inputs: [gauge('up{job="keyferry",instance="hsm"}', 1)], at: "1h", alerts: [] },
    ]
    expect(fired(cases)).to.deep.equal(cases.map(({ alerts }) => alerts))
  })
})
