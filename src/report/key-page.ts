import { html } from "hono/html"
import type { GenerationStatus } from "../app/fleet/status.js"
import { type HistoryLine, historySection } from "./history.js"
import type { FleetReport, ReportRow } from "./fleet-report.js"
import { anchorOf, chip, nextText } from "./keys-table.js"
import { patterns } from "./kind.js"
import { day, fromNow, type Markup, message as told, moment } from "./markup.js"
import { timeline } from "./timeline.js"

export interface KeyPage {
  readonly report: FleetReport
  /** Of one name: a row for each target, and for keys whose place another took. */
  readonly rows: readonly ReportRow[]
  /** Newest first. */
  readonly history: readonly HistoryLine[]
  /** Address of the fleet's page. */
  readonly fleet: string
}

/** A page a key: what it is, what it holds, what comes next, and what was done with it. */
export function keyPage({ report, rows, history, fleet }: KeyPage): Markup {
  const [row] = rows
  const name = row?.key.name ?? ""
  const now = report.at.getTime()
  return html`${patterns()}
    <header>
      <nav aria-label="Where this is"><a href="${fleet}">keyferry ${report.owner}</a> /</nav>
      <h1>${name}</h1>
      <p class="facts">Seen ${moment(now)} by KMS' clock.</p>
    </header>
    <main id="main" data-run="${report.agent?.run ?? ""}">
      <section aria-labelledby="ends">
        <h2 id="ends">When its material ends</h2>
        ${timeline({ rows, now, href: (line) => `#${anchorOf(line)}`, weekHref: null })}
      </section>
      ${rows.map((keyRow) => html`<section id="${anchorOf(keyRow)}">${keyFacts(keyRow, now)}</section>`)}
      ${historySection(history)}
    </main>`
}

/** All that is known of one key and target. @param now ms since 1970 */
export function keyFacts({ key, urgency, findings, materials }: ReportRow, now: number): Markup {
  const isTold = findings.some(({ id }) => id === key.reason)
  const enforced = key.custodyEnforced === false ? `, not enforced by the token: ${key.custodyReason ?? ""}` : ""
  const facts: readonly (readonly [string, string | Markup | null])[] = [
    ["next", nextText(key.next, now)],
    ["KMS key", key.keyArn],
    ["state in KMS", statesText(key.keyStates)],
    ["key spec", key.keySpec],
    ["alias", key.alias],
    ["custody", key.custody === null ? "not known" : `${key.custody}${enforced}`],
    ["without its token", key.forecast === null ? null : forecastText(key.forecast.diesAt, now)],
    ["in the configuration", key.managed ? "yes" : "no: watched, not kept alive"],
  ]
  return html`<h2>${key.name} in ${key.target}${key.replaced ? ", replaced" : ""} ${chip(urgency)}</h2>
    ${isTold ? "" : html`<p>${told(key.message)}</p>`}
    ${isTold || key.hint === null ? "" : html`<p class="hint">${key.hint}</p>`} ${findingsList(findings)}
    <dl>
      ${facts.map(([word, text]) =>
        text === null
          ? ""
          : html`<dt>${word}</dt>
              <dd>${text}</dd>`,
      )}
    </dl>
    ${key.generations.length === 0 ? "" : generationsTable(key.generations, now)}
    ${materials.map(({ isRecorded, region, generation, importedAt, end }) =>
      isRecorded
        ? html`<p>
            As recorded last in ${region}: generation ${generation}, imported ${dayOr(importedAt, "never")}, ends
            ${dayOr(end, "never")}. KMS could not be asked.
          </p>`
        : "",
    )}`
}

const dayOr = (time: number | null, otherwise: string): string => (time === null ? otherwise : day(time))

const statesText = (states: ReportRow["key"]["keyStates"]): string | null =>
  states.length === 0 ? null : states.map(({ region, keyState }) => `${keyState ?? "not seen"} (${region})`).join(", ")

function forecastText(diesAt: string, now: number): string {
  const deathTime = Date.parse(diesAt)
  return deathTime <= now ? "nothing brings it back" : `it dies on ${day(deathTime)}, ${fromNow(deathTime, now)}`
}

function findingsList(findings: ReportRow["findings"]): Markup | "" {
  if (findings.length === 0) return ""
  return html`<ul class="causes">
    ${findings.map(
      ({ id, status, message, hint, acceptedUntil }) =>
        html`<li class="${status}">
          <p>
            <span class="severity">${acceptedUntil === null ? status : `accepted until ${acceptedUntil}`}</span>
            <b>${id}</b>
          </p>
          <p>${told(message)}</p>
          ${hint === null ? "" : html`<p class="hint">${hint}</p>`}
        </li>`,
    )}
  </ul>`
}

function generationsTable(generations: readonly GenerationStatus[], now: number): Markup {
  return html`<table class="stacked">
    <caption>
      Generations, and the last import of each
    </caption>
    <thead>
      <tr>
        <th scope="col">Generation</th>
        <th scope="col">Material</th>
        <th scope="col">Imported</th>
        <th scope="col">Ends</th>
        <th scope="col">Proof</th>
        <th scope="col">Source key</th>
      </tr>
    </thead>
    <tbody>
      ${generations.map((held) => generationRow(held, now))}
    </tbody>
  </table>`
}

function generationRow(held: GenerationStatus, now: number): Markup {
  const { region, generation, state, importedAt, validTo, source, sourceNote, keyMaterialId, proof } = held
  const isNever = state === "never"
  const end =
    validTo === null
      ? html`${isNever ? "" : "never"}`
      : html`${validTo.slice(0, 10)}<span class="place">${fromNow(Date.parse(validTo), now)}</span>`
  return html`<tr>
    <th scope="row">${region} · ${generation}</th>
    <td data-label="material">
      ${state}${keyMaterialId === null ? "" : html`<span class="place id">${keyMaterialId}</span>`}
    </td>
    <td data-label="imported" class="date">${isNever ? "never" : (importedAt?.slice(0, 10) ?? "")}</td>
    <td data-label="ends" class="date">${end}</td>
    <td data-label="proof">${proof === null ? "none" : proofText(proof)}</td>
    <td data-label="source key">
      ${source ?? "none is kept"}${sourceNote === null ? "" : html`<span class="place">${sourceNote}</span>`}
    </td>
  </tr>`
}

/** `accepted` is KMS' word alone; a proof has compared something. */
const proofText = ({ kind, result }: NonNullable<GenerationStatus["proof"]>): string =>
  kind === "none" ? result : `${result} (${kind})`
