import type { TokenSight } from "../../app/fleet/survey.js"
import type { Report, RowResult } from "../../core/plan/row-result.js"
import { custodyText } from "./key-text.js"
import { table } from "./table.js"

/** Results of many keys for people. */

/** A row for each key, then what to know of single ones, then the count. */
export function reportText(report: Report, verb: string): string {
  if (report.keys.length === 0) return `no keys to ${verb}`
  const rows = report.keys.map((row) => [nameOf(row), row.target, row.outcome, whatOf(row), nextOf(row), row.keyArn])
  return [
    table(["NAME", "TARGET", "OUTCOME", "WHAT", "NEXT", "KMS KEY"], rows),
    ...notesOf(report.keys),
    summaryText(report.summary),
  ].join("\n")
}

export function nameOf({ name, replaced }: RowResult): string {
  return replaced ? `${name} (replaced)` : name
}

export function whatOf({ action, did, reason, message, outcome }: RowResult): string {
  const done = outcome === "done" ? `${did.join(", ")}: ` : ""
  const planned = outcome === "planned" ? `${action}: ` : ""
  const left = outcome === "nothing" && action !== "none" ? `${action} left: ` : ""
  return `${done}${planned}${left}${message} [${reason}]`
}

export function nextOf({ next, outcome }: RowResult): string | null {
  return next === null || outcome !== "nothing" ? null : `${next.action} ${next.at}`
}

/** Hints, warnings and drift, each with the name of its key. */
export function notesOf(rows: readonly RowResult[]): readonly string[] {
  return rows.flatMap((row) => {
    const of = `${nameOf(row)} (${row.target})`
    const stuck = row.outcome === "blocked" || row.outcome === "failed"
    return [
      ...row.causes.map(({ code, message }) => `${of}: ${code}: ${message}`),
      ...(stuck && row.hint !== null ? [`${of}: hint: ${row.hint}`] : []),
      ...(row.custodyReason === null ? [] : [`${of}: custody ${custodyText(row.custody, row.custodyReason)}`]),
      ...row.warnings.map(({ message, code }) => `${of}: warning: ${message} [${code}]`),
      ...row.drift.map(({ field, wanted, found, region }) => `${of}: ${field} in ${region}: ${found}, not ${wanted}`),
    ]
  })
}

export function summaryText(summary: Report["summary"]): string {
  const { keys, ...counts } = summary
  const said = Object.entries(counts).flatMap(([outcome, count]) => (count === 0 ? [] : [`${count} ${outcome}`]))
  return `${keys} ${keys === 1 ? "key" : "keys"}: ${said.join(", ")}`
}

/** What could not be asked of tokens. */
export function tokensText(tokens: readonly TokenSight[]): readonly string[] {
  return tokens.flatMap(({ name, state, message }) => {
    const which = name === null ? "the token" : `token ${name}`
    if (state === "not given") return [`no token is given: what ${which} holds was not looked at`]
    return state === "failed" ? [`${which} was not looked at: ${message ?? ""}`] : []
  })
}

/** `2 h 5 min` of a number of seconds, in its two greatest units. */
export function durationText(seconds: number): string {
  const units = [
    ["d", Math.floor(seconds / 86_400)],
    ["h", Math.floor(seconds / 3600) % 24],
    ["min", Math.floor(seconds / 60) % 60],
    ["s", seconds % 60],
  ] as const
  const first = units.findIndex(([, count]) => count > 0)
  const shown = first === -1 ? units.slice(-1) : units.slice(first, first + 2)
  return shown.flatMap(([unit, count], at) => (count === 0 && at > 0 ? [] : [`${count} ${unit}`])).join(" ")
}
