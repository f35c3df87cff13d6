import { type ErrorCode, type ErrorCause, type KeyferryError, ERRORS } from "../base/error.js"
import { type ExitName, worstExit } from "../base/exit-code.js"
import { keyArnIn } from "../records/inventory.js"
import { type Action, type ReasonCode, REASONS } from "./reason.js"
import type { Decision, Snapshot } from "./snapshot.js"

export type RowOutcome = "done" | "nothing" | "planned" | "blocked" | "failed"

/** One key and target as `plan`, `apply`, `rewrap` and `status` print it (PRODUCT.md section 6). */
export interface RowResult {
  readonly name: string
  readonly target: string
  readonly keyArn: string | null
  /** Whether another KMS key has taken its place. */
  readonly replaced: boolean
  readonly keySpec: string
  readonly custody: string
  /** False where the policy takes a custody that the token does not enforce; null before anything was made. */
  readonly custodyEnforced: boolean | null
  /** What the token does not enforce of it, in words; null where all of it is, or nothing is known. */
  readonly custodyReason: string | null
  readonly outcome: RowOutcome
  readonly action: Action
  readonly reason: ReasonCode | ErrorCode
  readonly message: string
  readonly hint: string | null
  /** What was done, in order. */
  readonly did: readonly Action[]
  readonly imports: Decision["imports"]
  readonly next: Decision["next"]
  readonly forecast: Decision["forecast"]
  readonly warnings: Decision["warnings"]
  readonly drift: Decision["drift"]
  readonly costs: Decision["costs"]
  readonly causes: readonly ErrorCause[]
}

/** A row, and what it makes of the exit status. */
export interface Reported {
  readonly row: RowResult
  readonly exit: ExitName
}

export interface RowSummary extends Readonly<Record<RowOutcome, number>> {
  readonly keys: number
}

export interface Report {
  readonly keys: readonly RowResult[]
  readonly summary: RowSummary
}

/** The row of a decision, with the outcome that became of it. */
export function rowOf(
  { binding, entry, role, key }: Pick<Snapshot, "binding" | "entry" | "role" | "key">,
  decision: Decision,
  { outcome, did = [] }: { readonly outcome: RowOutcome; readonly did?: readonly Action[] },
): Reported {
  const row: RowResult = {
    name: binding.name,
    target: binding.target,
    keyArn: entry === null ? null : (keyArnIn(entry, entry.region) ?? null),
    replaced: role === "former",
    keySpec: entry?.keySpec ?? binding.keySpec,
    custody: entry?.custody ?? binding.custody,
    custodyEnforced: entry === null ? null : entry.unenforced === null,
    custodyReason: entry?.unenforced ?? null,
    outcome,
    action: decision.action,
    reason: decision.reason,
    message: decision.message,
    hint: decision.hint,
    did,
    imports: decision.imports,
    next: decision.next,
    forecast: decision.forecast,
    warnings: decision.warnings,
    drift: decision.drift,
    costs: decision.costs,
    causes: [],
  }
  // where KMS did not answer, its own failure says best what the caller can do
  const failed = key.seen === "failed" && key.code !== "ERR_KMS_KEY_NOT_FOUND" ? ERRORS[key.code].exit : undefined
  const exit = outcome === "blocked" ? (failed ?? REASONS[decision.reason].exit ?? "DATAERR") : "OK"
  return { row, exit }
}

/** The row of work that failed on its way. */
export function failedRow({ row }: Reported, error: KeyferryError): Reported {
  const { code, message, hint, causes, exit } = error
  return { row: { ...row, outcome: "failed", reason: code, message, hint, causes }, exit }
}

/** Rows and their count by outcome. */
export function reportOf(rows: readonly Reported[]): Report {
  const summary = { keys: rows.length, done: 0, nothing: 0, planned: 0, blocked: 0, failed: 0 }
  for (const { row } of rows) summary[row.outcome] += 1
  return { keys: rows.map(({ row }) => row), summary }
}

export function exitOf(rows: readonly Reported[]): ExitName {
  return worstExit(rows.map(({ exit }) => exit))
}
