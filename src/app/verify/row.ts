import type { ExitName } from "../../core/base/exit-code.js"
import type { Proof } from "../../core/records/inventory.js"

/** The proof of one generation. */
export interface GenerationProof {
  readonly generation: number
  readonly keyMaterialId: string | null
  readonly proof: Proof
}

/** What was found of one KMS key. `done` stands for verified; `blocked` for what could not be looked at. */
export interface Verdict {
  readonly outcome: "done" | "blocked" | "failed"
  readonly reason: string
  readonly message: string
  readonly generations: readonly GenerationProof[]
  /** A signature of KMS that the source key's public key verified; null where the key makes none. */
  readonly use: { readonly algorithm: string; readonly result: "proven" | "failed" } | null
  /** What it contributes to the exit status. */
  readonly exit: ExitName
}

export interface VerifyRow extends Omit<Verdict, "exit"> {
  readonly name: string
  readonly target: string
  readonly region: string
  readonly keyArn: string | null
  /** `former` for a KMS key whose place another took. */
  readonly role: "current" | "former"
}

/** Everything is as it was imported. */
export function verified(message: string, generations: Verdict["generations"], use: Verdict["use"] = null): Verdict {
  return { outcome: "done", reason: "VERIFIED", message, generations, use, exit: "OK" }
}

/** KMS holds something else than the token, or than the record. */
export function disproven(
  reason: "PROOF_FAILED" | "FOREIGN_MATERIAL" | "KEY_MISMATCH",
  message: string,
  more: Partial<Pick<Verdict, "generations" | "use">> = {},
): Verdict {
  return { outcome: "failed", reason, message, generations: [], use: null, ...more, exit: "PROOF" }
}

/** It could not be looked at. */
export function blocked(reason: string, message: string, exit: ExitName = "DATAERR"): Verdict {
  return { outcome: "blocked", reason, message, generations: [], use: null, exit }
}
