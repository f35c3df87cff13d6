import { html, raw } from "hono/html"
import type { Markup } from "./markup.js"
import { SCRIPT } from "./script.js"
import { STYLE } from "./style.js"

/** What surrounds the body of a page: style and script from the same server. */
export function servedPage(title: string, body: Markup): Markup {
  const head = html`<link rel="icon" href="/icon.svg" />
    <link rel="stylesheet" href="/style.css" />
    <script src="/page.js" defer></script>`
  return document({
    title,
    head,
    body: html`<body>
      ${SKIP} ${body}
      <p class="live" role="status" hidden>This page is not told of changes at present: it may be old.</p>
    </body>`,
  })
}

/** Where no script runs, all rows are shown, and nothing that would do nothing. */
const WITHOUT_SCRIPT = `tbody tr[hidden] { display: table-row !important; } .filters, .pages, .count { display: none !important; }
@media (max-width: 48rem) { tbody tr[hidden] { display: grid !important; } }`

/** The same in one file, which asks nobody for anything. */
export function filePage(title: string, body: Markup): Markup {
  const head = html`<meta
      http-equiv="Content-Security-Policy"
      content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
    />
    <style>
      ${raw(STYLE)}
    </style>
    <noscript
      ><style>
        ${raw(WITHOUT_SCRIPT)}
      </style></noscript
    >`
  const script = html`<script>
    ${raw(SCRIPT)}
  </script>`
  return document({
    title,
    head,
    body: html`<body class="file">
      ${SKIP} ${body}${script}
    </body>`,
  })
}

const SKIP = html`<a class="skip" href="#main">to what is on this page</a>`

interface Parts {
  readonly title: string
  readonly head: Markup
  readonly body: Markup
}

function document({ title, head, body }: Parts): Markup {
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${title}</title>
        ${head}
      </head>
      ${body}
    </html> `
}
