import { expect } from "chai"
import type { StatusRow } from "#src/app/fleet/status.js"
import { EVERYTHING, type Filter } from "#src/report/filter.js"
import { fleetFile } from "#src/report/fleet-file.js"
import { fleetPage } from "#src/report/fleet-page.js"
import { causesOf } from "#src/report/causes.js"
import { type FleetReport, reportRows } from "#src/report/fleet-report.js"
import { fleetReport as report, finding, reportedKey, time } from "#test/support/fleet-report.js"

const key = (kind: Parameters<typeof reportedKey>[0], name: string, ends: number, target = "eu"): StatusRow =>
  reportedKey(kind, name, { ends, target })

const page = async (fleet: FleetReport, filter: Partial<Filter> = {}): Promise<string> =>
  (
    await fleetPage({
      report: fleet,
      filter: { ...EVERYTHING, ...filter },
      href: (row) => `/keys/${row.key.name}`,
      base: "/",
    })
  ).toString()

/** Names of the table, in order. */
const names = (markup: string): readonly string[] =>
  [
    ...markup.slice(markup.indexOf('<table class="keys')).matchAll(/<th scope="row">\s*<a href="[^"]*"\s*>([^<]*)</g),
  ].map(([, name = ""]) => name)

/** Kinds of the bars of a picture, in order. */
const bars = (markup: string): readonly string[] =>
  [...markup.slice(markup.indexOf("<tbody")).matchAll(/<rect\s+class="bar (\S+)"/g)].map(([, kind = ""]) => kind)

