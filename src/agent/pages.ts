import type { EventEmitter } from "node:events"
import { setTimeout as sleep } from "node:timers/promises"
import { type Context, Hono } from "hono"
import { streamSSE } from "hono/streaming"
import { EVERYTHING, type Filter, filterOf } from "../report/filter.js"
import { fleetPage } from "../report/fleet-page.js"
import { type FleetReport, reportRows, type ReportRow } from "../report/fleet-report.js"
import type { HistoryLine } from "../report/history.js"
import { ICON } from "../report/icon.js"
import { keyPage } from "../report/key-page.js"
import type { Markup } from "../report/markup.js"
import { servedPage } from "../report/page.js"
import { SCRIPT } from "../report/script.js"
import { STYLE } from "../report/style.js"
import { preparedPage, type PreparedPage, sendPage } from "./prepared-page.js"
import { type AgentView, fleetReport } from "./view.js"

export interface PagesParts {
  readonly view: () => AgentView
  /** Emits after each round. */
  readonly changed: EventEmitter<{ round: [run: string] }>
  /** Lines of the custody log about a name, newest first. */
  readonly history: (name: string) => Promise<readonly HistoryLine[]>
}

/** More browsers that wait for news than look at a fleet. */
const MOST_LISTENERS = 64
/** Pages with one filter or another, of megabytes each where the fleet is large. */
const MOST_PREPARED = 8
/** A connection that says nothing is cut by proxies. */
const ALIVE_MS = 25_000

/** The dashboard: the fleet, a page a key, and what comes with them. */
export function pages({ view, changed, history }: PagesParts): Hono {
  const app = new Hono()
  let listeners = 0
  const prepared = new Map<string, { readonly of: AgentView["report"]; readonly page: Promise<PreparedPage> }>()

  let latest: { readonly of: AgentView["report"]; readonly report: FleetReport | null } | null = null

  /** One for each round: what is made of it is made once. */
  const reportOf = (current: AgentView): FleetReport | null => {
    if (latest?.of !== current.report) latest = { of: current.report, report: fleetReport(current) }
    return latest.report
  }

  /** A page of a round stays the same until the next. */
  const remembered = (address: string, render: (report: FleetReport) => Markup): Promise<PreparedPage> | null => {
    const current = view()
    const before = prepared.get(address)
    if (before?.of === current.report) return before.page
    const report = reportOf(current)
    if (report === null) return null
    // what goes wrong in it is its reader's to see, and no reason for the agent to end
    const page = Promise.resolve(report).then((fleet) => preparedPage(render(fleet)))
    if (prepared.size >= MOST_PREPARED) prepared.clear()
    prepared.set(address, { of: current.report, page })
    return page
  }

  const fleet = (filter: Filter): Promise<PreparedPage> | null =>
    remembered(`/?${JSON.stringify(filter)}`, (report) =>
      servedPage(`keyferry ${report.owner}`, fleetPage({ report, filter, href: hrefOf, base: "/" })),
    )
  // of 10,000 keys it takes half a second, for which nobody who comes is to wait
  changed.on("round", () => setImmediate(() => void fleet(EVERYTHING)?.catch(() => undefined)))

  app.get("/", (context) => answer(context, fleet(filterOf((name) => context.req.query(name)))))

  app.get("/keys/:name", async (context) => {
    const name = context.req.param("name")
    const report = reportOf(view())
    if (report === null) return await answer(context, null)
    const rows = reportRows(report).filter(({ key }) => key.name === name)
    if (rows.length === 0) return context.text("no such key\n", 404)
    const page = keyPage({ report, rows, history: await history(name), fleet: "/" })
    return await answer(context, preparedPage(servedPage(`keyferry ${name}`, page)))
  })

  app.get("/style.css", (context) => context.body(STYLE, 200, { "Content-Type": "text/css; charset=utf-8" }))
  app.get("/icon.svg", (context) => context.body(ICON, 200, { "Content-Type": "image/svg+xml" }))
  app.get("/page.js", (context) => context.body(SCRIPT, 200, { "Content-Type": "text/javascript; charset=utf-8" }))

  app.get("/events", (context) => {
    if (listeners >= MOST_LISTENERS) return context.text("too many wait for news already\n", 503)
    return streamSSE(context, async (stream) => {
      listeners += 1
      const gone = new AbortController()
      stream.onAbort(() => gone.abort())
      const tell = (run: string): void => void stream.writeSSE({ event: "round", data: run })
      changed.on("round", tell)
      try {
        tell(view().report?.run ?? "")
        // neither keeps its place once the browser is gone, nor the process once it is to end
        while (await sleep(ALIVE_MS, true, { ref: false, signal: gone.signal }).catch(() => false)) {
          await stream.writeSSE({ event: "alive", data: "" })
        }
      } finally {
        changed.off("round", tell)
        listeners -= 1
      }
    })
  })
  return app
}

const hrefOf = ({ key }: ReportRow): string => `/keys/${encodeURIComponent(key.name)}`

async function answer(context: Context, page: Promise<PreparedPage> | null): Promise<Response> {
  if (page === null) {
    context.header("Refresh", "3")
    return context.text("keyferry looks at the fleet for the first time: this page comes as soon as it has\n", 503)
  }
  return sendPage(context, await page)
}
