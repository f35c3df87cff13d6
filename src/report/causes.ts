import { html } from "hono/html"
import type { AcceptedFinding } from "../core/plan/acceptance.js"
import { CHECK_STATUSES } from "../core/plan/finding.js"
import { findingsOf, type FleetReport, type ReportRow } from "./fleet-report.js"
import { type Markup, message as told } from "./markup.js"

/** One cause that needs a person, with all that it concerns. */
export interface Cause {
  readonly id: string
  readonly status: AcceptedFinding["status"]
  /** Of the first of them. */
  readonly message: string
  readonly hint: string | null
  readonly places: readonly Pick<AcceptedFinding, "name" | "target">[]
}

/** What was found and nobody has accepted, equal causes once, worst first. */
export function causesOf(report: FleetReport): readonly Cause[] {
  const open = findingsOf(report).filter(({ status, acceptedUntil }) => status !== "ok" && acceptedUntil === null)
  const groups = Map.groupBy(open, ({ id, status, hint, name }) =>
    // a hint that names its key is the same hint for each
    JSON.stringify([id, status, name === null ? hint : hint?.replaceAll(name, "NAME")]),
  )
  const causes = [...groups.values()].flatMap((findings): readonly Cause[] => {
    const [leading] = findings
    if (leading === undefined) return []
    const { id, status, message } = leading
    const places = findings.map(({ name, target }) => ({ name, target }))
    return [{ id, status, message, hint: hintFor(findings, leading), places }]
  })
  return causes.sort((a, b) => CHECK_STATUSES.indexOf(a.status) - CHECK_STATUSES.indexOf(b.status))
}

/** Names that a cause shows before it only counts. */
const SHOWN_NAMES = 6

/** Characters of names in one command. */
const LONGEST_NAMES = 400

/** Commands that take many names. */
const OF_MANY = /(keyferry (?:recover|rewrap|rotate)) NAME\b/g

/** The command that helps all of them: with their names where it takes several, else with NAME for each. */
function hintFor(findings: readonly AcceptedFinding[], { hint, name }: AcceptedFinding): string | null {
  const names = [...new Set(findings.flatMap((finding) => finding.name ?? []))]
  if (hint === null || name === null || names.length === 1 || !hint.includes(name)) return hint
  const general = hint.replaceAll(name, "NAME")
  const joined =
    names.join(" ").length <= LONGEST_NAMES ? general.replaceAll(OF_MANY, `$1 ${names.join(" ")}`) : general
  // without names it brings back all
  if (joined === "keyferry recover NAME") return "keyferry recover"
  return joined.includes("NAME") ? `${joined} (for each NAME of them)` : joined
}

interface CausesParts {
  readonly causes: readonly Cause[]
  /** Of the page that shows the keys of a reason. */
  readonly reasonHref: (id: string) => string
  readonly rows: readonly ReportRow[]
  readonly href: (row: ReportRow) => string
}

export function causesList({ causes, reasonHref, rows, href }: CausesParts): Markup {
  if (causes.length === 0) return html`<p class="none">Nothing needs a person.</p>`
  const rowAt = new Map(rows.map((row) => [placeText(row.key), row]))
  const place = (named: Cause["places"][number]): Markup => {
    const row = rowAt.get(placeText(named))
    return row === undefined
      ? html`<span>${placeText(named)}</span>`
      : html`<a href="${href(row)}">${named.name}</a> (${named.target})`
  }
  return html`<ul class="causes">
    ${causes.map(({ id, status, message, hint, places }) => {
      const shown = places.slice(0, SHOWN_NAMES)
      const count = places.length - shown.length
      const ofKeys = places.some((named) => rowAt.has(placeText(named)))
      const othersLink = count === 0 ? "" : html` and <a href="${reasonHref(id)}">${count} more</a>`
      return html`<li class="${status}">
        <p>
          <span class="severity">${status}</span>
          ${ofKeys ? html`<a href="${reasonHref(id)}"><b>${id}</b></a>` : html`<b>${id}</b>`}
          <span class="places"
            >${shown.map((named, index) => html`${index === 0 ? "" : ", "}${place(named)}`)}${othersLink}</span
          >
        </p>
        <p>${places.length > 1 ? html`<span class="places">the first of them:</span> ` : ""}${told(message)}</p>
        ${hint === null ? "" : html`<p class="hint">${hint}</p>`}
      </li>`
    })}
  </ul>`
}

const placeText = ({ name, target }: Cause["places"][number]): string =>
  name === null || target === null ? (name ?? target ?? "") : `${name} (${target})`