describe("the fleet on a page", () => {
  it("has first what needs a person, then what ends first", async () => {
    const keys = [key("well", "late", 80), key("well", "soon", 20), key("due", "due", 5), key("dead", "gone", -1)]
    const fleet = report(
      [...keys, key("unreachable", "far", 0), key("well", "dying", 10)],
      [finding("EXPIRES_SOON", "dying", { status: "warning" })],
    )
    expect(names(await page(fleet))).to.deep.equal(["gone", "dying", "due", "far", "soon", "late"])
    expect(reportRows(fleet).map(({ urgency }) => urgency)).to.deep.equal([
      ...["dead", "dying", "due", "not reached", "well", "well"],
    ])
  })

  it("says equal causes once, worst first, with the command that helps; what is accepted calls nobody", async () => {
    const many = Array.from({ length: 9 }, (_, index) => finding("EXPIRED", `k${index}`))
    const fleet = report(
      many.map(({ name }) => key("dead", name ?? "", -1)),
      [
        finding("BACKUP_UNCONFIRMED", "custody", { status: "warning", hint: "keyferry key backup-confirmed" }),
        ...many,
        finding("SOURCE_MISSING", "old", { status: "ok", acceptedUntil: time(3) }),
      ],
    )
    expect(causesOf(fleet).map(({ id, places }) => `${id} ${places.length}`)).to.deep.equal([
      "EXPIRED 9",
      "BACKUP_UNCONFIRMED 1",
    ])
    const markup = await page(fleet)
    expect(markup)
      .to.match(/>k5<\/a> \(eu\) and <a href="\/\?reason=EXPIRED#keys">3 more</)
      .and.not.include("SOURCE_MISSING")
  })

  it("names in one command the keys that it helps, and has one for all where they are too many", () => {
    const causes = (count: number, hint: (name: string) => string) =>
      causesOf(
        report(
          [],
          Array.from({ length: count }, (_, index) => finding("X", `k${index}`, { hint: hint(`k${index}`) })),
        ),
      )
    const hints = (...parts: Parameters<typeof causes>) => causes(...parts).map(({ hint }) => hint)
    expect(hints(1, (name) => `keyferry recover ${name}`)).to.deep.equal(["keyferry recover k0"])
    expect(hints(3, (name) => `keyferry recover ${name} --yes`)).to.deep.equal(["keyferry recover k0 k1 k2 --yes"])
    expect(hints(2, (name) => `keyferry rewrap ${name}; see why`)).to.deep.equal(["keyferry rewrap k0 k1; see why"])
    // takes one name
    expect(hints(2, (name) => `keyferry replace ${name}`)).to.deep.equal([
      "keyferry replace NAME (for each NAME of them)",
    ])
    expect(hints(500, (name) => `keyferry recover ${name}`)).to.deep.equal(["keyferry recover"])
    expect(hints(2, () => "`keyferry doctor` looks at it")).to.deep.equal(["`keyferry doctor` looks at it"])
  })

  it("calls failed what unattended work failed at and waits for, and due what nobody has planned yet", async () => {
    const backoff = { name: "a", target: "eu", replaced: false, failures: 2, since: time(-1), retryAt: time(0.2) }
    const due = { ...key("due", "b", 5), outcome: "nothing" } as const
    const fleet = {
      ...report([key("well", "a", 40), due]),
      backoffs: [{ ...backoff, reason: "ERR_TOKEN", message: "it broke" }],
    }
    expect(reportRows(fleet).map(({ urgency }) => urgency)).to.deep.equal(["failed", "due"])
    const markup = await page(fleet)
    expect(markup).to.include("failed at it 2 times").and.include("it broke").and.include("keyferry rewrap a")
  })

  it("says when material ends, and how that is known", async () => {
    const seen = key("well", "a", 40)
    const none = { ...seen, generations: [] }
    const last = { region: "eu-west-3", generation: 0, validTo: time(9), importedAt: time(-81) }
    const [material] = seen.generations
    if (material === undefined) throw new Error("no generation")
    const unseen = { ...none, keyStates: [{ region: "eu-west-3", keyArn: "arn", keyState: null }] }
    for (const [row, words] of [
      [seen, "2027-01-07 in 40 days"],
      [{ ...seen, generations: [{ ...material, validTo: null }] }, "never"],
      [{ ...unseen, recorded: [last] }, "2026-12-07 in 9 days, as recorded last"],
      [{ ...unseen, recorded: [{ ...last, validTo: null }] }, "never as recorded last"],
      [unseen, "not known KMS could not be asked"],
      [none, "no material yet"],
      [{ ...seen, generations: [{ ...material, state: "lost" }] }, "deleted before its end on 2027-01-07"],
      [key("dead", "a", -3), "2026-11-25 3 days ago"],
    ] as const) {
      const markup = await page(report([row]))
      const [, cell = ""] = /data-label="material ends" class="date">(.*?)<\/td>/s.exec(markup) ?? []
      expect(
        cell
          .replaceAll(/<[^>]*>/g, " ")
          .replaceAll(/\s+/g, " ")
          .trim(),
      ).to.equal(words)
    }
  })

  it("draws what was recorded of keys that cannot be reached, told apart from what KMS says", async () => {
    const recorded = [{ region: "eu-west-3", generation: 0, validTo: time(9), importedAt: time(-81) }]
    const markup = await page(report([{ ...key("unreachable", "far", 0), recorded }, key("well", "near", 20)]))
    expect(bars(markup)).to.deep.equal(["unseen", "well"])
    expect(markup).to.match(/First to end:.*far.*as recorded last/s)
  })

  it("is filtered by name, target, state, reason and week, each by its address", async () => {
    const fleet = report(
      [key("dead", "Payments", -1), key("well", "payroll", 20), key("well", "signer", 20, "us")],
      [finding("EXPIRED", "Payments")],
    )
    expect(names(await page(fleet, { name: "pay" }))).to.deep.equal(["Payments", "payroll"])
    expect(names(await page(fleet, { target: "us" }))).to.deep.equal(["signer"])
    expect(names(await page(fleet, { state: "dead" }))).to.deep.equal(["Payments"])
    expect(names(await page(fleet, { reason: "EXPIRED" }))).to.deep.equal(["Payments"])
    expect(names(await page(fleet, { week: "2026-12-14" }))).to.deep.equal(["payroll", "signer"])
    expect(await page(fleet, { name: "none" })).to.include("No key is like that.")
  })

  it("draws a bar for each Region and generation, and where there are many counts weeks, each a way to its keys", async () => {
    const two = key("well", "a", 30)
    const generations = two.generations.flatMap((generation) => [
      generation,
      { ...generation, generation: 1, validTo: time(60) },
      { ...generation, region: "us-east-1" },
    ])
    const few = await page(report([{ ...two, generations }]))
    expect(bars(few)).to.deep.equal(["well", "well", "well"])
    expect(few).to.include("us-east-1 · 0").and.include("us-east-1 · 1")
    const many = await page(
      report(Array.from({ length: 300 }, (_, index) => key("well", `k${index}`, 1 + (index % 70)))),
    )
    expect(many).to.match(/<a href="\/\?week=2026-12-07#keys"\s*>\s*<title>week of 2026-12-07: 35 keys, 35 well</)
    expect(many.match(/<tr\s+id=/g)).to.have.lengthOf(100)
    expect(many).to.include("page 1 of 3")
  })

  it("lets nothing of a name, a message or an answer be markup, in text or attributes", async () => {
    const poison = `"><script>alert(1)</script>'&`
    const row = { ...key("dead", "a", -1), message: poison, alias: poison, target: poison }
    const fleet = {
      ...report([row], [finding("EXPIRED", "a", { message: poison, hint: poison, target: poison })]),
      owner: poison,
    }
    for (const markup of [
      await page(fleet, { name: poison, target: poison }),
      await page(fleet),
      await fleetFile(fleet),
    ]) {
      expect(markup).not.to.include("<script>alert")
      expect(markup).not.to.match(/="[^"]*"><script>/)
    }
  })

  it("is one file that asks nobody for anything, with every key in it", async () => {
    const keys = Array.from({ length: 250 }, (_, index) => key("well", `k${index}`, 1 + (index % 70)))
    const file = await fleetFile(report(keys))
    expect(names(file)).to.have.lengthOf(250)
    expect(file).to.include("default-src 'none'")
    expect(file).not.to.match(/(src|href)="(https?:)?\/\//)
  })
})
