import { expect } from "chai"
import type { StatusRow } from "#src/app/fleet/status.js"
import type { AcceptedFinding } from "#src/core/plan/acceptance.js"
import { summarise } from "#src/core/plan/row.js"
import { EVERYTHING, type Filter } from "#src/report/filter.js"
import { fleetFile } from "#src/report/fleet-file.js"
import { fleetPage } from "#src/report/fleet-page.js"
import { causesOf, type FleetReport, reportRows } from "#src/report/fleet-report.js"
import { statusRow } from "#test/support/status-row.js"

const NOW = new Date("2026-11-28T12:00:00Z")
const DAY_MS = 86_400_000
const time = (days: number): string => `${new Date(NOW.getTime() + days * DAY_MS).toISOString().slice(0, 19)}Z`

/** A key whose material was imported ninety days before it ends, so many days from now. */
function key(kind: Parameters<typeof statusRow>[0], name: string, ends: number, target = "eu"): StatusRow {
  const row = statusRow(kind, name, target)
  const generations = row.generations.map((generation) => ({
    ...generation,
    validTo: time(ends),
    importedAt: time(ends - 90),
  }))
  return { ...row, generations }
}

const finding = (id: string, name: string, more: Partial<AcceptedFinding> = {}): AcceptedFinding => ({
  ...{ id, status: "critical", message: `${id} of ${name}`, name, target: "eu", hint: `keyferry recover ${name}` },
  ...{ acceptedUntil: null, ...more },
})

function report(keys: readonly StatusRow[], checks: readonly AcceptedFinding[] = []): FleetReport {
  const vault = { sealed: 0, findings: [], custodyKeys: [] }
  const status = { keys, summary: summarise(keys), tokens: [], custodyKeys: [], vault, operations: [] }
  const check = { status: "critical", checks, perfdata: "", keys: keys.length } as const
  return { owner: "test", version: "0.0.0", at: NOW, status, check, agent: null }
}

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
  [...markup.matchAll(/<th scope="row">\s*<a href="[^"]*"\s*>([^<]*)</g)].map(([, name = ""]) => name)

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
      [],
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
    expect(markup).to.include("k5 (eu) and 3 more").and.include("keyferry recover k0").and.not.include("SOURCE_MISSING")
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
    expect(few.match(/<rect\s+class="bar /g)).to.have.lengthOf(3)
    expect(few).to.include("us-east-1, generation 0").and.include("generation 1: imported")
    const many = await page(
      report(Array.from({ length: 300 }, (_, index) => key("well", `k${index}`, 1 + (index % 70)))),
    )
    expect(many).to.match(/<a\s+href="\/\?week=2026-12-07#keys"\s*>\s*<title>week of 2026-12-07: 35 keys/)
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
