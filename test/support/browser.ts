import axe from "axe-core"
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core"

/** Debian's; where it is missing, tests fail. */
const CHROMIUM = "/usr/bin/chromium"

export const SIZES = { phone: { width: 360, height: 740 }, desk: { width: 1280, height: 900 } } as const
export const SCHEMES = ["light", "dark"] as const

/** Chromium without a window; it is root's in a container, where its own sandbox cannot be. */
export const openBrowser = (): Promise<Browser> =>
  chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox", "--disable-gpu"] })

export interface Watched {
  readonly context: BrowserContext
  readonly page: Page
  /** What the browser complained of: violations of the page's policy, errors of its script, files that are not there. */
  readonly complaints: string[]
  /** Addresses that it asked. */
  readonly asked: string[]
}

interface Look {
  readonly size?: keyof typeof SIZES
  readonly scheme?: (typeof SCHEMES)[number]
  readonly scripts?: boolean
}

/** A page in a context of its own, which is closed with the browser. */
export async function watchedPage(browser: Browser, look: Look = {}): Promise<Watched> {
  const { size = "desk", scheme = "light", scripts = true } = look
  const viewport = SIZES[size]
  const context = await browser.newContext({ viewport, colorScheme: scheme, javaScriptEnabled: scripts })
  const page = await context.newPage()
  page.setDefaultTimeout(20_000)
  const complaints: string[] = []
  const asked: string[] = []
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) complaints.push(message.text())
  })
  page.on("pageerror", (error) => complaints.push(error.message))
  page.on("request", (request) => asked.push(request.url()))
  return { context, page, complaints, asked }
}

/** What axe-core finds wrong with a page as it stands: rule and element. */
export async function axeFindings(page: Page): Promise<readonly string[]> {
  // once a document
  if (await page.evaluate<boolean>("globalThis.axe === undefined")) await page.evaluate(axe.source)
  const { violations } = await page.evaluate<axe.AxeResults>("axe.run(document, { resultTypes: ['violations'] })")
  return violations.flatMap(({ id, nodes }) => nodes.map(({ target }) => `${id}: ${target.join(" ")}`))
}

/** By how many pixels a page is wider than its window. */
export const overflow = (page: Page): Promise<number> =>
  page.evaluate<number>("document.documentElement.scrollWidth - document.documentElement.clientWidth")

/** Names of the rows of keys that are shown, in order. */
export const shownKeys = (page: Page): Promise<readonly string[]> =>
  page.evaluate<string[]>(
    `[...document.querySelectorAll("table.keys tbody tr")].filter((row) => row.checkVisibility())
      .map((row) => row.querySelector("th a").textContent)`,
  )
