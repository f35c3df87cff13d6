import type { AgentSettings } from "../core/manifest/agent-settings.js"
import type { AgentFacts, FleetReport } from "../report/fleet-report.js"
import type { RoundReport } from "./agent.js"

/** What the agent shows of itself. */
export interface AgentView {
  readonly version: string
  /** The manifest's `id`. */
  readonly owner: string
  readonly settings: AgentSettings
  /** The last; where it could not look, with what was seen last. Null until the first has ended. */
  readonly report: RoundReport | null
  /** When the next round begins, by KMS' clock; null before the first has ended. */
  readonly next: Date | null
}

/** What a load balancer or a person is told of the agent's readiness, and whether it is ready. */
export function readiness({ report, next }: AgentView): { readonly ready: boolean; readonly facts: object } {
  if (report === null) return { ready: false, facts: { ready: false, reason: "the first round has not ended" } }
  const { outcome, trigger, ended, error, sight, pause, round } = report
  const tokens = Object.fromEntries((sight?.status.tokens ?? []).map(({ name, state }) => [name ?? "token", state]))
  const troubles = [...new Set((round?.degraded ?? []).map(({ reason }) => reason))]
  const ready = outcome === "done"
  return {
    ready,
    facts: {
      ready,
      tokens,
      kms: troubles.some((reason) => reason.includes("KMS")) ? "failed" : "answers",
      troubles: error === null ? troubles : [error.code],
      lastRound: { outcome, trigger, ended: ended.toISOString() },
      nextRound: next?.toISOString() ?? null,
      pausedUntil: pause?.until ?? null,
    },
  }
}

/** What the pages show; null before a round has seen the fleet. */
export function fleetReport({ version, owner, report, next }: AgentView): FleetReport | null {
  if (report?.sight == null) return null
  return { owner, version, ...report.sight, backoffs: report.round?.backoffs ?? [], agent: agentFacts(report, next) }
}

function agentFacts({ run, outcome, round, error, pause }: RoundReport, next: Date | null): AgentFacts {
  const troubles = new Set((round?.degraded ?? []).map(({ reason, message }) => `${message} [${reason}]`))
  return {
    run,
    outcome,
    troubles: error === null ? [...troubles].slice(0, 5) : [`${error.message} [${error.code}]`],
    next,
    pausedUntil: pause?.until ?? null,
  }
}

/** When a round ended, by KMS' clock. */
export function timeOf({ ended, kmsOffsetMs }: Pick<RoundReport, "ended" | "kmsOffsetMs">): Date {
  return new Date(ended.getTime() + (kmsOffsetMs ?? 0))
}
