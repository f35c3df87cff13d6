import { EventEmitter, once } from "node:events"
import { readFileSync, writeFileSync } from "node:fs"
import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { pathToFileURL } from "node:url"
import { getRequestListener } from "@hono/node-server"
import { expect } from "chai"
import type { Browser } from "playwright-core"
import { pages } from "#src/agent/pages.js"
import type { AgentView } from "#src/agent/view.js"
import { DEFAULT_AGENT } from "#src/core/manifest/agent-settings.js"
import { fleetFile } from "#src/report/fleet-file.js"
import { axeFindings, openBrowser, overflow, shownKeys, watchedPage } from "#test/support/browser.js"
import { finding, fleetReport, REPORTED_AT, reportedKey } from "#test/support/fleet-report.js"
import { roundReport, sightOf } from "#test/support/round-report.js"
import { temporaryFolder } from "#test/support/temp-dir.js"

const COUNT = 10_000
const DEAD = 3

/** Keys that end over thirteen weeks, each name in a target of its own, and three that are dead. */
const KEYS = Array.from({ length: COUNT }, (_, index) =>
  index < DEAD
    ? reportedKey("dead", `gone-${index}`, { ends: -1 - index })
    : reportedKey("well", `key-${String(index).padStart(5, "0")}`, { ends: 1 + (index % 91), target: `t${index % 3}` }),
)
const FINDINGS = KEYS.slice(0, DEAD).map(({ name }) => finding("EXPIRED", name))

/** Until the first row of keys, in bytes: what a browser has to read before it shows one. */
const MOST_BEFORE_ROWS = 40_000
const MOST_OF_PAGE = 150_000

describe("10,000 keys in a browser", () => {
  const folder = temporaryFolder()
  let browser: Browser
  let server: Server
  let url: string
  /** Listeners while no browser looks. */
  let alone: number
  const changed = new EventEmitter<{ round: [run: string] }>()

  before(async () => {
    const sight = { ...sightOf(KEYS, FINDINGS), at: REPORTED_AT }
    const view: AgentView = {
      version: "0.0.0",
      owner: "many",
      settings: DEFAULT_AGENT,
      report: roundReport({ sight }),
      next: null,
    }
    const app = pages({ view: () => view, changed, history: () => Promise.resolve([]) })
    server = createServer(getRequestListener(app.fetch) as never)
    server.listen(0, "127.0.0.1")
    await once(server, "listening")
    alone = changed.listenerCount("round")
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    browser = await openBrowser()
  })
  after(async () => {
    await browser.close()
    server.closeAllConnections()
    server.close()
  })

  it("counts weeks, has the first rows in its first bytes, and leads to each key in two clicks", async () => {
    const markup = await (await fetch(url)).text()
    expect(markup.indexOf("<tr id=")).to.be.within(1, MOST_BEFORE_ROWS)
    expect(markup.length).to.be.below(MOST_OF_PAGE)
    const { page, context } = await watchedPage(browser)
    await page.goto(url)
    expect(await page.locator("tbody tr[id]").count()).to.equal(100)
    expect((await shownKeys(page)).slice(0, DEAD)).to.have.members(["gone-0", "gone-1", "gone-2"])
    const wanted = KEYS[7_777]?.name ?? ""
    const week = page.getByRole("link", { name: /^week of 2027-01-04: \d+ keys/ })
    expect(await week.textContent()).to.match(/\b7\d\d\b/)
    await week.click()
    await page
      .getByRole("row", { name: new RegExp(wanted) })
      .getByRole("link")
      .click()
    await page.waitForURL(/\/keys\//)
    expect(await page.locator("h1").textContent()).to.equal(wanted)
    await context.close()
  })

  it("tells whoever looks of the next round, and keeps no place for who has left", async () => {
    const { page, context } = await watchedPage(browser)
    await until(() => changed.listenerCount("round") === alone)
    await page.goto(url)
    await until(() => changed.listenerCount("round") === alone + 1)
    await context.close()
    await until(() => changed.listenerCount("round") === alone)
  })

  it("finds nothing wrong with them on a telephone", async () => {
    const { page, context } = await watchedPage(browser, { size: "phone", scheme: "dark" })
    await page.goto(url)
    expect([await overflow(page), await axeFindings(page)]).to.deep.equal([0, []])
    await context.close()
  })

  it("pages many in a file, where every key is found by name, and all stand where no script runs", async () => {
    // more than have a page of their own in it
    const file = join(folder(), "fleet.html")
    writeFileSync(file, await fleetFile(fleetReport(KEYS.slice(0, 1_500), FINDINGS)))
    expect(readFileSync(file, "utf8").indexOf("<tr id=")).to.be.within(1, MOST_BEFORE_ROWS)
    const { page, context } = await watchedPage(browser)
    await page.goto(pathToFileURL(file).href)
    expect(await shownKeys(page)).to.have.lengthOf(100)
    await page.getByRole("button", { name: "next" }).click()
    expect(await page.locator("p.count").textContent()).to.equal("1500 keys, page 2 of 15")
    const [week] = (await page.locator(".weeks a").allTextContents()).slice(-1)
    await page.locator(".weeks a").last().click()
    expect(await shownKeys(page)).to.have.lengthOf(Number(/: (\d+) keys/.exec(week ?? "")?.[1]))
    await page.getByRole("link", { name: "show all" }).click()
    await page.getByLabel("name").fill("KEY-01499")
    expect(await shownKeys(page)).to.deep.equal(["key-01499"])
    await context.close()
    const bare = await watchedPage(browser, { scripts: false })
    await bare.page.goto(pathToFileURL(file).href)
    expect(await bare.page.locator("table.keys tbody tr").last().isVisible()).to.equal(true)
    await bare.context.close()
  })
})

async function until(isSo: () => boolean): Promise<void> {
  for (let times = 0; !isSo(); times += 1) {
    if (times > 500) throw new Error("it has not come about")
    await sleep(20)
  }
}
