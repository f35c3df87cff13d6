import type { ExitName } from "../../core/base/exit-code.js"
import { type KeyRow, rowOutcome, type RowOutcome, type RowReason } from "../../core/plan/row.js"
import type { Proof } from "../../core/records/inventory.js"

/** The proof of one generation. */
export interface GenerationProof {
  readonly generation: number
  readonly keyMaterialId: string | null
  readonly proof: Proof
}

/** What was found of one KMS key: `done` stands for verified, `blocked` for what could not be looked at. */
export interface Verdict extends RowOutcome {
  readonly generations: readonly GenerationProof[]
  /** A signature of KMS that the source key's public key verified; null where the key makes none. */
  readonly use: { readonly algorithm: string; readonly result: "proven" | "failed" } | null
}

/** A KMS key in one Region. */
export interface VerifyRow extends KeyRow, Verdict {
  readonly target: string
  readonly region: string
}

/** Everything is as it was imported. */
export function verified(message: string, generations: Verdict["generations"], use: Verdict["use"] = null): Verdict {
  return { ...rowOutcome("done", "VERIFIED", message), generations, use }
}

/** KMS holds something else than the token, or than the record. */
export function disproven(
  reason: "PROOF_FAILED" | "FOREIGN_MATERIAL" | "KEY_MISMATCH",
  message: string,
  { generations = [], use = null }: Partial<Pick<Verdict, "generations" | "use">> = {},
): Verdict {
  return { ...rowOutcome("failed", reason, message, { exit: "PROOF" }), generations, use }
}

/** It could not be looked at. */
export function blocked(
  reason: RowReason,
  message: string,
  { exit = "DATAERR", hint = null }: { readonly exit?: ExitName; readonly hint?: string | null } = {},
): Verdict {
  return { ...rowOutcome("blocked", reason, message, { exit, hint }), generations: [], use: null }
}
