import { html } from "hono/html"
import { type Filter, filtered, PAGE_ROWS, queryOf } from "./filter.js"
import { type Cause, causesOf, type FleetReport, ORDER, reportRows, type ReportRow } from "./fleet-report.js"
import { day, fromNow, type Markup } from "./markup.js"
import { timeline } from "./timeline.js"

export interface FleetPage {
  readonly report: FleetReport
  readonly filter: Filter
  /** Address of a key's page, or of its place on this one. */
  readonly href: (row: ReportRow) => string
  /** Of this page, without query; empty for a file, where the script filters. */
  readonly base: string
}

/** The fleet on one page: what needs a person, when material ends, and every key. */
export function fleetPage({ report, filter, href, base }: FleetPage): Markup {
  const all = reportRows(report)
  const rows = filtered(all, filter)
  const pages = Math.max(Math.ceil(rows.length / PAGE_ROWS), 1)
  const page = Math.min(filter.page, pages)
  const isFile = base === ""
  const shown = isFile ? rows : rows.slice((page - 1) * PAGE_ROWS, page * PAGE_ROWS)
  const now = report.at.getTime()
  return html`<header>
      <h1>keyferry <span class="owner">${report.owner}</span></h1>
      <p class="chip ${report.check.status}">${report.check.status === "ok" ? "well" : report.check.status}</p>
      <p class="facts">${countsText(all)}. ${seenText(report)}</p>
    </header>
    <main>
      ${troublesOf(report)}
      <section aria-labelledby="needs">
        <h2 id="needs">What needs a person</h2>
        ${causesList(causesOf(report), { base, filter })}
      </section>
      <section aria-labelledby="ends">
        <h2 id="ends">When key material ends</h2>
        <p class="legend">
          <span class="swatch dead"></span> dead <span class="swatch dying"></span> dying, due or failed
          <span class="swatch well"></span> well
        </p>
        ${timeline({ rows, now, filter, href, base: base || "#" })}
      </section>
      <section aria-labelledby="keys">
        <h2 id="keys">Keys</h2>
        ${filterForm(all, filter, base)}
        <p class="count" role="status">
          ${rows.length === all.length ? `${all.length}` : `${rows.length} of ${all.length}`}
          ${all.length === 1 ? "key" : "keys"}${isFile || pages === 1 ? "" : `, page ${page} of ${pages}`}
        </p>
        ${keysTable(shown, { now, href })} ${isFile ? "" : pagesNav({ page, pages, filter, base })}
      </section>
    </main>`
}

function countsText(rows: readonly ReportRow[]): string {
  const counts = ORDER.flatMap((word) => {
    const count = rows.filter(({ urgency }) => urgency === word).length
    return count === 0 ? [] : [`${count} ${word}`]
  })
  return counts.length === 0 ? "No keys are known here" : counts.join(", ")
}

