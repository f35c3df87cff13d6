import type { CheckResult } from "../../app/check/check.js"
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

export type CheckOutput = Output & { readonly text: () => string }

/** What `check` prints, and its exit status. */
export function outputOf({ keys, ...result }: CheckResult): CheckOutput {
  const { status } = result
  return { result, text: () => lineOf({ keys, ...result }), exit: EXITS[status] }
}

/** Findings that the line tells; the others are counted. */
const SHOWN = 3
const ORDER: readonly CheckStatus[] = ["critical", "unknown", "warning"]

/** One line, whatever there is: `KEYFERRY CRITICAL - … | performance data`. */
function lineOf({ status, checks, perfdata, keys }: CheckResult): string {
  const counted = ORDER.flatMap((word) => checks.filter((finding) => finding.status === word))
  const accepted = checks.filter(({ acceptedUntil }) => acceptedUntil !== null).length
  const more = counted.length > SHOWN ? [`and ${counted.length - SHOWN} more`] : []
  const told = [...counted.slice(0, SHOWN).map(findingText), ...more]
  const words = [
    ...(told.length === 0 ? [`${keys} ${keys === 1 ? "key" : "keys"} well`] : told),
    ...(accepted === 0 ? [] : [`${accepted} accepted`]),
  ].join("; ")
  // what follows a bar is performance data, and what follows a line end is not read by all
  const line = words.replaceAll("|", "/").replaceAll(/\s+/g, " ")
  return `KEYFERRY ${status.toUpperCase()} - ${line}${perfdata === "" ? "" : ` | ${perfdata}`}`
}

function findingText({ id, name, target, message }: AcceptedFinding): string {
  const place = name === null || target === null ? (name ?? target) : `${name} (${target})`
  return `${place === null ? "" : `${place}: `}${message} [${id}]`
}
