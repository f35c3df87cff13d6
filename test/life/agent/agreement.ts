import { ALERTS, fired, OF_BLOCKED, type Series } from "../../support/alerts.js"

interface Found {
  readonly id: string
  readonly status: string
}

/** What is asked at one moment. */
export interface Moment {
  /** `checks` of `check --json`. */
  readonly checks: readonly Found[]
  /** The agent's `/metrics`. */
  readonly metrics: string
  /** KMS' time. */
  readonly now: Date
  /** Hours since a round of this agent did all of its work; null where none has. */
  readonly hoursSinceDone: number | null
}

/** Longer than any alert waits, so that each has fired that is to. */
const AT = { text: "3h", seconds: 3 * 3600 } as const
const LATE_H = 26

/** Where `check`, the metrics and the alerts that Prometheus makes of them do not agree. */
export function disagreements({ checks, metrics, now, hoursSinceDone }: Moment): readonly string[] {
  const bad = checks.filter(({ status }) => status !== "ok")
  const said = counts(bad.map(({ id, status }) => `${id} ${status}`))
  const measured = [...metrics.matchAll(/^keyferry_check_findings\{reason="(\w+)",status="(\w+)"\} (\d+)$/gm)].map(
    ([, id, status, count]) => `${id} ${status} ${count}`,
  )
  const alerts = [...bad.flatMap(alertsOf), ...((hoursSinceDone ?? 0) > LATE_H ? ["KeyferryRoundsFail warning"] : [])]
  const [firing = []] = fired([{ inputs: seriesOf(metrics, now), at: AT.text }])
  return [...differ("metrics", said, measured.sort()), ...differ("alerts", [...new Set(alerts)].sort(), firing)]
}

const differ = (what: string, expected: readonly string[], actual: readonly string[]): readonly string[] =>
  expected.join() === actual.join() ? [] : [`check wants ${what} [${expected.join()}], there are [${actual.join()}]`]

function counts(words: readonly string[]): readonly string[] {
  return Object.entries(Object.groupBy(words, (word) => word))
    .map(([word, same = []]) => `${word} ${same.length}`)
    .sort()
}

/** What told by dates and the clock's offset has no row of its own. */
function alertsOf({ id, status }: Found): readonly string[] {
  if (id === "EXPIRES_SOON") return [`KeyferryKeyDying ${status}`]
  if (id === "CLOCK_SKEW") return [`KeyferryClockWrong ${status}`]
  const also = id === "EXPIRED" ? ["KeyferryKeyExpired critical"] : []
  const alert = ALERTS[id]?.[status] ?? OF_BLOCKED[status === "unknown" ? "unknown" : "warning"]
  return [alert.join(" "), ...also]
}

/** The agent's own series as they would be for hours, their times as seconds from the first sample on. */
function seriesOf(metrics: string, now: Date): readonly Series[] {
  return [...metrics.matchAll(/^(keyferry_\w+(?:\{[^\n]*\})?) ([-+.\deE]+)$/gm)].flatMap(([, series = "", text]) => {
    const isTime = /^\w+_timestamp_seconds/.test(series)
    const number = isTime ? Math.round(Number(text) - now.getTime() / 1000 + AT.seconds) : Number(text)
    return /^keyferry_(check|key_material_exp|clock|pin|run_last)/.test(series)
      ? [{ series, values: `${number}x200` }]
      : []
  })
}
