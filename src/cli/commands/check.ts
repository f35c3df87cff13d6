import type { CheckResult } from "../../app/check/check.js"
import { KeyferryError } from "../../core/base/error.js"
import { parseDuration } from "../../core/base/expiry.js"
import { acceptanceEnd, type Acceptances } from "../../core/manifest/acceptances.js"
import { isAcceptance } from "../../core/plan/acceptance.js"
import type { Thresholds } from "../../core/plan/finding.js"
import { defineCommand } from "../command.js"
import { KMS, TOKEN } from "../options/options.js"
import { outputOf } from "../text/check-line.js"
import { TimedCheck } from "./check-in-time.js"

const LONGEST_TIMEOUT = 3600

/** What no day ends: an acceptance of this run alone. */
const THIS_RUN = "9999-12-31"

export const check = defineCommand({
  name: "check",
  describe: "one line and an exit status for monitoring: 0 well, 1 warning, 2 critical, 3 cannot tell",
  examples: [
    ["$0 check --config keyferry.yaml", "as a plugin of Nagios or Icinga, or from cron"],
    ["$0 check -w 21d -c 7d -t 8", "other times before an expiry, and 8 seconds for an answer, as check_nrpe wants it"],
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
    timeout: {
      type: "string",
      requiresArg: true,
      default: "50s",
      describe: "ends by then, with what has answered: 8s, or a number of seconds",
    },
    ...TOKEN,
    ...KMS,
  },
  failsAs: "CHECK_UNKNOWN",
  async run(args, { world, terminal }) {
    const thresholds = thresholdsOf(args)
    const accepted = acceptancesOf(args.accept ?? [])
    const timed = new TimedCheck(timeoutOf(args.timeout), args["json"] === true || args["output"] === "json")
    const { check: checkFleet } = await import("../../app/check/check.js")
    try {
      using line = terminal.progressLine("looking at")
      const patience = timed.patienceWith(line.onRow)
      const { manifest } = await timed.during("the configuration", () => world.settings())
      const fleet = await timed.during("the state directory", () => world.fleet({ lock: false }))
      const accept = { ...manifest?.accept, ...accepted }
      const pause = await (await world.stored.agentRecords()).pause()
      const backup = await (await world.stored.place()).backup()
      const jobs = await world.stored.troubledJobs()
      return timed.end(outputOf(await checkFleet(fleet, { thresholds, accept, pause, backup, jobs, patience })))
    } catch (error) {
      if (!(error instanceof KeyferryError)) throw error
      return timed.end(outputOf(cannotTell(error)))
    }
  },
})

/** @throws ERR_USAGE */
function timeoutOf(text: string): number {
  const seconds = /^\d{1,5}$/.test(text) ? Number(text) : (parseDuration(text) ?? 0)
  if (seconds >= 1 && seconds <= LONGEST_TIMEOUT) return seconds
  throw new KeyferryError("ERR_USAGE", `--timeout '${text}' is no time from 1s to 1h, such as 50s, or 50`)
}

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
  return {
    status: "unknown",
    checks: [{ ...finding, acceptedUntil: null }],
    perfdata: "",
    keys: { well: 0, unprovisioned: 0 },
  }
}
