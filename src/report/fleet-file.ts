import { html } from "hono/html"
import { EVERYTHING } from "./filter.js"
import { fleetPage } from "./fleet-page.js"
import { type FleetReport, reportRows, type ReportRow } from "./fleet-report.js"
import { type HistoryLine, historyList } from "./history.js"
import { keyFacts } from "./key-page.js"
import { anchorOf } from "./keys-table.js"
import type { Markup } from "./markup.js"
import { filePage } from "./page.js"

/** By name, newest first. */
type Histories = ReadonlyMap<string, readonly HistoryLine[]>

/** Keys with a page of their own in the file, the most urgent first: with more it would be slow to open. */
const MOST_DETAILS = 1_000

/** The fleet's page as one file, which loads nothing from anywhere; a key's page is a part of it, shown by its address. */
export async function fleetFile(report: FleetReport, histories: Histories = new Map()): Promise<string> {
  const detailed = reportRows(report).slice(0, MOST_DETAILS)
  const keys = new Set(detailed.map(anchorOf))
  const href = (row: ReportRow): string => (keys.has(anchorOf(row)) ? `#of-${anchorOf(row)}` : `#${anchorOf(row)}`)
  const fleet = fleetPage({ report, filter: EVERYTHING, href, base: null })
  const body = html`${fleet}
    <div class="details">${detailed.map((row) => detail(row, { now: report.at.getTime(), histories }))}</div>`
  return (await filePage(`keyferry ${report.owner}`, body)).toString()
}

function detail(row: ReportRow, { now, histories }: { readonly now: number; readonly histories: Histories }): Markup {
  const { name, target } = row.key
  // what was done with a source key is of all its targets
  const history = histories.get(name)?.filter((line) => line["target"] == null || line["target"] === target)
  return html`<section class="detail" id="of-${anchorOf(row)}" aria-label="${name} in ${target}">
    <p><a href="#main">all keys</a></p>
    ${keyFacts(row, now)}
    ${
      history === undefined
        ? ""
        : html`<h3>What was done with it</h3>
            ${historyList(history)}`
    }
  </section>`
}
