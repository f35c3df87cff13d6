import { KeyferryError } from "../../core/base/error.js"
import { rfc3339 } from "../../core/base/expiry.js"
import type { Acceptances } from "../../core/manifest/acceptances.js"
import { type AcceptedFinding, withAcceptances } from "../../core/plan/acceptance.js"
import {
  type CheckStatus,
  type Finding,
  findingsOf,
  firstEnd,
  LATE_HINT,
  type Thresholds,
  worstStatus,
} from "../../core/plan/finding.js"
import type { Pause } from "../../core/ports/agent-records.js"
import type { DeadLetter, TroubledJobs, UntakenJobs } from "../../core/records/dead-letter.js"
import { isOld, type StateBackup } from "../../core/records/state-backup.js"
import { clockLine } from "../doctor/kms-checks.js"
import { type Fleet, type FleetKey, fleetKeys } from "../fleet/fleet.js"
import { type Patience, survey, type Survey, type SurveyOptions } from "../fleet/survey.js"
import { vaultReadOnce } from "../fleet/vault-once.js"
import { vaultStatus } from "../fleet/vault-status.js"
import { performanceData } from "./performance-data.js"

export interface CheckResult {
  readonly status: CheckStatus
  readonly checks: readonly AcceptedFinding[]
  /** As a Nagios plugin prints it. */
  readonly perfdata: string
  readonly keys: CheckedKeys
}

/** How many keys of those that were looked at, by target. */
export interface CheckedKeys {
  /** Not those of which a finding is accepted. */
  readonly well: number
  /** The configuration names them, and no KMS key holds their material yet: nothing to call anybody for. */
  readonly unprovisioned: number
}

/** Seconds before an expiry, where nothing else is said: 14 days, and 3. */
export const DEFAULT_THRESHOLDS: Thresholds = { warn: 14 * 86_400, crit: 3 * 86_400 }

export interface CheckOptions {
  readonly thresholds: Thresholds
  readonly accept: Acceptances
  /** How long answers are waited for; null for as long as it takes. */
  readonly patience: (Patience & Pick<SurveyOptions, "onRow">) | null
  /** Until when unattended work waits; null where it does not. */
  readonly pause: Pause | null
  /** Of the state directory. */
  readonly backup: StateBackup
  /** Jobs of agents that share a database; none without. */
  readonly jobs?: TroubledJobs
}

/** Everything that monitoring is to know of the fleet. It changes nothing, and works without a token. */
export async function check(opened: Fleet, options: CheckOptions): Promise<CheckResult> {
  const { patience } = options
  const fleet = { ...opened, vault: vaultReadOnce(opened.vault) }
  const all = await fleetKeys(fleet)
  const surveyed = await survey(fleet, all, {
    actions: new Set(),
    depth: { tags: false, materials: "needed" },
    ...(patience === null ? {} : { patience }),
    ...(patience?.onRow === undefined ? {} : { onRow: patience.onRow }),
  })
  return await checkSurvey(fleet, surveyed, { ...options, late: lateFindings(surveyed, all) })
}

/** The same of a fleet that was looked at. */
export async function checkSurvey(
  fleet: Fleet,
  surveyed: Survey,
  {
    thresholds,
    accept,
    pause,
    backup,
    jobs = { dead: [], untaken: [] },
    late = [],
  }: Omit<CheckOptions, "patience"> & { readonly late?: readonly Finding[] },
): Promise<CheckResult> {
  const { keys } = surveyed
  const clocks = clocksOf(fleet, surveyed)
  const findings: readonly Finding[] = [
    ...keys.flatMap(({ snapshot, decision }) => findingsOf(snapshot, decision, thresholds)),
    ...clocks.flatMap((clock) => clock.findings),
    ...late,
    ...(await custodyFindings(fleet, surveyed)),
    ...tokenFindings(surveyed),
    ...(await logFindings(fleet)),
    ...pauseFindings(pause, fleet.clock.now()),
    ...backupFindings(backup, fleet.clock.now()),
    ...deadFindings(jobs.dead, surveyed, thresholds),
    // that nobody works while the agents are paused is said already
    ...(isPaused(pause, fleet.clock.now()) ? [] : jobs.untaken.map(untakenFinding)),
  ]
  const now = fleet.clock.now()
  const checks = withAcceptances(findings, accept, now)
  return {
    status: worstStatus(checks.map(({ status }) => status)),
    checks,
    perfdata: performanceData({
      findings,
      keys: keys.length,
      secondsLeft: keys.flatMap(({ snapshot }) => {
        const end = firstEnd(snapshot)
        return end === null ? [] : [Math.floor((end.getTime() - snapshot.now.getTime()) / 1000)]
      }),
      offsets: clocks.map(({ offset }) => offset),
      thresholds,
    }),
    keys: countKeys(surveyed, findings),
  }
}

