import { html, raw } from "hono/html"
import type { Markup } from "./markup.js"
import { SCRIPT } from "./script.js"
import { STYLE } from "./style.js"

/** What surrounds the body of a page: style and script from the same server. */
export function servedPage(title: string, body: Markup): Markup {
  const head = html`<link rel="stylesheet" href="/style.css" />
    <script src="/page.js" defer></script>`
  return document({
    title,
    head,
    body: html`<body>
      ${body}
    </body>`,
  })
}

/** The same in one file, which asks nobody for anything. */
export function filePage(title: string, body: Markup): Markup {
  const head = html`<meta
      http-equiv="Content-Security-Policy"
      content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
    />
    <style>
      ${raw(STYLE)}
    </style>`
  const script = html`<script>
    ${raw(SCRIPT)}
  </script>`
  return document({
    title,
    head,
    body: html`<body class="file">
      ${body}${script}
    </body>`,
  })
}

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
        <link rel="icon" href="data:," />
        ${head}
      </head>
      ${body}
    </html> `
}
