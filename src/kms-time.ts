import type { Clock, Kms, Progress } from "./core/ports.js"

/** The host's clock may be so far from KMS' own before KMS' counts instead: what `keyferry doctor` lets pass. */
const TOLERATED_MS = 300_000
const MS: readonly (readonly [unit: string, ms: number])[] = [
  ["days", 86_400_000],
  ["hours", 3_600_000],
  ["minutes", 60_000],
]

export interface KmsTime extends Clock {
  /** Takes the time from this KMS' answers too; `warn` is told once if the host's clock is wrong. */
  follow(kms: Pick<Kms, "serverTime">, progress: Pick<Progress, "warn">): void
}

/**
 * The host's clock, unless KMS' last answer said that it is wrong: KMS drops key material by its own clock, so what is
 * due, and until when an import lasts, is reckoned by that. A host whose clock was set back would let keys expire, and
 * take them for deleted.
 *
 * @param host the machine's clock
 */
export function kmsTime(host: Clock): KmsTime {
  const followed = new Map<Pick<Kms, "serverTime">, Pick<Progress, "warn">>()
  let warned = false
  return {
    follow(kms, progress) {
      followed.set(kms, progress)
    },
    now() {
      const now = host.now()
      const answers = [...followed].flatMap(([kms, progress]) => {
        const theirs = kms.serverTime()
        return theirs === null ? [] : [{ ...theirs, progress }]
      })
      const [last] = answers.sort((one, other) => other.seen.getTime() - one.seen.getTime())
      const ahead = last === undefined ? 0 : last.seen.getTime() - last.at.getTime()
      if (last === undefined || Math.abs(ahead) <= TOLERATED_MS) return now
      if (!warned)
        last.progress.warn(`this host's clock is ${apart(ahead)}: KMS' time counts; synchronise the clock (NTP)`)
      warned = true
      return new Date(now.getTime() - ahead)
    },
  }
}

function apart(ahead: number): string {
  const [unit, ms] = MS.find(([, one]) => Math.abs(ahead) >= 2 * one) ?? ["seconds", 1000]
  return `${Math.round(Math.abs(ahead) / ms)} ${unit} ${ahead > 0 ? "ahead of" : "behind"} KMS'`
}
