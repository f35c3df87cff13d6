import { html } from "hono/html"
import { type Filter, queryOf, reasonsOf, regionsOf, weekOfRow } from "./filter.js"
import { ORDER, type ReportRow } from "./fleet-report.js"
import { day, fromNow, type Markup, message } from "./markup.js"
import type { FirstEnd } from "./material.js"

/** The place of a key on a page. */
export const anchorOf = ({ key }: ReportRow): string =>
  `key-${encodeURIComponent(`${key.target}/${key.name}${key.replaced ? `/${key.keyArn ?? ""}` : ""}`)}`

export const chip = (word: string): Markup => html`<span class="chip ${word.replace(" ", "-")}">${word}</span>`

interface FilterForm {
  readonly rows: readonly ReportRow[]
  readonly filter: Filter
  /** Of the page; null in a file, where the script filters. */
  readonly base: string | null
}

export function filterForm({ rows, filter, base }: FilterForm): Markup {
  const targets = [...new Set(rows.map(({ key }) => key.target))].sort()
  const states = ORDER.filter((word) => rows.some(({ urgency }) => urgency === word))
  const reasons = [...new Set(rows.flatMap(reasonsOf))].sort()
  const choice = (name: "target" | "state" | "reason", words: readonly string[]): Markup =>
    html`<label
      >${name}
      <select name="${name}">
        <option value="">any</option>
        ${words.map((word) => html`<option value="${word}" ${filter[name] === word ? html` selected` : ""}>${word}</option>`)}
      </select></label
    >`
  // chosen in a picture or a table, and given up here
  const chosen = (name: "region" | "week", words: string): Markup =>
    html`<label ${filter[name] === "" ? html` hidden` : ""}
      >${words} <input name="${name}" value="${filter[name]}" size="11" autocomplete="off"
    /></label>`
  return html`<form class="filters" action="${base ?? "#keys"}" method="get" role="search" aria-label="Filter the keys">
    <label>name <input name="name" type="search" value="${filter.name}" autocomplete="off" /></label>
    ${choice("target", targets)} ${choice("state", states)} ${choice("reason", reasons)} ${chosen("region", "Region")}
    ${chosen("week", "ends in the week of")}
    <button>Show</button> <a class="all" href="${base === null ? "#?" : `${base}#keys`}">show all</a>
  </form>`
}

interface KeysTable {
  readonly rows: readonly ReportRow[]
  readonly now: number
  readonly href: (row: ReportRow) => string
  /** In a file every key is here, and the script shows so many of them at a time; null where the server pages them. */
  readonly shownInFile: number | null
}

export function keysTable({ rows, now, href, shownInFile }: KeysTable): Markup {
  if (rows.length === 0) return html`<p class="none">No key is like that.</p>`
  return html`<table class="keys stacked">
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
      ${rows.map((row, index) => keyRow(row, { now, href, file: shownInFile === null ? "none" : index < shownInFile ? "shown" : "later" }))}
    </tbody>
  </table>`
}

interface RowPlace extends Pick<KeysTable, "now" | "href"> {
  readonly file: "none" | "shown" | "later"
}

function keyRow(row: ReportRow, { now, href, file }: RowPlace): Markup {
  const { key, urgency, firstEnd, findings } = row
  const [finding] = findings
  const isWell = urgency === "well"
  const why = finding === undefined || isWell ? key.message : finding.message
  const hint = isWell ? null : (finding?.hint ?? key.hint)
  const marks =
    file === "none"
      ? ""
      : html` data-name="${key.name.toLowerCase()}" data-target="${key.target}" data-state="${urgency}"
        data-reason="${reasonsOf(row).join(" ")}" data-region="${regionsOf(row).join(" ")}"
        data-week="${weekOfRow(row)}"${file === "later" ? " hidden" : ""}`
  return html`<tr id="${anchorOf(row)}" ${marks}>
    <th scope="row">
      <a href="${href(row)}">${key.name}</a><span class="place">${key.target}${key.replaced ? ", replaced" : ""}</span>
    </th>
    <td>${chip(urgency)}<span class="place">${statesText(key.keyStates)}</span></td>
    <td data-label="material ends" class="date">${endText(firstEnd, now)}</td>
    <td data-label="next" class="date">${nextText(key.next, now)}</td>
    <td class="why">${message(why)}${hint === null ? "" : html`<span class="hint">${hint}</span>`}</td>
  </tr>`
}

/** When material ends, and how that is known. */
export function endText(end: FirstEnd, now: number): Markup {
  const note = (text: string): Markup => html`<span class="place">${text}</span>`
  switch (end.kind) {
    case "ends":
      return html`${day(end.at)}${note(`${fromNow(end.at, now)}${end.material.isRecorded ? ", as recorded last" : ""}`)}`
    case "lost":
      return html`deleted${note(`before its end on ${day(end.material.end)}`)}`
    case "never":
      return html`never${end.isRecorded ? note("as recorded last") : ""}`
    case "unknown":
      return html`not known${note("KMS could not be asked")}`
    case "no material":
      return html`no material yet`
  }
}

/** What comes next, and when. */
export function nextText(next: ReportRow["key"]["next"], now: number): Markup | "" {
  if (next === null) return html`<span class="none">nothing</span>`
  const actionTime = Date.parse(next.at)
  return html`${next.action}<span class="place"
      >${actionTime <= now ? "now" : `${day(actionTime)}, ${fromNow(actionTime, now)}`}</span
    >`
}

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

export function pagesNav({ page, pages, filter, base }: Pages): Markup | "" {
  if (pages === 1) return ""
  const link = (number: number, words: string): Markup =>
    number < 1 || number > pages
      ? html`<span class="off">${words}</span>`
      : html`<a href="${base}${queryOf({ ...filter, page: number })}#keys">${words}</a>`
  return html`<nav class="pages" aria-label="Pages of keys">
    ${link(page - 1, "before")} ${link(page + 1, "next")} ${link(pages, "last")}
  </nav>`
}