function countKeys({ keys }: Survey, findings: readonly Finding[]): CheckedKeys {
  const unprovisioned = keys.filter(({ decision }) => decision.action === "provision")
  const well = keys.filter(({ snapshot: { binding }, decision }) => {
    const isFound = findings.some(({ name, target }) => name === binding.name && target === binding.target)
    return decision.action !== "provision" && !isFound
  })
  return { well: well.length, unprovisioned: unprovisioned.length }
}

interface ClockView {
  /** Seconds by which the host's clock is ahead of KMS'. */
  readonly offset: number
  readonly findings: readonly Finding[]
}

const STATUS = { ok: "ok", warn: "warning", fail: "critical" } as const

function clocksOf(fleet: Fleet, { keys }: Survey): readonly ClockView[] {
  const targets = new Set(keys.map(({ snapshot }) => snapshot.binding.target))
  return [...targets].flatMap((target) => {
    const offsetMs = fleet.clockOf(target).kmsOffsetMs()
    if (offsetMs === null) return []
    const { status, message, hint } = clockLine(-offsetMs)
    const finding = { id: "CLOCK_SKEW", status: STATUS[status], message, name: null, target, hint }
    return [{ offset: Math.round(-offsetMs / 1000), findings: status === "ok" ? [] : [finding] }]
  })
}

/** Custody keys: a lost one takes every sealed key along, and one without a backup can be lost. */
async function custodyFindings(fleet: Fleet, { searched }: Survey): Promise<readonly Finding[]> {
  const records = await fleet.custodyKeys.list()
  const { custodyKeys, findings } = await vaultStatus(fleet, searched)
  const unconfirmed = records.filter(
    ({ owner, backupConfirmedAt }) => owner === fleet.owner && backupConfirmedAt === null,
  )
  return [
    ...unconfirmed.map(({ label, id }): Finding => ({
      id: "BACKUP_UNCONFIRMED",
      status: "warning",
      message: `no backup of the custody key ${label} is confirmed: if the token is lost, every sealed key dies at its next expiry`,
      name: label,
      target: null,
      hint: `back the token up by the vendor's tool, then keyferry key backup-confirmed --custody-key ${id}`,
    })),
    ...custodyKeys
      .filter(({ severity }) => severity === "fail")
      .map(({ label, message, hint }): Finding => ({
        id: "CUSTODY_KEY_LOST",
        status: "critical",
        message,
        name: label,
        target: null,
        hint,
      })),
    // what is missing or damaged is said of each KMS key
    ...findings
      .filter(({ fault }) => fault !== "missing" && fault !== "damaged")
      .map(({ message, name, hint }): Finding => ({
        id: "SOURCE_UNUSABLE",
        status: "critical",
        message,
        name,
        target: null,
        hint,
      })),
  ]
}

/** A custody log that somebody changed is no evidence. */
async function logFindings({ custodyLog }: Fleet): Promise<readonly Finding[]> {
  try {
    await custodyLog.verify()
    return []
  } catch (error) {
    if (!(error instanceof KeyferryError)) throw error
    const { message, hint } = error
    return [{ id: "CUSTODY_LOG_BROKEN", status: "critical", message, name: "custody-log", target: null, hint }]
  }
}