function seenText({ at, agent, version }: FleetReport): string {
  const sight = `Seen ${at.toISOString().slice(0, 19)}Z by KMS' clock, keyferry ${version}`
  if (agent === null) return `${sight}.`
  const next = agent.next === null ? "" : `; next round ${agent.next.toISOString().slice(0, 16)}Z`
  return `${sight}; last round ${agent.outcome}${next}.`
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

/** Names that a cause shows before it only counts. */
const SHOWN_NAMES = 6

function causesList(
  causes: readonly Cause[],
  { base, filter }: { readonly base: string; readonly filter: Filter },
): Markup {
  if (causes.length === 0) return html`<p class="none">Nothing.</p>`
  return html`<ul class="causes">
    ${causes.map(({ id, status, message, hint, places }) => {
      const names = places.slice(0, SHOWN_NAMES).map(placeText).join(", ")
      const remainder = places.length > SHOWN_NAMES ? ` and ${places.length - SHOWN_NAMES} more` : ""
      const link =
        base === ""
          ? html`<b>${id}</b>`
          : html`<a href="${base}${queryOf({ ...filter, reason: id, page: 1 })}#keys"><b>${id}</b></a>`
      return html`<li class="${status}">
        <p><span class="severity">${status}</span> ${link} <span class="places">${names}${remainder}</span></p>
        <p>${message}</p>
        ${hint === null ? "" : html`<p class="hint">${hint}</p>`}
      </li>`
    })}
  </ul>`
}

const placeText = ({ name, target }: Cause["places"][number]): string =>
  name === null || target === null ? (name ?? target ?? "") : `${name} (${target})`

function filterForm(rows: readonly ReportRow[], filter: Filter, base: string): Markup {
  const targets = [...new Set(rows.map(({ key }) => key.target))].sort()
  const states = ORDER.filter((word) => rows.some(({ urgency }) => urgency === word))
  const reasons = [
    ...new Set(rows.flatMap(({ key, findings }) => [key.reason, ...findings.map(({ id }) => id)])),
  ].sort()
  const choice = (name: "target" | "state" | "reason", words: readonly string[]): Markup =>
    html`<label
      >${name}
      <select name="${name}">
        <option value="">any</option>
        ${words.map((word) => html`<option value="${word}" ${filter[name] === word ? html` selected` : ""}>${word}</option>`)}
      </select></label
    >`
  return html`<form class="filters" action="${base || "#keys"}" method="get" role="search" aria-label="Filter the keys">
    <label>name <input name="name" type="search" value="${filter.name}" autocomplete="off" /></label>
    ${choice("target", targets)} ${choice("state", states)} ${choice("reason", reasons)}
    ${filter.week === "" ? "" : html`<label>week of <input name="week" value="${filter.week}" size="10" /></label>`}
    <button>Show</button> ${base === "" ? "" : html`<a href="${base}">all</a>`}
  </form>`
}

function keysTable(
  rows: readonly ReportRow[],
  { now, href }: { readonly now: number; readonly href: FleetPage["href"] },
): Markup {
  if (rows.length === 0) return html`<p class="none">No key is like that.</p>`
  return html`<div class="scroll">
    <table>
      <thead>
        <tr>
          <th scope="col">Key</th>
          <th scope="col">State</th>
          <th scope="col">Material ends</th>
          <th scope="col">Next</th>
          <th scope="col">Why</th>
        </tr>
      </thead>
      <tbody>
        ${rows.map((row) => keyRow(row, now, href))}
      </tbody>
    </table>
  </div>`
}

function keyRow(row: ReportRow, now: number, href: FleetPage["href"]): Markup {
  const { key, urgency, end, findings } = row
  const [finding] = findings
  const why = finding === undefined || urgency === "well" ? key.message : finding.message
  const reasons = [key.reason, ...findings.map(({ id }) => id)].join(" ")
  return html`<tr
    id="${anchorOf(row)}"
    data-name="${key.name.toLowerCase()}"
    data-target="${key.target}"
    data-state="${urgency}"
    data-reason="${reasons}"
  >
    <th scope="row">
      <a href="${href(row)}">${key.name}</a><span class="place">${key.target}${key.replaced ? ", replaced" : ""}</span>
    </th>
    <td>
      <span class="chip ${urgency.replace(" ", "-")}">${urgency}</span
      ><span class="place">${statesText(key.keyStates)}</span>
    </td>
    <td>${end === null ? "never" : html`${day(end)}<span class="place">${fromNow(end, now)}</span>`}</td>
    <td>${key.next === null ? "" : html`${key.next.action}<span class="place">${key.next.at.slice(0, 10)}</span>`}</td>
    <td class="why">${why}</td>
  </tr>`
}

/** The place of a key on a page. */
export const anchorOf = ({ key }: ReportRow): string =>
  `key-${encodeURIComponent(`${key.target}/${key.name}${key.replaced ? `/${key.keyArn ?? ""}` : ""}`)}`

function statesText(states: ReportRow["key"]["keyStates"]): string {
  const words = [...new Set(states.map(({ keyState }) => keyState ?? "not seen"))]
  return words.join(", ")
}

interface Pages {
  readonly page: number
  readonly pages: number
  readonly filter: Filter
  readonly base: string
}

function pagesNav({ page, pages, filter, base }: Pages): Markup | "" {
  if (pages === 1) return ""
  const link = (to: number, words: string): Markup =>
    to < 1 || to > pages
      ? html`<span class="off">${words}</span>`
      : html`<a href="${base}${queryOf({ ...filter, page: to })}#keys">${words}</a>`
  return html`<nav class="pages" aria-label="Pages">${link(page - 1, "before")} ${link(page + 1, "next")}</nav>`
}
