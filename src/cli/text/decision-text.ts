import type { TokenSurvey } from "../../app/fleet/survey.js"
import type { DecisionRow } from "../../core/plan/decision-row.js"
import { custodyText } from "./key-text.js"
import { keyPrefix, problemsOf, rowsText, whatOf } from "./rows-text.js"

/** The rows of `plan`, `apply`, `rewrap` and `status` for people. */

/** A row for each key, then what to know of single ones, then the count. */
export function decisionsText(rows: readonly DecisionRow[], verb: string): string {
  return rowsText(rows, {
    columns: [{ head: "NEXT", cell: nextOf }],
    none: `no keys to ${verb}`,
    what: decisionOf,
    notes: notesOf,
  })
}

/** What was done, or is to be done, before the reason. */
export function decisionOf(row: DecisionRow): string {
  const { action, did, outcome } = row
  if (outcome === "done") return `${did.join(", ")}: ${whatOf(row)}`
  if (outcome === "planned") return `${action}: ${whatOf(row)}`
  return outcome === "nothing" && action !== "none" ? `${action} left: ${whatOf(row)}` : whatOf(row)
}

export function nextOf({ next, outcome }: DecisionRow): string | null {
  return next === null || outcome !== "nothing" ? null : `${next.action} ${next.at}`
}

/** Problems, warnings and drift, each with the name of its key. */
export function notesOf(row: DecisionRow): readonly string[] {
  const key = keyPrefix(row)
  return [
    ...problemsOf(row),
    ...(row.custodyReason === null ? [] : [`${key}: custody ${custodyText(row.custody ?? "", row.custodyReason)}`]),
    ...row.warnings.map(({ message, code }) => `${key}: warning: ${message} [${code}]`),
    ...row.drift.map(({ field, wanted, found, region }) => `${key}: ${field} in ${region}: ${found}, not ${wanted}`),
  ]
}

/** What could not be asked of tokens. */
export function tokensText(tokens: readonly TokenSurvey[]): readonly string[] {
  return tokens.flatMap(({ name, state, message }) => {
    const token = name === null ? "the token" : `token ${name}`
    if (state === "not given") return [`no token is given: what ${token} holds was not looked at`]
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
