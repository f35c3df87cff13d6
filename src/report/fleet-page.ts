import { html } from "hono/html"
import { causesList, causesOf } from "./causes.js"
import { EVERYTHING, type Filter, filtered, pageRows, queryOf } from "./filter.js"
import { type FleetReport, ORDER, reportRows, type ReportRow } from "./fleet-report.js"
import { filterForm, keysTable, pagesNav } from "./keys-table.js"
import { patterns } from "./kind.js"
import { day, fromNow, type Markup, moment } from "./markup.js"
import { firstToEnd, regionsTable } from "./regions.js"
import { timeline } from "./timeline.js"

export interface FleetPage {
  readonly report: FleetReport
  readonly filter: Filter
  /** Address of a key's page, or of its place on this one. */
  readonly href: (row: ReportRow) => string
  /** Of this page, without query; null for a file, where the script filters. */
  readonly base: string | null
}

/** The fleet on one page: what needs a person, when material ends, Regions, and every key. */
export function fleetPage({ report, filter, href, base }: FleetPage): Markup {
  const all = reportRows(report)
  const rows = filtered(all, filter)
  const now = report.at.getTime()
  /** Address of what a filter leaves; a file's script reads it. */
  const filterHref = (change: Partial<Filter>): string => {
    const query = queryOf({ ...(base === null ? EVERYTHING : filter), page: 1, ...change })
    return base === null ? `#${query === "" ? "?" : query}` : `${base}${query}#keys`
  }
  return html`${patterns()}
    <header>
      <h1>keyferry <span class="owner">${report.owner}</span></h1>
      <p class="chip ${report.check.status}">${report.check.status === "ok" ? "well" : report.check.status}</p>
      ${countsList(all, (state) => filterHref({ ...EVERYTHING, state }))}
      <p class="facts">${seenText(report)}</p>
    </header>
    <main id="main" data-run="${report.agent?.run ?? ""}">
      ${troublesOf(report)}
      <section aria-labelledby="needs">
        <h2 id="needs">What needs a person</h2>
        ${causesList({ causes: causesOf(report), reasonHref: (reason) => filterHref({ ...EVERYTHING, reason }), rows: all, href })}
      </section>
      <section aria-labelledby="ends">
        <h2 id="ends">When key material ends</h2>
        ${firstText(rows, { now, href })}
        ${timeline({ rows, now, href, weekHref: (week) => filterHref({ week: filter.week === week ? "" : week }) })}
      </section>
      <section aria-labelledby="regions">
        <h2 id="regions">Regions</h2>
        ${regionsTable({ rows: all, now, regionHref: (region) => filterHref({ ...EVERYTHING, region }) })}
      </section>
      <section aria-labelledby="keys">
        <h2 id="keys">Keys</h2>
        ${filterForm({ rows: all, filter, base })} ${keysList({ rows, all, filter, href, base, now })}
      </section>
    </main>`
}

function countsList(rows: readonly ReportRow[], stateHref: (state: string) => string): Markup {
  if (rows.length === 0) return html`<p class="facts">No keys are known here.</p>`
  return html`<ul class="counts">
    ${ORDER.flatMap((word) => {
      const count = rows.filter(({ urgency }) => urgency === word).length
      return count === 0
        ? []
        : [
            html`<li class="${word.replace(" ", "-")}">
              <a href="${stateHref(word)}"><b>${count}</b> ${word}</a>
            </li>`,
          ]
    })}
  </ul>`
}

function seenText({ at, agent, version, status }: FleetReport): Markup {
  const sight = html`Seen ${moment(at.getTime())} by KMS' clock, by keyferry ${version}.`
  if (agent === null) return sight
  const next = agent.next === null ? "" : html` The next begins ${moment(agent.next.getTime())}.`
  const elsewhere = status.tokens.flatMap(({ name, state }) => (state === "not reached from here" ? [name] : []))
  const tokens = elsewhere.length === 0 ? "" : ` Tokens that are not reached from here: ${elsewhere.join(", ")}.`
  return html`${sight} The last round: ${agent.outcome}.${next}${tokens}`
}

function troublesOf({ agent }: FleetReport): Markup | "" {
  const lines = [
    ...(agent?.pausedUntil == null ? [] : [`Paused until ${agent.pausedUntil}: nothing is done before that.`]),
    ...(agent?.troubles ?? []).map((trouble) => `The last round did not do all of its work: ${trouble}.`),
  ]
  return lines.length === 0
    ? ""
    : html`<div class="troubles" role="alert">${lines.map((line) => html`<p>${line}</p>`)}</div>`
}

/** Which key ends first of those that live: what a picture of many does not say. */
function firstText(rows: readonly ReportRow[], { now, href }: { now: number; href: FleetPage["href"] }): Markup | "" {
  const firstRow = firstToEnd(rows, now)
  if (firstRow?.firstEnd.kind !== "ends") return ""
  const { at, material } = firstRow.firstEnd
  return html`<p class="first">
    First to end: <a href="${href(firstRow)}"><b>${firstRow.key.name}</b></a> (${firstRow.key.target}) in
    ${material.region}, on <b>${day(at)}</b>, ${fromNow(at, now)}${material.isRecorded ? ", as recorded last" : ""}.
  </p>`
}

interface KeysList extends Omit<FleetPage, "report"> {
  readonly rows: readonly ReportRow[]
  readonly all: readonly ReportRow[]
  readonly now: number
}

function keysList({ rows, all, filter, href, base, now }: KeysList): Markup {
  const size = pageRows(filter)
  const pages = Math.max(Math.ceil(rows.length / size), 1)
  const page = Math.min(filter.page, pages)
  const count = rows.length === all.length ? `${all.length}` : `${rows.length} of ${all.length}`
  const counted = `${count} ${all.length === 1 ? "key" : "keys"}`
  if (base === null) {
    return html`<p class="count" role="status">${counted}</p>
      ${keysTable({ rows, now, href, shownInFile: size })}
      <nav class="pages" aria-label="Pages of keys" ${pages === 1 ? html` hidden` : ""}>
        <button data-step="-1">before</button> <button data-step="1">next</button>
      </nav>`
  }
  const shown = rows.slice((page - 1) * size, page * size)
  return html`<p class="count" role="status">${counted}${pages === 1 ? "" : `, page ${page} of ${pages}`}</p>
    ${keysTable({ rows: shown, now, href, shownInFile: null })} ${pagesNav({ page, pages, filter, base })}`
}
