import { readFileSync } from "node:fs"
import { join } from "node:path"
import { expect } from "chai"
import { verifyChain } from "#src/core/records/custody-chain.js"
import { seeded } from "../support/seeded.js"
import { drawCalendar, KILLS, overlapping } from "./quarter/calendar.js"
import { pagesForAll, pagesForChanges } from "./quarter/faulty-proxy.js"
import { type Operator, operatorOf } from "./quarter/operator.js"
import { DAY_S, type Host, type Key, LIFE_DAYS, openSite, type Run, type Site } from "./quarter/site.js"
import { type Hosts, type Troubles, troublesOf } from "./quarter/troubles.js"
import { type Witness, witnessOf } from "./quarter/witness.js"

const KEYS = 50
/** So many of them come into the configuration file in the course of the quarter. */
const ENROLLED_LATER = 5
/** The first keys rotate by the configuration file, twice in the quarter. */
const ROTATING = 2
const ROTATE_EVERY = "35d"
const HOUR_S = 3600

const keys: readonly Key[] = Array.from({ length: KEYS }, (_, index) => ({
  name: `k${String(index + 1).padStart(2, "0")}`,
  targets: index % 5 === 4 ? ["east", "west"] : index % 2 === 0 ? ["east"] : ["west"],
  ...(index < ROTATING ? { rotateEvery: ROTATE_EVERY } : {}),
}))
const enrolled = keys.slice(0, KEYS - ENROLLED_LATER)

const chance = seeded()
const ordinary = enrolled.slice(ROTATING).filter(({ targets }) => targets.length === 1)
const chosen = chance.sample(ordinary, 10).map(({ name }) => name)
const asked = { rotate: chosen.slice(0, 5), replace: chosen.slice(5, 7), delete: chosen.slice(7) }
const calendar = drawCalendar(chance, asked)
const overlaps = overlapping(calendar.faults)

describe(`a quarter of ${KEYS} keys in two Regions, seed ${chance.seed}`, function () {
  this.timeout(1_200_000)
  const wrong: string[] = []
  let site: Site
  let hosts: Hosts
  let witness: Witness
  let operator: Operator
  let troubles: Troubles

  before(async () => {
    site = await openSite()
    hosts = { first: { name: "first", state: join(site.folder, "state"), aheadDays: 0 }, second: undefined }
    witness = witnessOf(site, LIFE_DAYS * DAY_S * 1000)
    troubles = troublesOf(site, calendar, { hosts, chance })
    operator = operatorOf(site, calendar, { witness, command: troubles.command })
    site.configure(enrolled)
    const { ended, rows } = await site.run(hosts.first, ["apply"])
    expect(ended.status, ended.stderr).to.equal(0)
    expect(rows.map(({ outcome }) => outcome)).to.deep.equal(rows.map(() => "done"))
    while (site.day() < calendar.days) await liveADay()
  })
  after(() => site[Symbol.asyncDispose]())

  async function liveADay(): Promise<void> {
    await site.pass(DAY_S)
    const runsBefore = site.runs.length
    troubles.morning()
    if (site.day() === calendar.enrolDay) site.configure(keys)
    const { first, second } = hosts
    await operator.work(second !== undefined && chance.oneIn(2) ? second : first)
    if (troubles.isToday("proxy")) await anHourOfPages(first)
    await Promise.all([first, ...(second === undefined ? [] : [second])].map(runSchedule))
    // runs that were killed early have seen little of the day
    if (troubles.endsUnmet(site.runs.slice(runsBefore))) {
      await operator.follow(first, await site.run(first, ["rewrap", "--due"]))
    }
    await troubles.evening(site.runs.slice(runsBefore))
    wrong.push(...(await witness.look()))
  }

  /** Twice a week everything that the configuration file asks for, else what is due; what is killed may be run again. */
  async function runSchedule(host: Host): Promise<void> {
    const args = site.day() % 3 === 0 ? ["apply"] : ["rewrap", "--due"]
    let run = await troubles.command(host, args)
    if (run.killed && chance.oneIn(2)) run = await troubles.command(host, args)
    await operator.follow(host, run)
  }

  async function anHourOfPages(host: Host): Promise<void> {
    const forAll = pagesForAll(site.proxy, chance)
    await site.run(host, ["rewrap", "--due"])
    troubles.sawPages(forAll())
    site.proxy.unspoil()
    const forChanges = pagesForChanges(site.proxy, chance)
    // a key whose material was deleted on purpose stays blocked by its name too
    const named = enrolled.map(({ name }) => name).filter((name) => !asked.delete.includes(name))
    await site.run(host, ["rewrap", ...chance.sample(named, 5)])
    await site.run(host, ["apply"])
    await site.pass(HOUR_S)
    troubles.sawPages(forChanges())
    site.proxy.unspoil()
  }

  const journal = (): string => `\n${site.journal.join("\n")}`
  const said = ({ ended }: Run): string => ended.stdout + ended.stderr

  it(`meets ${calendar.faults.length} faults, ${KILLS} kills among them; ${overlaps} of them at a time with another`, () => {
    expect(overlaps * 5).to.be.at.least(calendar.faults.length)
    expect(troubles.missed(), journal()).to.deep.equal([])
    process.stdout.write(`      ${site.runs.length} runs, ${site.runs.filter(({ killed }) => killed).length} killed\n`)
  })

  it("does all that people asked for", () => {
    expect(operator.left(), journal()).to.deep.equal([])
  })

  it("lets no key expire that could be saved, and none come back that was deleted on purpose", async () => {
    expect(wrong, journal()).to.deep.equal([])
    expect(await witness.decryptAll(), journal()).to.deep.equal([])
  })

  it("makes no key, generation or rotation twice", async () => {
    const seen = await witness.keys()
    const counted: Record<string, number[]> = {}
    for (const key of seen) (counted[`${key.name} ${key.target}`] ??= []).push((await witness.materials(key)).length)
    const expected = Object.fromEntries(
      keys.flatMap(({ name, targets, rotateEvery }) =>
        targets.map((target) => {
          if (asked.replace.includes(name)) return [`${name} ${target}`, [1, 1]]
          const rotations = rotateEvery === undefined ? (asked.rotate.includes(name) ? 1 : 0) : 2
          return [`${name} ${target}`, [1 + rotations]]
        }),
      ),
    )
    expect(counted, journal()).to.deep.equal(expected)
  })

  it("knows in the end every key, and of nothing that is left to do", async () => {
    const { rows, ended } = await site.run(hosts.first, ["status"])
    const { operations } = ended.json() as { readonly operations: readonly unknown[] }
    expect(operations).to.deep.equal([])
    const words = rows.map(({ name, target, outcome }) => `${name} ${target ?? ""} ${outcome}`)
    const expected = keys.flatMap(({ name, targets }) =>
      targets.flatMap((target) => {
        const outcome = asked.delete.includes(name) ? "blocked" : "nothing"
        const word = `${name} ${target} ${outcome}`
        return asked.replace.includes(name) ? [word, word] : [word]
      }),
    )
    expect(words.sort(), journal()).to.deep.equal(expected.sort())
  })

  it("ends no run with a bug, and keeps an unbroken custody log", () => {
    const bugs = site.runs.filter((run) => run.ended.status === 70 || /^\s+at \S.*[:(]\d+/m.test(said(run)))
    expect(bugs.map((run) => [run.args, run.ended.stderr])).to.deep.equal([])
    const log = readFileSync(join(hosts.first.state, "custody.log.jsonl"), "utf8").trim().split("\n")
    expect(verifyChain(log)).to.have.property("end")
  })
})
