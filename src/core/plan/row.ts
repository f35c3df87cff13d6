import { type ErrorCause, type ErrorCode, KeyferryError } from "../base/error.js"
import { type ExitName, worstExit } from "../base/exit-code.js"
import { type ReasonCode, REASONS } from "./reason.js"

/**
 * What became of one KMS key: `done` and `nothing` are as it should be; `planned` is due, and was not to be done now, or not by this worker;
 * `blocked` was refused before anything was changed; `failed` broke on its way, or was disproven.
 */
export type Outcome = "done" | "nothing" | "planned" | "blocked" | "failed"

/** Why a key ended so, for commands that ask no decision of the plan. */
type CommandReason =
  // enable, disable, delete-material, schedule-deletion, retire
  | "ALREADY"
  | "DELETION_SCHEDULED"
  | "ENABLED"
  // rotate
  | "ABANDONED"
  | "ROTATED"
  // verify
  | "KEY_STATE"
  | "TOKEN_NEEDED"
  | "VERIFIED"
  // key reseal
  | "KEPT"
  | "OTHER_TOKEN"
  | "RESEALED"
  | "SEALED"
  // state merge
  | "CONTRADICTION"
  | "MERGED"
  | "SAME"
  // status --rebuild
  | "AMBIGUOUS"
  | "EMPTY"
  | "EXISTS"
  | "REBUILT"
  | "REPLICA"

export type RowReason = ReasonCode | CommandReason | ErrorCode

/** How the work on one KMS key ended. */
export interface RowOutcome {
  readonly outcome: Outcome
  readonly reason: RowReason
  readonly message: string
  readonly hint: string | null
  /** What token or KMS said of a failure, outermost first. */
  readonly causes: readonly ErrorCause[]
  /** What the row makes of the command's exit status, by its name in sysexits(3) without `EX_`. */
  readonly exit: ExitName
}

/**
 * One KMS key in the result of a command over many, as every such command prints it (docs/json.md); commands
 * add facts of their own.
 */
export interface KeyRow extends RowOutcome {
  readonly name: string
  /** Null where only the source key is concerned, as by `key reseal`. */
  readonly target: string | null
  readonly keyArn: string | null
  /** Whether another KMS key has taken its place. */
  readonly replaced: boolean
}

/** `exit` is the reason's own where the key is blocked and nothing else is said. */
export function rowOutcome(
  outcome: Outcome,
  reason: RowReason,
  message: string,
  { hint = null, exit }: { readonly hint?: string | null; readonly exit?: ExitName } = {},
): RowOutcome {
  const blockedExit = (reason in REASONS ? REASONS[reason as ReasonCode].exit : undefined) ?? "DATAERR"
  return { outcome, reason, message, hint, causes: [], exit: exit ?? (outcome === "blocked" ? blockedExit : "OK") }
}

/** The end of work that failed. Throws what is no failure of keyferry's to name: a bug, which ends the command. */
export function failedOutcome(error: unknown, outcome: "blocked" | "failed" = "failed"): RowOutcome {
  if (!(error instanceof KeyferryError)) throw error
  const { code, message, hint, causes, exit } = error
  return { outcome, reason: code, message, hint, causes, exit }
}

/** The end of work on a key that another worker has at this moment, which is no failure; null for all else. */
export function heldOutcome(error: unknown): RowOutcome | null {
  if (!(error instanceof KeyferryError && error.code === "ERR_KEY_HELD")) return null
  return rowOutcome("planned", error.code, error.message, { hint: error.hint })
}

export type RowSummary = Readonly<Record<"keys" | Outcome, number>>

/** How many rows there are, and how many of each outcome. */
export function summarise(rows: readonly Pick<KeyRow, "outcome">[]): RowSummary {
  const summary = { keys: rows.length, done: 0, nothing: 0, planned: 0, blocked: 0, failed: 0 }
  for (const { outcome } of rows) summary[outcome] += 1
  return summary
}

/** The exit status of a command over many keys: that of its worst row. */
export function exitOf(rows: readonly Pick<KeyRow, "exit">[]): ExitName {
  return worstExit(rows.map(({ exit }) => exit))
}
