import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { expect } from "chai"
import type { Browser, Page } from "playwright-core"
import {
  axeFindings,
  openBrowser,
  overflow,
  SCHEMES,
  shownKeys,
  SIZES,
  type Watched,
  watchedPage,
} from "#test/support/browser.js"
import { kmsClient } from "#test/support/local-kms.js"
import { RunningAgent } from "#test/support/running-agent.js"
import { setStage, type Stage } from "#test/support/stage.js"

const REGIONS = { east: "us-east-1", west: "us-west-2", eu: "eu-west-3" } as const
type Target = keyof typeof REGIONS

/** Thirteen keys: names and their targets. One is to lose its material, one is about to; one cannot be wrapped by this token. */
const KEYS: Readonly<Record<string, { readonly targets: readonly Target[]; readonly more?: object }>> = {
  payments: { targets: ["east", "west", "eu"] },
  ledger: { targets: ["east", "eu"] },
  audit: { targets: ["west"] },
  lost: { targets: ["eu"] },
  soon: { targets: ["west"], more: { expiresIn: "5d", renewBefore: "1d" } },
  mail: { targets: ["east"], more: { keySpec: "HMAC_256" } },
  backup: { targets: ["west", "eu"] },
  orders: { targets: ["east"], more: { keySpec: "ECC_NIST_P256", keyUsage: "SIGN_VERIFY" } },
  forever: { targets: ["east"], more: { expiresIn: "never" } },
}