/** What did not answer while it was waited for, by target. */
function lateFindings({ unanswered }: Survey, all: readonly FleetKey[]): readonly Finding[] {
  const targetsOf = (keys: readonly FleetKey[]): readonly string[] => keys.map(({ binding }) => binding.target)
  return [...new Set(targetsOf(unanswered))].map((target) => {
    const count = (keys: readonly FleetKey[]): number => targetsOf(keys).filter((other) => other === target).length
    return {
      id: "TIMEOUT",
      status: "unknown",
      message: `KMS did not answer in time about ${count(unanswered)} of ${count(all)} keys`,
      name: null,
      target,
      hint: LATE_HINT,
    }
  })
}

const isPaused = (pause: Pause | null, now: Date): pause is Pause =>
  pause !== null && Date.parse(pause.until) > now.getTime()

/** Nothing is kept alive meanwhile, unless a person does it. */
function pauseFindings(pause: Pause | null, now: Date): readonly Finding[] {
  if (!isPaused(pause, now)) return []
  const message = `the agent is paused until ${pause.until}, since ${pause.since}: no key is rewrapped by it before then`
  const hint = "keyferry agent pause --until now ends it"
  return [{ id: "AGENT_PAUSED", status: "warning", message, name: "agent", target: null, hint }]
}

/** What was done since the newest archive would be lost with this host. */
function backupFindings(backup: StateBackup, now: Date): readonly Finding[] {
  if (!isOld(backup, now)) return []
  const since = backup.linesSince === null ? "" : `, and lines of the custody log since then: ${backup.linesSince}`
  const message = `the state was last exported on ${backup.exportedAt ?? ""}${since}`
  const hint = "keyferry state export FILE, once a day, to another machine's disk"
  return [{ id: "BACKUP_OLD", status: "warning", message, name: "state", target: null, hint }]
}

/** A key whose job is not tried for now: it dies at its expiry unless a person, or a later try, helps. */
function deadFindings(
  dead: readonly DeadLetter[],
  { keys }: Survey,
  { crit }: Pick<Thresholds, "crit">,
): readonly Finding[] {
  return dead.map(({ name, target, replaced, failedAt, code, message }) => {
    const seen = keys.find(({ row }) => row.name === name && row.target === target && row.replaced === replaced)
    const end = seen === undefined ? null : firstEnd(seen.snapshot)
    const isDying = seen !== undefined && end !== null && end.getTime() - seen.snapshot.now.getTime() < crit * 1000
    return {
      id: "DEAD_LETTER",
      status: isDying ? "critical" : "warning",
      message: `the agents failed at it as often as they try, last at ${rfc3339(failedAt)}: ${message} [${code}]`,
      name,
      target,
      hint: `keyferry apply ${name} tries it now, and says what is wrong`,
    }
  })
}

/** No agent reaches the token, or none runs: what is due waits. */
function untakenFinding({ token, count, since }: UntakenJobs): Finding {
  const name = token ?? "token"
  const jobs = count === 1 ? "a job" : `${count} jobs`
  return {
    id: "JOBS_UNTAKEN",
    status: "warning",
    message: `${jobs} of ${token === null ? "the token" : `token ${token}`}, due since ${rfc3339(since)}: no agent takes any`,
    name,
    target: null,
    hint: "look at the agent that reaches this token, and at its log: keyferry doctor on that host; where none reaches it, correct tokens in the configuration",
  }
}

/** What a token holds is not known where it cannot be searched; one that is not given is not asked about. */
function tokenFindings({ tokens }: Survey): readonly Finding[] {
  return tokens
    .filter(({ state }) => state === "failed")
    .map(({ name, message }) => ({
      id: "TOKEN_UNSEEN",
      status: "unknown",
      message: `${name === null ? "the token" : `token ${name}`} was not looked at: ${message ?? ""}`,
      name: name ?? "token",
      target: null,
      hint: "keyferry doctor",
    }))
}
