import { rfc3339 } from "../base/expiry.js"
import { ACCEPTANCE, acceptanceEnd, type Acceptances } from "../manifest/acceptances.js"
import { type Finding, isFindingId } from "./finding.js"

export interface AcceptedFinding extends Finding {
  /** RFC 3339 UTC: until when it is silenced; null for a finding that counts. */
  readonly acceptedUntil: string | null
}

/** Whether it is an acceptance of what `check` finds: a misspelt one would silence nothing, and nobody would know. */
export const isAcceptance = (text: string): boolean => ACCEPTANCE.test(text) && isFindingId(text.replace(/:.*$/s, ""))

/** The findings, those that are accepted silenced; one whose acceptance has ended says so. */
export function withAcceptances(
  findings: readonly Finding[],
  acceptances: Acceptances,
  now: Date,
): readonly AcceptedFinding[] {
  return findings.map((finding) => {
    const names = [finding.name, finding.target].filter((name) => name !== null)
    const ends = names.flatMap((name) => {
      const key = `${finding.id}:${name}`
      const end = Object.hasOwn(acceptances, key) ? acceptanceEnd(acceptances[key] ?? "") : undefined
      return end === undefined ? [] : [end]
    })
    const [end] = ends.sort((a, b) => b.getTime() - a.getTime())
    if (end === undefined) return { ...finding, acceptedUntil: null }
    const until = rfc3339(end)
    if (end > now) return { ...finding, status: "ok", acceptedUntil: until }
    return { ...finding, message: `${finding.message}; it was accepted until ${until}`, acceptedUntil: null }
  })
}