describe("the dashboard in a browser", () => {
  let stage: Stage
  let agent: RunningAgent
  let browser: Browser
  let url: string
  let file: string
  let rounds = 0

  /** A round by SIGHUP, and its end. */
  const round = async (): Promise<void> => {
    rounds += 1
    agent.signal("SIGHUP")
    await agent.line("round.ended", rounds)
  }
  const kms = (target: Target) => kmsClient(stage.kms, REGIONS[target])
  const deleteMaterial = async (name: string, target: Target): Promise<void> => {
    const client = kms(target)
    const { Aliases = [] } = await client.listAliases({})
    const alias = Aliases.find(({ AliasName = "" }) => AliasName === `alias/${name}`)
    await client.deleteImportedKeyMaterial({ KeyId: alias?.TargetKeyId ?? "" })
    client.destroy()
  }
  const visit = async (path = "/", look: Parameters<typeof watchedPage>[1] = {}): Promise<Watched> => {
    const watched = await watchedPage(browser, look)
    await watched.page.goto(`${url}${path}`)
    return watched
  }

  before(async () => {
    stage = await setStage({ regions: Object.values(REGIONS) })
    const state = stage.state()
    const config = join(stage.folder, "dashboard.json")
    writeFileSync(
      config,
      JSON.stringify({
        version: 1,
        id: "watched",
        tokens: { only: { uri: stage.token.uri } },
        targets: Object.fromEntries(
          Object.entries(REGIONS).map(([name, region]) => [name, { region, endpoint: stage.kms.endpoint }]),
        ),
        defaults: { custody: "token", wrappingKeySpec: "RSA_2048" },
        keys: Object.fromEntries(
          Object.entries(KEYS).map(([name, { targets, more }]) => [
            name,
            { keySpec: "SYMMETRIC_DEFAULT", alias: `alias/${name}`, targets, ...more },
          ]),
        ),
        agent: { jitter: "0s", allow: ["provision"], listen: "127.0.0.1:0" },
      }),
    )
    const env = { ...stage.env, KEYFERRY_TOKEN: undefined, KEYFERRY_STATE_DIR: state }
    agent = new RunningAgent(["--config", config], env)
    ;[browser] = await Promise.all([openBrowser(), agent.line("agent.waits")])
    url = (await agent.line("agent.listens"))["url"] as string
    rounds = 1
    await deleteMaterial("lost", "eu")
    await round()
    file = join(stage.folder, "fleet.html")
    const written = await stage.run(["status", "--config", config, "--html", file], { state, env })
    expect(written.status, written.stderr).to.equal(0)
  })
  after(async () => {
    await browser.close()
    agent.signal("SIGTERM")
    await agent.ended
    await stage[Symbol.asyncDispose]()
  })

  it("has first what needs a person with the command that helps, then thirteen keys as a picture, each a click away", async () => {
    const { page, context } = await visit()
    const causes = await page.locator(".causes li").allInnerTexts()
    expect(causes[0]).to.include("critical").and.include("lost (eu)").and.include("keyferry recover lost --yes")
    expect(causes.join()).to.include("EXPIRES_SOON").and.include("soon (west)")
    expect(causes.join()).to.match(
      /ERR_NO_USABLE_ALGORITHM orders \(east\)\s+the agent failed at it, and tries again at 20/,
    )
    expect(await page.locator(".first").innerText()).to.match(/^First to end: soon \(west\) in us-west-2, on \d{4}-/)
    expect((await shownKeys(page)).slice(0, 3)).to.deep.equal(["lost", "orders", "soon"])
    const lines = await page.locator("table.lines tbody tr").allInnerTexts()
    // whole names, each in a line of its own
    const lineCounts = await page.evaluate<number[]>(
      "[...document.querySelectorAll('table.keys tbody th a')].map((link) => link.getClientRects().length)",
    )
    expect(new Set(lineCounts)).to.deep.equal(new Set([1]))
    // what never expires has no end, nor what was not imported
    expect(lines).to.have.lengthOf(11)
    expect(lines[0]).to.match(/lost.*eu-west-3 · 0.*deleted before \d{4}-/s)
    expect(lines[1]).to.match(/soon.*us-west-2 · 0.*in 4 days/s)
    expect(await page.locator("table.lines rect.bar.dead").count()).to.equal(1)
    expect(await page.getByRole("img", { name: "Time from import to end" }).isVisible()).to.equal(true)
    await page.locator("table.lines").getByRole("link", { name: "audit" }).click()
    await page.waitForURL(/\/keys\/audit$/)
    await context.close()
  })

  it("says by Region what is dead and behind, and leads to its keys", async () => {
    const { page, context } = await visit()
    const regions = page.locator("table.figures.stacked tbody tr")
    expect(await regions.first().innerText()).to.match(/^eu-west-3\s+4\s+1\b/)
    await page.getByRole("link", { name: "eu-west-3" }).click()
    await page.waitForURL(/region=eu-west-3/)
    expect(await shownKeys(page)).to.have.members(["lost", "payments", "ledger", "backup"])
    await context.close()
  })

  for (const scripts of [true, false]) {
    it(`filters by name, target, state and reason ${scripts ? "with" : "without"} scripts, and by address`, async () => {
      const { page, context } = await visit("/", { scripts })
      const show = async (): Promise<void> => page.getByRole("button", { name: "Show" }).click()
      await page.getByLabel("name").fill("PAY")
      await show()
      await page.waitForURL(/name=PAY/)
      expect(await shownKeys(page)).to.deep.equal(["payments", "payments", "payments"])
      for (const [label, option, keys] of [
        ["target", "west", ["soon", "audit", "backup", "payments"]],
        ["state", "dying", ["soon"]],
        ["reason", "EXPIRES_SOON", ["soon"]],
      ] as const) {
        await page.goto(url)
        await page.getByLabel(label).selectOption(option)
        // with scripts the choice is enough
        if (!scripts) await show()
        await page.waitForURL(new RegExp(`${label}=${option}`))
        expect(await shownKeys(page), label).to.have.members([...keys])
        expect(await page.getByLabel(label).inputValue()).to.equal(option)
      }
      await page.getByRole("link", { name: "1 dead" }).click()
      await page.waitForURL(/state=dead/)
      expect(await shownKeys(page)).to.deep.equal(["lost"])
      await context.close()
    })
  }

  it("shows of a key its generations, imports, proofs, custody, history, and what comes next", async () => {
    const { page, context } = await visit("/keys/payments")
    expect(await page.getByRole("heading", { level: 2 }).allTextContents()).to.include.members([
      "When its material ends",
      "What was done with it",
    ])
    for (const target of ["east", "west", "eu"]) {
      expect(await page.getByRole("heading", { name: `payments in ${target}` }).innerText()).to.include("well")
    }
    expect(await page.locator("table.lines tbody tr").count()).to.equal(3)
    const facts = await page.locator("dl").first().innerText()
    expect(facts)
      .to.match(/next\s+rewrap/)
      .and.match(/KMS key\s+arn:aws:kms:/)
      .and.match(/custody\s+token/)
    const generation = page.locator("main table.stacked tbody tr").first()
    expect(await generation.innerText()).to.match(/· 0\s+imported\s+[0-9a-f]{64}\s+\d{4}-\d\d-\d\d\s+\d{4}-/)
    expect(await generation.innerText()).to.match(/(accepted|proven).*present/s)
    const history = await page.locator(".history").innerText()
    for (const event of ["source.generated", "import.done", "import.proven"]) expect(history).to.include(event)
    await page.getByRole("link", { name: "keyferry watched" }).click()
    await page.waitForURL(`${url}/`)
    await context.close()
  })

  it("takes in what a round has changed without being loaded anew, and leaves what somebody types alone", async () => {
    const { page, context } = await visit()
    await page.evaluate("globalThis.sameDocument = true")
    const name = page.getByLabel("name")
    await name.pressSequentially("led")
    expect(await page.locator("ul.counts").innerText()).to.match(/\b1 dead/)
    await deleteMaterial("audit", "west")
    await round()
    await page.locator("ul.counts", { hasText: "2 dead" }).waitFor()
    expect(await page.locator(".causes li").first().innerText()).to.include("audit (west)")
    expect(await name.inputValue()).to.equal("led")
    await name.press("g")
    expect(await name.inputValue(), "it has the focus still").to.equal("ledg")
    await name.press("Enter")
    await page.waitForURL(/name=ledg/)
    // and what is looked at is a key: of its page as well
    await page.goto(`${url}/keys/audit`)
    await page.evaluate("globalThis.sameDocument = true")
    expect(await page.locator("main").innerText()).to.include("MATERIAL_DELETED")
    expect(
      (
        await stage.run(["recover", "audit", "--yes", "--config", join(stage.folder, "dashboard.json")], {
          state: join(stage.folder, "state-1"),
          env: { KEYFERRY_TOKEN: undefined },
        })
      ).status,
    ).to.equal(0)
    await round()
    await page.locator(".chip.well").first().waitFor()
    expect(await page.evaluate("globalThis.sameDocument")).to.equal(true)
    await context.close()
  })

  for (const [where, address] of [
    ["the fleet's page", () => `${url}/`],
    ["a key's page", () => `${url}/keys/lost`],
    ["the file", () => pathToFileURL(file).href],
  ] as const) {
    it(`has nothing on ${where} that axe-core finds, and no overflow, dark and light, at 360 and 1280 pixels`, async () => {
      const { page, context } = await watchedPage(browser)
      await page.goto(address())
      for (const scheme of SCHEMES) {
        await page.emulateMedia({ colorScheme: scheme })
        for (const size of Object.values(SIZES)) {
          await page.setViewportSize(size)
          expect(await axeFindings(page), `${scheme} ${size.width}`).to.deep.equal([])
          expect(await overflow(page), `${scheme} ${size.width}`).to.equal(0)
        }
        const [paper = 0, ink = 0] = await page.evaluate<number[]>(
          `["backgroundColor", "color"].map((name) => getComputedStyle(document.body)[name])
            .map((colour) => colour.match(/\\d+/g).slice(0, 3).reduce((sum, part) => sum + Number(part), 0))`,
        )
        expect(scheme === "light" ? paper > ink : paper < ink, scheme).to.equal(true)
      }
      await context.close()
    })
  }

  it("is gone through by keyboard: a way past the top, every stop seen, in the order of the page", async () => {
    const { page, context } = await visit()
    await page.keyboard.press("Tab")
    expect(await focused(page)).to.include({ text: "to what is on this page", isSeen: true })
    await page.keyboard.press("Enter")
    const stops: Stop[] = []
    for (let times = 0; times < 60; times += 1) {
      await page.keyboard.press("Tab")
      const stop = await focused(page)
      if (stop === null) break
      stops.push(stop)
    }
    expect(stops.filter(({ isSeen }) => !isSeen)).to.deep.equal([])
    expect(stops.map(({ y }) => y)).to.deep.equal(stops.map(({ y }) => y).sort((a, b) => a - b))
    const names = stops.map(({ text }) => text)
    expect(names[0]).to.equal("MATERIAL_DELETED")
    expect(names).to.include.members(["soon", "payments", "eu-west-3", "Show", "show all"])
    expect(names.filter((text) => text === "lost").length, "in causes, picture and list").to.be.at.least(3)
    await context.close()
  })

  it("asks nobody else, and breaks no rule of its policy", async () => {
    const { page, complaints, asked, context } = await visit()
    await page.goto(`${url}/?name=pay`)
    await page.goto(`${url}/keys/payments`)
    expect(complaints).to.deep.equal([])
    expect(asked.filter((address) => !address.startsWith(`${url}/`))).to.deep.equal([])
    // the policy is one that is kept: what it forbids does not run
    await page.evaluate(
      "document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"globalThis.ran = true\">')",
    )
    expect(await page.evaluate("globalThis.ran === undefined")).to.equal(true)
    expect(await context.cookies()).to.deep.equal([])
    await context.close()
  })

  for (const scripts of [true, false]) {
    it(`is the same from a file, ${scripts ? "which filters by itself" : "where no script runs"}`, async () => {
      const { page, complaints, asked, context } = await watchedPage(browser, { scripts })
      await page.goto(pathToFileURL(file).href)
      expect((await shownKeys(page)).slice(0, 3)).to.deep.equal(["lost", "orders", "soon"])
      expect(await page.locator("table.lines tbody tr").count()).to.equal(11)
      expect(await page.locator("form.filters").isVisible()).to.equal(scripts)
      if (scripts) {
        await page.getByLabel("name").fill("led")
        expect(await shownKeys(page)).to.deep.equal(["ledger", "ledger"])
        await page.getByRole("link", { name: "1 dead" }).click()
        expect(await shownKeys(page)).to.deep.equal(["lost"])
        await page.getByLabel("state").selectOption("")
        await page.getByLabel("reason").selectOption("EXPIRES_SOON")
        expect(await page.locator("p.count").textContent()).to.equal("1 of 13 keys")
        await page.getByRole("link", { name: "us-west-2" }).click()
        expect(await shownKeys(page)).to.have.members(["soon", "audit", "backup", "payments"])
        await page.getByRole("link", { name: "show all" }).click()
      }
      // a key has a page of its own there too
      await page.locator("table.keys").getByRole("link", { name: "mail" }).click()
      expect(await page.getByRole("heading", { name: "mail in east" }).isVisible()).to.equal(true)
      expect(await page.locator("table.keys").isVisible()).to.equal(false)
      expect(await page.locator(".detail:visible").innerText())
        .to.include("HMAC_256")
        .and.include("import.proven")
      await page.getByRole("link", { name: "all keys" }).locator("visible=true").click()
      expect(await page.locator("table.keys").isVisible()).to.equal(true)
      expect([complaints, asked]).to.deep.equal([[], [pathToFileURL(file).href]])
      expect(readFileSync(file, "utf8")).not.to.match(/(src|href)="(https?:)?\/\//)
      await context.close()
    })
  }

  it("says of keys that KMS could not be asked about what was recorded last, and what is not known", async () => {
    const { page, context } = await visit()
    await stage.kms.fault({ operation: "DescribeKey", kind: "internal", count: 10_000 })
    await round()
    await page.locator(".troubles").waitFor()
    const rows = page.locator("table.keys tbody tr")
    expect(await rows.filter({ hasText: "ledger" }).first().innerText()).to.match(
      /not reached.*\d{4}-\d\d-\d\d.*as recorded last/s,
    )
    expect(await rows.filter({ hasText: "forever" }).innerText()).to.match(/never\s+as recorded last/)
    expect(await page.locator("table.lines rect.bar.unseen").count()).to.be.greaterThan(9)
    await stage.kms.clearFaults()
    await context.close()
  })

  it("says that it is told of no changes once the agent is gone", async () => {
    const { page, context } = await visit()
    expect(await page.locator("p.live").isVisible()).to.equal(false)
    agent.signal("SIGTERM")
    expect(await agent.ended, "a browser that listens does not keep it").to.equal(0)
    await page.locator("p.live").waitFor()
    expect(await page.locator("p.live").innerText()).to.include("may be old")
    await context.close()
  })
})

interface Stop {
  readonly text: string
  /** From the top of the document, in pixels. */
  readonly y: number
  /** Within the window, with an outline or a border of its own. */
  readonly isSeen: boolean
}

/** What has the focus; null for the document itself. */
async function focused(page: Page): Promise<Stop | null> {
  return await page.evaluate<Stop | null>(`(() => {
    const element = document.activeElement
    if (element === null || element === document.body) return null
    const box = element.getBoundingClientRect()
    const { outlineStyle, outlineWidth } = getComputedStyle(element)
    const isOutlined = outlineStyle !== "none" && parseFloat(outlineWidth) >= 2
    const isInside = box.width > 0 && box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth
    // of several in a line the first counts
    return { text: element.textContent.trim() || element.name, y: Math.round((box.top + scrollY) / 40), isSeen: isOutlined && isInside }
  })()`)
}
