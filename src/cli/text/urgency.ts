import type { KeyRow } from "../../core/plan/row.js"
import type { Layout } from "./layout.js"
import { namesText } from "./notes.js"
import { keyPrefix } from "./row-words.js"
import { wrapped } from "./width.js"

/** How much a key needs a person, most urgent first: the order of rows on a screen. */
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

/** Rows that a screen shows together with what is said of them: fewer need no overview. */
const FEW = 10

/** Where there are many rows: a line for each urgency that is there, with names of its keys, or their targets. */
export function overview<R extends KeyRow>(
  rows: readonly R[],
  urgency: (row: R) => Urgency,
  { width, wide }: Layout,
): readonly string[] {
  if (rows.length <= FEW || rows.every((row) => urgency(row) === "well")) return []
  return URGENCIES.flatMap((word) => {
    const members = rows.filter((row) => urgency(row) === word)
    if (members.length === 0) return []
    if (word === "well") return [`${members.length} well`]
    const names = word === "not reached" ? targetsOf(members) : members.map(keyPrefix)
    return [wrapped(`${members.length} ${word}: ${namesText(names, wide)}`, width)]
  })
}

/** `prod-us (76)`: what cannot be reached is a place rather than a key. */
function targetsOf(rows: readonly KeyRow[]): readonly string[] {
  const counts = new Map<string, number>()
  for (const { target } of rows) counts.set(target ?? "-", (counts.get(target ?? "-") ?? 0) + 1)
  return [...counts].map(([target, count]) => `${target} (${count})`)
}
