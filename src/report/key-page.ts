import { html } from "hono/html"
import type { FleetReport, ReportRow } from "./fleet-report.js"
import { EVERYTHING } from "./filter.js"
import { day, fromNow, type Markup } from "./markup.js"
import { timeline } from "./timeline.js"

/** One line of the custody log that is about a key, as it stands there. */
export interface HistoryLine {
  /** RFC 3339 UTC. */
  readonly time: string
  readonly event: string
  readonly [fact: string]: unknown
}

export interface KeyPage {
  readonly report: FleetReport
  /** Of one name: a row for each target, and for keys whose place another took. */
  readonly rows: readonly ReportRow[]
  /** Newest first; null where it is not at hand. */
  readonly history: readonly HistoryLine[] | null
  /** Address of the fleet's page; null where it stands on the same page. */
  readonly fleet: string | null
}

/** A page a key: what it is, what it holds, what comes next, and what was done with it. */
export function keyPage({ report, rows, history, fleet }: KeyPage): Markup {
  const [row] = rows
  const name = row?.key.name ?? ""
  const now = report.at.getTime()
  return html`<header>
      <h1>${fleet === null ? "" : html`<a href="${fleet}">keyferry ${report.owner}</a> / `}${name}</h1>
      <p class="facts">Seen ${report.at.toISOString().slice(0, 19)}Z by KMS' clock.</p>
    </header>
    <main>
      <section aria-labelledby="ends">
        <h2 id="ends">When its material ends</h2>
        ${timeline({ rows, now, filter: EVERYTHING, href: (row) => `#${row.key.target}`, base: "" })}
      </section>
      ${rows.map((row) => keySection(row, now))} ${history === null ? "" : historySection(history)}
    </main>`
}

function keySection({ key, urgency, findings }: ReportRow, now: number): Markup {
  const facts: readonly (readonly [string, string | null])[] = [
    ["KMS key", key.keyArn],
    ["key spec", key.keySpec],
    ["alias", key.alias],
    [
      "custody",
      `${key.custody ?? "not known"}${key.custodyEnforced === false ? `, not enforced: ${key.custodyReason ?? ""}` : ""}`,
    ],
    ["next", key.next === null ? "nothing" : `${key.next.action} on ${key.next.at}`],
    ["if its token is lost", key.forecast === null ? null : `dies ${key.forecast.diesAt}`],
    ["in the configuration", key.managed ? "yes" : "no: watched, not kept alive"],
  ]
  return html`<section id="${key.target}" aria-label="${key.target}">
    <h2>
      ${key.target}${key.replaced ? ", replaced" : ""} <span class="chip ${urgency.replace(" ", "-")}">${urgency}</span>
    </h2>
    <p>${key.message}${key.hint === null ? "" : html` <span class="hint">${key.hint}</span>`}</p>
    ${
      findings.length === 0
        ? ""
        : html`<ul class="causes">
            ${findings.map(
              ({ id, status, message, hint, acceptedUntil }) =>
                html`<li class="${status}">
                  <p>
                    <span class="severity">${acceptedUntil === null ? status : `accepted until ${acceptedUntil}`}</span>
                    <b>${id}</b>
                  </p>
                  <p>${message}</p>
                  ${hint === null ? "" : html`<p class="hint">${hint}</p>`}
                </li>`,
            )}
          </ul>`
    }
    <dl>
      ${facts.flatMap(([word, text]) =>
        text === null
          ? []
          : [
              html`<dt>${word}</dt>
                <dd>${text}</dd>`,
            ],
      )}
    </dl>
    <div class="scroll">
      <table>
        <caption>
          Generations
        </caption>
        <thead>
          <tr>
            <th scope="col">Region</th>
            <th scope="col">Generation</th>
            <th scope="col">Material</th>
            <th scope="col">Imported</th>
            <th scope="col">Ends</th>
            <th scope="col">Source key</th>
          </tr>
        </thead>
        <tbody>
          ${key.generations.map(
            ({ region, generation, state, importedAt, validTo, source, sourceNote, keyMaterialId }) =>
              html`<tr>
                <td>${region}</td>
                <td>${generation}</td>
                <td>${state}<span class="place">${keyMaterialId ?? ""}</span></td>
                <td>${importedAt?.slice(0, 10) ?? "never"}</td>
                <td>
                  ${validTo === null ? "never" : html`${validTo.slice(0, 10)}<span class="place">${fromNow(Date.parse(validTo), now)}</span>`}
                </td>
                <td>${source ?? "none is kept"}<span class="place">${sourceNote ?? ""}</span></td>
              </tr>`,
          )}
        </tbody>
      </table>
    </div>
  </section>`
}

function historySection(history: readonly HistoryLine[]): Markup {
  return html`<section aria-labelledby="history">
    <h2 id="history">What was done with it</h2>
    ${
      history.length === 0
        ? html`<p class="none">The custody log has nothing of it.</p>`
        : html`<ol class="history">
            ${history.map((line) => historyItem(line))}
          </ol>`
    }
  </section>`
}

/** Facts that are told in words; digests and identities are for who reads the log itself. */
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
  return html`<li>
    <p><time datetime="${time}">${day(Date.parse(time))} ${time.slice(11, 19)}Z</time> <b>${event}</b></p>
    <p class="facts">${words.join(" · ")}</p>
  </li>`
}
