import { html } from "hono/html"
import type { ReportRow } from "./fleet-report.js"
import type { Markup } from "./markup.js"

/** How pictures tell states apart, by colour and by pattern; worst first. */
export const KINDS = ["dead", "dying", "due", "unseen", "well"] as const
export type Kind = (typeof KINDS)[number]

const OF_STATE: Readonly<Record<ReportRow["urgency"], Kind>> = {
  dead: "dead",
  failed: "dying",
  dying: "dying",
  due: "due",
  blocked: "due",
  "not reached": "unseen",
  well: "well",
}

export const kindOf = ({ urgency }: Pick<ReportRow, "urgency">): Kind => OF_STATE[urgency]

export const KIND_WORDS: Readonly<Record<Kind, string>> = {
  dead: "dead",
  dying: "dying or failed",
  due: "due or blocked",
  unseen: "not reached, as recorded last",
  well: "well",
}

/** Patterns over the colours, once a page: `fill="url(#over-dead)"`. */
export const patterns = (): Markup =>
  html`<svg class="patterns" aria-hidden="true" width="0" height="0">
    <pattern id="over-dead" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
      <rect class="over" width="2.5" height="6"></rect>
    </pattern>
    <pattern id="over-dying" width="7" height="7" patternUnits="userSpaceOnUse">
      <circle class="over" cx="3.5" cy="3.5" r="1.5"></circle>
    </pattern>
    <pattern id="over-due" width="6" height="6" patternUnits="userSpaceOnUse">
      <rect class="over" width="6" height="1.5"></rect>
    </pattern>
  </svg>`

interface Box {
  readonly x: string
  readonly y: number
  readonly width: string
  readonly height: number
}

/** A piece of a bar; lengths as SVG takes them. */
export function bar(kind: Kind, { x, y, width, height }: Box): Markup {
  const place = html`x="${x}" y="${y}" width="${width}" height="${height}"`
  const pattern = kind === "well" || kind === "unseen" ? "" : html`<rect ${place} fill="url(#over-${kind})"></rect>`
  return html`<rect class="bar ${kind}" ${place}></rect>${pattern}`
}

/** What the kinds mean that are in a picture. @param extra further entries */
export const legend = (kinds: ReadonlySet<Kind>, extra: Markup | "" = ""): Markup =>
  html`<ul class="legend">
    ${KINDS.filter((kind) => kinds.has(kind)).map(
      (kind) =>
        html`<li>
          <svg width="18" height="12" aria-hidden="true">${bar(kind, { x: "1", y: 1, width: "16", height: 10 })}</svg>
          ${KIND_WORDS[kind]}
        </li>`,
    )}
    ${extra}
  </ul>`
