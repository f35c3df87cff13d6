import type { ExitName } from "../../core/base/exit-code.js"
import type { DecisionRow } from "../../core/plan/decision-row.js"
import { plan } from "../../core/plan/plan.js"
import type { Action } from "../../core/plan/reason.js"
import { byImportance, type RecoveryTime, recoveryTime } from "../../core/plan/recovery.js"
import { type Fleet, type FleetKey, fleetKeys } from "../fleet/fleet.js"
import { reconcile, type ReconcileOptions } from "../fleet/reconcile.js"
import { survey, type SurveyedKey, type SurveyOptions, type TokenSurvey } from "../fleet/survey.js"

/** An import is all that brings material back. */
const ACTIONS: ReadonlySet<Action> = new Set(["rewrap"])

/** What KMS has lost, most important first; nothing is changed yet. */
export interface Recovery {
  /** Every key that was looked at, in the order in which they are brought back. */
  readonly keys: readonly (SurveyedKey & { readonly key: FleetKey })[]
  /** Names of keys whose material was deleted rather than expired: that may have been meant. */
  readonly deleted: readonly string[]
  readonly time: RecoveryTime
  readonly tokens: readonly TokenSurvey[]
  /** Of a token that could not be searched. */
  readonly tokenExit: ExitName
}

/**
 * Looks for lost material of all keys, or of those named; one that the configuration does not name is brought back only
 * by its name.
 *
 * @throws ERR_KEY_NOT_FOUND for a name that stands for nothing, ERR_STATE_INCOMPLETE
 */
export async function surveyLost(
  fleet: Fleet,
  names: readonly string[],
  { onRow }: Pick<SurveyOptions, "onRow">,
): Promise<Recovery> {
  const sorted = [...(await fleetKeys(fleet, names))].sort((a, b) => byImportance(a.binding, b.binding))
  const { keys, tokens, tokenExit } = await survey(fleet, sorted, {
    ...planOptions(names, { deleted: true }),
    actions: ACTIONS,
    depth: { tags: false, materials: "needed" },
    ...(onRow === undefined ? {} : { onRow }),
  })
  const lost = keys.filter(isLost)
  const unasked = planOptions(names, { deleted: false })
  const deleted = lost.filter(({ snapshot }) => plan(snapshot, unasked).reason === "MATERIAL_DELETED")
  return {
    keys: sorted.flatMap((key, index) => {
      const surveyed = keys[index]
      return surveyed === undefined ? [] : [{ ...surveyed, key }]
    }),
    deleted: [...new Set(deleted.map(({ snapshot }) => snapshot.binding.name))],
    time: recoveryTime(
      lost.map(({ decision, snapshot }) => ({ ...decision, quotas: fleet.quotasOf(snapshot.binding.target) })),
      fleet.clock.now(),
    ),
    tokens,
    tokenExit,
  }
}

/**
 * Imports what was found to be lost, every generation into every Region, most important first. What KMS has got back
 * meanwhile is left, so that a run that was stopped is simply run again.
 *
 * @param deleted whether a person has said that deleted material is to come back
 */
export async function recoverLost(
  fleet: Fleet,
  { keys }: Pick<Recovery, "keys">,
  {
    names,
    deleted,
    onRow,
  }: { readonly names: readonly string[]; readonly deleted: boolean } & Pick<ReconcileOptions, "onRow">,
): Promise<readonly DecisionRow[]> {
  const lost = keys.filter(isLost).map(({ key }) => key)
  const rows = await reconcile(fleet, lost, {
    ...recoveryOf({ deleted }),
    ...planOptions(names, { deleted }),
    ...(onRow === undefined ? {} : { onRow }),
  })
  const remaining = rows.values()
  return keys.map((surveyed) => (isLost(surveyed) ? (remaining.next().value ?? surveyed.row) : surveyed.row))
}

/** How a key is brought back. */
export function recoveryOf(recover: { readonly deleted: boolean }) {
  const depth = { tags: false, materials: "needed" } as const
  return { ...planOptions([], recover), actions: ACTIONS, depth, untilDone: false } satisfies ReconcileOptions
}

const isLost = ({ row }: Pick<SurveyedKey, "row">): boolean => row.outcome === "planned"

function planOptions(names: readonly string[], recover: { readonly deleted: boolean }) {
  return { recover, force: names.length > 0 ? ("named" as const) : null }
}
