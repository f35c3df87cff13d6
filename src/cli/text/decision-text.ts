import type { TokenSurvey } from "../../app/fleet/survey.js"
import type { DecisionRow } from "../../core/plan/decision-row.js"
import type { Action } from "../../core/plan/reason.js"
import { custodyText } from "./key-text.js"
import type { Layout } from "./layout.js"
import type { Note } from "./notes.js"
import { keyPrefix, whatOf } from "./row-words.js"
import { problemsOf, rowsText } from "./rows-text.js"
import type { Steps } from "./urgency.js"
import { cut } from "./width.js"

/** The rows of `plan`, `apply`, `rewrap` and `status` for people. */

/** A row for each key, then what to know of single ones, then the count; what comes next is what `plan` is asked for. */
export function decisionsText(
  rows: readonly DecisionRow[],
  verb: "plan" | "apply" | "rewrap" | "recover",
  layout: Layout,
): string {
  const words = {
    columns: [{ ...NEXT, onlyWide: verb !== "plan" }],
    none: `no keys to ${verb}`,
    remark: remarkOf,
    notes: notesOf,
    ...(verb === "plan" ? { steps: STEPS } : {}),
  }
  return rowsText(rows, words, layout)
}

/** What to do first, for who looks at many keys. */
export const STEPS: Steps = {
  dead: "`keyferry recover --plan`, then `keyferry recover --yes`",
  due: "`keyferry apply`",
  "not reached": "`keyferry doctor`",
}

export const NEXT = { head: "NEXT", cell: nextOf }

/** What was done, in words of what is so now. */
const DONE: Readonly<Record<Action, string>> = {
  provision: "provisioned",
  rewrap: "imported again",
  rotate: "rotated",
  "finish-rotation": "rotation finished",
  "finish-replacement": "replacement finished",
  replicate: "replicated",
  correct: "corrected",
  none: "nothing",
  blocked: "blocked",
}

/** Reasons of a key that is well, which the time of what comes next says as well. */
const WELL: ReadonlySet<string> = new Set(["NEVER_EXPIRES", "NOT_DUE", "ONCE_ONLY"])

/** What was done, or is to be done and why; of a key that is well what to be warned of, if anything. */
export function remarkOf(row: DecisionRow, { wide }: Layout): string | null {
  const { action, did, outcome, reason, warnings, drift } = row
  if (outcome === "done") return did.map((done) => DONE[done]).join(", ")
  if (outcome === "planned") return `${action}: ${whatOf(row)}`
  if (outcome === "nothing" && action !== "none") return `${action} left: ${whatOf(row)}`
  if (outcome !== "nothing" || wide || !WELL.has(reason)) return whatOf(row)
  const [warning] = warnings
  const [difference] = drift
  if (warning !== undefined) return `${warning.message} [${warning.code}]`
  return difference === undefined ? null : `${difference.field} differs`
}

/** The day is enough, where there is little room. */
export function nextOf({ next, outcome, action }: DecisionRow, { wide }: Layout): string | null {
  if (outcome === "planned") return `${action} now`
  if (next === null || outcome === "blocked" || outcome === "failed") return null
  return `${next.action} ${wide ? next.at : next.at.slice(0, 10)}`
}

/** Of a text that is not as wanted, such as a key policy; `--json` has all of it. */
const MOST_SHOWN = 60

/** Problems, warnings and drift of one key. */
export function notesOf(row: DecisionRow): readonly Note[] {
  const key = keyPrefix(row)
  return [
    ...problemsOf(row),
    ...(row.custodyReason === null
      ? []
      : [{ key, text: `custody ${custodyText(row.custody ?? "", row.custodyReason)}` }]),
    ...row.warnings.map(({ message, code }) => ({ key, text: `warning: ${message} [${code}]`, kind: code })),
    ...row.drift.map(({ field, wanted, found, region }) => ({
      key,
      text: `${field} in ${region}: ${cut(found, MOST_SHOWN)}, not ${cut(wanted, MOST_SHOWN)}`,
      kind: `${field}: ${cut(wanted, MOST_SHOWN)}`,
    })),
  ]
}
/** What could not be asked of tokens. */
export function tokensText(tokens: readonly TokenSurvey[]): readonly string[] {
  return tokens.flatMap(({ name, state, message }) => {
    const token = name === null ? "the token" : `token ${name}`
    if (state === "not given") return [`no token is given: what ${token} holds was not looked at`]
    if (state === "not reached from here") return [`${token} is not reached from here: ${message ?? ""}`]
    return state === "failed" ? [`${token} was not looked at: ${message ?? ""}`] : []
  })
}

/** `2 h 5 min` of a number of seconds, in its two greatest units. */
export function timeText(seconds: number): string {
  const units = [
    ["d", Math.floor(seconds / 86_400)],
    ["h", Math.floor(seconds / 3600) % 24],
    ["min", Math.floor(seconds / 60) % 60],
    ["s", seconds % 60],
  ] as const
  const greatest = units.findIndex(([, count]) => count > 0)
  const shown = greatest === -1 ? units.slice(-1) : units.slice(greatest, greatest + 2)
  return shown.flatMap(([unit, count], index) => (count === 0 && index > 0 ? [] : [`${count} ${unit}`])).join(" ")
}
