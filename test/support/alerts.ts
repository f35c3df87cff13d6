import { spawnSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const DELIVERED = fileURLToPath(new URL("../../../deploy/prometheus/", import.meta.url))
export const RULES = join(DELIVERED, "keyferry.rules.yaml")
/** The configuration of a Prometheus that scrapes an agent. */
export const PROMETHEUS = join(DELIVERED, "prometheus.yaml")

type Alert = readonly [alert: string, severity: string]

/** Of each finding of `check`, by status: the alert that says so, and how badly; null where it is told by dates. */
export const ALERTS: Readonly<Record<string, Readonly<Record<string, Alert | null>>>> = {
  EXPIRED: { critical: ["KeyferryKeyDead", "critical"] },
  MATERIAL_DELETED: { critical: ["KeyferryKeyDead", "critical"] },
  KEY_GONE: { critical: ["KeyferryKeyDead", "critical"] },
  PENDING_DELETION: { critical: ["KeyferryKeyDead", "critical"] },
  UNAVAILABLE: { critical: ["KeyferryKeyDead", "critical"] },
  PROOF_FAILED: { critical: ["KeyferryKeyProofFailed", "critical"] },
  EXPIRES_SOON: { critical: null, warning: null },
  SOURCE_MISSING: { critical: ["KeyferrySourceLost", "critical"], warning: ["KeyferryNeedsAPerson", "warning"] },
  SOURCE_DAMAGED: { critical: ["KeyferrySourceLost", "critical"], warning: ["KeyferryNeedsAPerson", "warning"] },
  SOURCE_UNUSABLE: { critical: ["KeyferrySourceLost", "critical"] },
  CUSTODY_KEY_LOST: { critical: ["KeyferrySourceLost", "critical"] },
  CUSTODY_LOG_BROKEN: { critical: ["KeyferryCustodyLogBroken", "critical"] },
  CLOCK_SKEW: { critical: null, warning: null },
  BACKUP_UNCONFIRMED: { warning: ["KeyferryNeedsAPerson", "warning"] },
  BACKUP_OLD: { warning: ["KeyferryNeedsAPerson", "warning"] },
  AGENT_PAUSED: { warning: ["KeyferryNeedsAPerson", "warning"] },
  // a key that is about to end is told by its dates
  JOBS_UNTAKEN: { warning: ["KeyferryNeedsAPerson", "warning"] },
  DEAD_LETTER: { critical: null, warning: ["KeyferryNeedsAPerson", "warning"] },
  TOKEN_UNSEEN: { unknown: ["KeyferryUnseen", "warning"] },
  REPLICA_UNSEEN: { unknown: ["KeyferryUnseen", "warning"] },
}

/** Whatever blocks a key and has no row above. */
export const OF_BLOCKED: Readonly<Record<"unknown" | "warning", Alert>> = {
  unknown: ["KeyferryUnseen", "warning"],
  warning: ["KeyferryNeedsAPerson", "warning"],
}

/** A line of samples, as promtool reads it, five minutes apart. */
export interface Series {
  readonly series: string
  readonly values: string
}

export interface AlertCase {
  readonly inputs: readonly Series[]
  /** When they are looked at, such as `3h`, from the first sample on. */
  readonly at: string
}

/** Every alert of the file: those not named must not fire. */
const NAMES = [
  ...["KeyferryKeyDead", "KeyferryKeyProofFailed", "KeyferryKeyDying", "KeyferryKeyExpired", "KeyferrySourceLost"],
  ...["KeyferryCustodyLogBroken", "KeyferryClockWrong", "KeyferryPinRefused", "KeyferryUnseen", "KeyferryNeedsAPerson"],
  ...["KeyferryRoundsFail", "KeyferryDown"],
]

/** What fires at each case, as promtool evaluates the rules: each `NAME severity` once, in order. */
export function fired(cases: readonly AlertCase[]): readonly (readonly string[])[] {
  const dir = mkdtempSync(join(tmpdir(), "keyferry-rules-"))
  try {
    const tests = cases.map(({ inputs, at }, index) => ({
      name: String(index),
      interval: "5m",
      input_series: inputs,
      // an alert that fires and is not expected is told with its labels
      alert_rule_test: NAMES.map((alertname) => ({ eval_time: at, alertname, exp_alerts: [] })),
    }))
    const file = join(dir, "tests.yaml")
    writeFileSync(file, JSON.stringify({ rule_files: [RULES], evaluation_interval: "5m", tests }))
    const { stdout, stderr, error } = spawnSync("promtool", ["test", "rules", file], {
      encoding: "utf8",
      maxBuffer: 64 * 1024 * 1024,
    })
    if (error !== undefined) throw error
    const alerts = cases.map(() => new Set<string>())
    let index = 0
    for (const line of `${stdout}${stderr}`.split("\n")) {
      index = Number(/^ *name: (\d+),$/.exec(line)?.[1] ?? index)
      const [, name, severity] = /Labels:\{alertname="(\w+)".*?severity="(\w+)"/.exec(line) ?? []
      if (name !== undefined) alerts[index]?.add(`${name} ${severity}`)
    }
    return alerts.map((names) => [...names].sort())
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}
