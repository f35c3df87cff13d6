import { keyArnIn } from "../records/inventory.js"
import type { Action } from "./reason.js"
import { type KeyRow, type Outcome, rowOutcome, type RowOutcome } from "./row.js"
import { type Decision, isUnseen, type Snapshot } from "./snapshot.js"

/** The row of a key of which the plan was asked: `plan`, `apply`, `rewrap` and `status`. */
export interface DecisionRow extends KeyRow {
  readonly target: string
  /** Null, as the custody is, where the entry cannot be read and nothing else says it. */
  readonly keySpec: string | null
  readonly custody: string | null
  /** False where the policy takes a custody that the token does not enforce; null before anything was made. */
  readonly custodyEnforced: boolean | null
  /** What the token does not enforce of it, in words; null where all of it is, or nothing is known. */
  readonly custodyReason: string | null
  readonly action: Action
  /** What was done, in order. */
  readonly did: readonly Action[]
  readonly imports: Decision["imports"]
  readonly next: Decision["next"]
  readonly forecast: Decision["forecast"]
  readonly warnings: Decision["warnings"]
  readonly drift: Decision["drift"]
  readonly costs: Decision["costs"]
}

/** The row of a decision, with the outcome that became of it. */
export function decisionRow(
  snapshot: Snapshot,
  decision: Decision,
  outcome: Outcome,
  did: readonly Action[] = [],
): DecisionRow {
  const { action, reason, message, hint, imports, next, forecast, warnings, drift, costs } = decision
  const { key } = snapshot
  // where KMS did not answer, its own failure says best what the caller can do
  const failure = outcome === "blocked" && isUnseen(key) ? key : undefined
  const exit = failure === undefined ? {} : { exit: failure.exit }
  return {
    ...keyFacts(snapshot),
    ...rowOutcome(outcome, reason, message, { hint: hint ?? failure?.hint ?? null, ...exit }),
    action,
    did,
    imports,
    next,
    forecast,
    warnings,
    drift,
    costs,
  }
}

/** The row of a key that failed before it was decided what is to be done of it; its outcome is added. */
export function undecidedRow(key: FactualKey): Omit<DecisionRow, keyof RowOutcome> {
  const nothing = { did: [], imports: [], warnings: [], drift: [], next: null, forecast: null, costs: {} }
  return { ...keyFacts(key), action: "blocked", ...nothing }
}

interface FactualKey extends Pick<Snapshot, "binding" | "entry" | "role"> {
  readonly damage: unknown
}

function keyFacts({ binding, entry, role, damage }: FactualKey) {
  const isUnknown = damage !== null && !binding.managed
  return {
    name: binding.name,
    target: binding.target,
    keyArn: entry === null ? null : (keyArnIn(entry, entry.region) ?? null),
    replaced: role === "former",
    keySpec: isUnknown ? null : (entry?.keySpec ?? binding.keySpec),
    custody: isUnknown ? null : (entry?.custody ?? binding.custody),
    custodyEnforced: entry === null ? null : entry.unenforced === null,
    custodyReason: entry?.unenforced ?? null,
  }
}
