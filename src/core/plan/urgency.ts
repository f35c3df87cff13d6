import type { KeyRow } from "./row.js"

/** How much a key needs a person, most urgent first: the order in which keys are shown. */
export const URGENCIES = ["dead", "failed", "due", "blocked", "not reached", "well"] as const
export type Urgency = (typeof URGENCIES)[number]

/** Reasons by which KMS cannot use the key as it is. */
const DEAD: ReadonlySet<string> = new Set(["DELETED", "EXPIRED", "KEY_GONE", "MATERIAL_DELETED", "PENDING_DELETION"])

/** Reasons by which it is not known how the key is. */
const NOT_REACHED: ReadonlySet<string> = new Set([
  "ERR_KMS_ACCESS_DENIED",
  "ERR_KMS_CREDENTIALS",
  "ERR_KMS_UNREACHABLE",
  "ERR_KMS_UNAVAILABLE",
  "KMS_CREDENTIALS",
  "KMS_DENIED",
  "KMS_FAILED",
  "KMS_LATER",
  "KMS_UNREACHABLE",
  "OTHER_ACCOUNT",
  "REPLICA_UNSEEN",
])

/** @param isDead what is known beside the reason */
export function urgencyOf({ outcome, reason }: KeyRow, isDead = false): Urgency {
  if (outcome === "done") return "well"
  if (isDead || (outcome !== "nothing" && DEAD.has(reason))) return "dead"
  if (NOT_REACHED.has(reason)) return "not reached"
  if (outcome === "nothing") return "well"
  return outcome === "planned" ? "due" : outcome
}
