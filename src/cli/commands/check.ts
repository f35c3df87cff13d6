import type { CheckResult } from "../../app/check/check.js"
import { KeyferryError } from "../../core/base/error.js"
import type { ExitName } from "../../core/base/exit-code.js"
import { parseDuration } from "../../core/base/expiry.js"
import { acceptanceEnd, type Acceptances } from "../../core/manifest/acceptances.js"
import { type AcceptedFinding, isAcceptance } from "../../core/plan/acceptance.js"
import type { CheckStatus, Thresholds } from "../../core/plan/finding.js"
import { type Output, defineCommand } from "../command.js"
import { KMS, TOKEN } from "../options/options.js"

const EXITS = {
  ok: "OK",
  warning: "CHECK_WARNING",
  critical: "CHECK_CRITICAL",
  unknown: "CHECK_UNKNOWN",
} as const satisfies Record<CheckStatus, ExitName>

/** What no day ends: an acceptance of this run alone. */
const THIS_RUN = "9999-12-31"

export const check = defineCommand({
  name: "check",
  describe: "one line and an exit status for monitoring: 0 well, 1 warning, 2 critical, 3 cannot tell",
  examples: [
    ["$0 check --config keyferry.yaml", "as a plugin of Nagios or Icinga, or from cron"],
    ["$0 check --warn 21d --crit 7d", "other times before an expiry"],
    ["$0 check --accept SOURCE_MISSING:old=2027-01-31", "silent about what is known, until the end of that day"],
  ],
  options: {
    warn: { type: "string", requiresArg: true, default: "14d", describe: "a warning so long before an expiry" },
    crit: { type: "string", requiresArg: true, default: "3d", describe: "critical so long before an expiry" },
    accept: {
      type: "string",
      array: true,
      requiresArg: true,
      describe: "silent about REASON:NAME, or REASON:NAME=DAY until its end; may be given again; `accept` of --config",
    },
    ...TOKEN,
    ...KMS,
  },
  failsAs: "CHECK_UNKNOWN",
  async run(args, { world }) {
    const thresholds = thresholdsOf(args)
    const accepted = acceptancesOf(args.accept ?? [])
    const { check: checkFleet } = await import("../../app/check/check.js")
    try {
      const accept = { ...(await world.settings()).manifest?.accept, ...accepted }
      const fleet = await world.fleet({ lock: false })
      return outputOf(await checkFleet(fleet, { thresholds, accept }))
    } catch (error) {
      if (!(error instanceof KeyferryError)) throw error
      return outputOf(cannotTell(error))
    }
  },
})

function thresholdsOf({ warn, crit }: { readonly warn: string; readonly crit: string }): Thresholds {
  const [warnSeconds, critSeconds] = [secondsOf("warn", warn), secondsOf("crit", crit)]
  if (critSeconds <= warnSeconds) return { warn: warnSeconds, crit: critSeconds }
  throw new KeyferryError("ERR_USAGE", `--crit ${crit} is longer before an expiry than --warn ${warn}`)
}

function secondsOf(option: string, text: string): number {
  const seconds = parseDuration(text)
  if (seconds !== undefined) return seconds
  throw new KeyferryError("ERR_USAGE", `--${option} '${text}' is no duration such as 14d or 12h (s, m, h, d, w)`)
}

function acceptancesOf(texts: readonly string[]): Acceptances {
  return Object.fromEntries(
    texts.map((text) => {
      const equals = text.lastIndexOf("=")
      const [finding, end] = equals === -1 ? [text, THIS_RUN] : [text.slice(0, equals), text.slice(equals + 1)]
      if (isAcceptance(finding) && acceptanceEnd(end) !== undefined) return [finding, end]
      throw new KeyferryError("ERR_USAGE", `--accept '${text}' is not REASON:NAME, or REASON:NAME=DAY`, {
        hint: "REASON and NAME as `keyferry check --json` has them in `id` and `name`; a day such as 2027-01-31",
      })
    }),
  )
}

/** Monitoring reads the one line: it says there why nothing is known. */
function cannotTell({ code, message, hint, key, causes }: KeyferryError): CheckResult {
  const text = [message, ...causes.map((cause) => `${cause.code}: ${cause.message}`)].join("; ")
  const finding = { id: code, status: "unknown", message: text, name: key ?? null, target: null, hint } as const
  return { status: "unknown", checks: [{ ...finding, acceptedUntil: null }], perfdata: "", keys: 0 }
}

function outputOf({ keys, ...result }: CheckResult): Output {
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
