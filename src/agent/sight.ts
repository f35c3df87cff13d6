import type { CheckResult } from "../app/check/check.js"
import type { Status } from "../app/fleet/status.js"
import type { Round } from "../app/round/round.js"
import { KeyferryError } from "../core/base/error.js"
import type { Pause } from "../core/ports/agent-records.js"
import type { World } from "../host/open.js"

/** The fleet as a run saw it after its work. */
export interface Sight {
  /** By KMS' clock. */
  readonly at: Date
  readonly status: Status
  readonly check: CheckResult
}

/** Looks at the fleet as it is now, from anew: what `check` and `status` would say. */
async function look(world: World, { pause, reached }: Required<Pick<LookAfter, "pause" | "reached">>): Promise<Sight> {
  const { fleetKeys } = await import("../app/fleet/fleet.js")
  const { survey } = await import("../app/fleet/survey.js")
  const { statusOf } = await import("../app/fleet/status.js")
  const { checkSurvey, DEFAULT_THRESHOLDS } = await import("../app/check/check.js")
  const accept = (await world.settings()).manifest?.accept ?? {}
  const { vaultReadOnce } = await import("../app/fleet/vault-once.js")
  const opened = await world.fleet({ lock: false })
  const fleet = { ...opened, vault: vaultReadOnce(opened.vault) }
  const surveyed = await survey(fleet, await fleetKeys(fleet), {
    actions: new Set(),
    depth: { tags: false, materials: "needed" },
    reached,
  })
  const { status } = await statusOf(fleet, surveyed)
  const check = await checkSurvey(fleet, surveyed, {
    thresholds: DEFAULT_THRESHOLDS,
    accept,
    pause,
    backup: await (await world.stored.place()).backup(),
    jobs: await world.stored.troubledJobs(),
  })
  return { at: world.clock.now(), status, check }
}

interface LookAfter {
  /** Until when unattended work waits; null where it does not. */
  readonly pause: Pause | null
  /** Why the work could not be done; null where it was. */
  readonly error: KeyferryError | null
  /** Tokens that this process could use before. */
  readonly reached?: ReadonlySet<string | null>
}

/** The same after work that failed; null where what failed keeps from looking as well. */
export async function lookIfItCan(
  world: World,
  { pause, error, reached = new Set() }: LookAfter,
): Promise<Sight | null> {
  try {
    return await look(world, { pause, reached })
  } catch (thrown) {
    if (error !== null && thrown instanceof KeyferryError) return null
    throw thrown
  }
}

interface Work {
  readonly round: Pick<Round, "degraded"> | null
  readonly sight: Sight | null
  readonly error: KeyferryError | null
}

/** How a run ended: `degraded` where token or KMS kept it from some of its work, `failed` from all. */
export function outcomeOf({ round, sight, error }: Work): "done" | "degraded" | "failed" {
  if (error !== null) return "failed"
  const isTokenUnseen = sight?.status.tokens.some(({ state }) => state === "failed") === true
  return (round?.degraded ?? []).length > 0 || isTokenUnseen ? "degraded" : "done"
}
