import { html } from "hono/html"
import { CUSTODY_EVENTS } from "../core/records/custody-event.js"
import { type Markup, moment } from "./markup.js"

/** One line of the custody log that is about a key, as it stands there. */
export interface HistoryLine {
  /** RFC 3339 UTC. */
  readonly time: string
  readonly event: string
  readonly [fact: string]: unknown
}

export function historySection(history: readonly HistoryLine[]): Markup {
  return html`<section aria-labelledby="history">
    <h2 id="history">What was done with it</h2>
    ${history.length === 0 ? html`<p class="none">The custody log has nothing of it.</p>` : historyList(history)}
  </section>`
}

export const historyList = (history: readonly HistoryLine[]): Markup =>
  html`<p class="of">From the custody log, the newest first.</p>
    <ol class="history">
      ${history.map(historyItem)}
    </ol>`

/** Facts that are told; digests and identities are for who reads the log itself. */
const TOLD = ["step", "region", "custody", "kind", "result", "validTo", "keyMaterialId", "wrappingAlgorithm", "reason"]

function historyItem(line: HistoryLine): Markup {
  const { time, event, target } = line
  const facts = { ...(line["facts"] as Readonly<Record<string, unknown>> | undefined) }
  const generation = (line["source"] as { readonly generation?: unknown } | undefined)?.generation
  const words = [
    ...(typeof target === "string" ? [target] : []),
    ...(typeof generation === "number" ? [`generation ${generation}`] : []),
    ...TOLD.flatMap((name) => (typeof facts[name] === "string" ? [`${name} ${facts[name]}`] : [])),
  ]
  // a log that a later version wrote may have events that this one does not know
  const row = (CUSTODY_EVENTS as Readonly<Record<string, { readonly meaning: string }>>)[event]
  return html`<li>
    <p>${moment(Date.parse(time))} <b>${event}</b>${row === undefined ? "" : html` · ${row.meaning}`}</p>
    <p class="facts">${words.join(" · ")}</p>
  </li>`
}
