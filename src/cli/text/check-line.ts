import type { CheckedKeys, CheckResult } from "../../app/check/check.js"
import type { ExitName } from "../../core/base/exit-code.js"
import type { AcceptedFinding } from "../../core/plan/acceptance.js"
import type { CheckStatus } from "../../core/plan/finding.js"
import type { Output } from "../command.js"

const EXITS = {
  ok: "OK",
  warning: "CHECK_WARNING",
  critical: "CHECK_CRITICAL",
  unknown: "CHECK_UNKNOWN",
} as const satisfies Record<CheckStatus, ExitName>

export interface CheckOutput extends Output {
  readonly result: Omit<CheckResult, "keys">
  readonly text: () => string
}

/** What `check` prints, and its exit status. */
export function outputOf({ keys, ...result }: CheckResult): CheckOutput {
  const { status } = result
  return { result, text: () => lineOf({ keys, ...result }), exit: EXITS[status] }
}

/** Kinds of findings that the line tells; the findings of the others are counted. */
const SHOWN = 3
const ORDER: readonly CheckStatus[] = ["critical", "unknown", "warning"]

/** One line, whatever there is: `KEYFERRY CRITICAL - … | performance data`. */
function lineOf({ status, checks, perfdata, keys }: CheckResult): string {
  const kinds = ORDER.flatMap((word) => kindsOf(checks.filter((finding) => finding.status === word)))
  const accepted = checks.filter(({ acceptedUntil }) => acceptedUntil !== null).length
  const rest = kinds.slice(SHOWN).reduce((sum, { length }) => sum + length, 0)
  const kindTexts = [...kinds.slice(0, SHOWN).map(kindText), ...(rest === 0 ? [] : [`and ${rest} more`])]
  const words = [
    ...(kindTexts.length === 0 ? keysTexts(keys, accepted > 0) : kindTexts),
    ...(accepted === 0 ? [] : [`${accepted} accepted`]),
  ].join("; ")
  // what follows a bar is performance data, and what follows a line end is not read by all
  const line = words.replaceAll("|", "/").replaceAll(/\s+/g, " ")
  return `KEYFERRY ${status.toUpperCase()} - ${line}${perfdata === "" ? "" : ` | ${perfdata}`}`
}

/** What is said of the keys where nothing counts against them. */
function keysTexts({ well, unprovisioned }: CheckedKeys, isAccepted: boolean): readonly string[] {
  if (well + unprovisioned === 0 && !isAccepted) {
    return [
      "no key is known: neither a configuration file (--config, KEYFERRY_CONFIG) nor the state directory names one",
    ]
  }
  return [
    `${well} ${well === 1 ? "key" : "keys"} well`,
    ...(unprovisioned === 0 ? [] : [`${unprovisioned} not provisioned yet`]),
  ]
}

/** By their ID, in the order of the first of each. */
function kindsOf(findings: readonly AcceptedFinding[]): readonly (readonly AcceptedFinding[])[] {
  const ids = new Set(findings.map(({ id }) => id))
  return [...ids].map((id) => findings.filter((finding) => finding.id === id))
}

/** The first of its kind, and how many there are. */
function kindText([first, ...others]: readonly AcceptedFinding[]): string {
  if (first === undefined) return ""
  const { id, name, target, message } = first
  const place = name === null || target === null ? (name ?? target) : `${name} (${target})`
  const more = others.length === 0 ? "" : ` and ${others.length} more`
  return `${place === null ? "" : `${place}${more}: `}${message} [${id}]`
}
