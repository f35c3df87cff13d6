import { readFileSync } from "node:fs"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { expect } from "chai"
import type { KeyList } from "#src/app/source-key/list.js"
import { verifyChain } from "#src/core/records/custody-chain.js"
import type { StateLock } from "#src/store/files/lock.js"
import type { RunningAgent } from "../support/running-agent.js"
import { seeded } from "../support/seeded.js"
import { disagreements } from "./agent/agreement.js"
import { drawCalendar, type Fault, FAULTS, overlaps } from "./agent/calendar.js"
import { ExpectedNews } from "./agent/expected-news.js"
import { KmsFaults } from "./agent/kms-faults.js"
import { BEHIND_PROXY, DAY_S, openSite, type Site, TARGETS } from "./agent/site.js"

const KEYS = Number(process.env["KEYFERRY_TEST_AGENT_KEYS"] ?? 9)
const DAYS = Number(process.env["KEYFERRY_TEST_AGENT_DAYS"] ?? 40)
/** Nothing befalls it in the last days, so that what can be saved is. */
const QUIET_DAYS = 8
/** What is gone comes back after so long. */
const HOURS_S = 6 * 3600
/** `check`, metrics and alerts are held against each other where something lasts, and on each so-manieth day. */
const LOOK_EVERY = 30
/** Days after which every key has come due once. */
const LONGEST_UNTIL_DUE = 62
/** Keys come into the manifest in so many goes. */
const GOES = 4

const chance = seeded()

interface Deletion {
  readonly name: string
  readonly target: string
  readonly day: number
  /** When a person brings it back, on the first day on which KMS lets them. */
  until: number
}

describe(`the agent over ${DAYS} days with ${KEYS} keys, seed ${chance.seed}`, function () {
  this.timeout(4 * 3_600_000)
  const calendar = drawCalendar(chance, DAYS, QUIET_DAYS)
  const met = Object.fromEntries(FAULTS.map((kind) => [kind, 0])) as Record<Fault, number>
  const drawn = Object.fromEntries(
    FAULTS.map((kind) => [kind, [...calendar.values()].filter((kinds) => kinds.has(kind)).length]),
  ) as Record<Fault, number>
  const journal: string[] = []
  const dead: string[] = []
  const disagreed: string[] = []
  const deletions: Deletion[] = []
  /** Keys that a person had imported, each so often. */
  const byPersons: string[] = []
  const killedIn = { round: 0, telling: 0, waiting: 0 }
  let [looks, rounds, leastLeftS, mostMb] = [0, 0, Infinity, 0]
  let site: Site
  let faults: KmsFaults
  let news: ExpectedNews
  let agent: RunningAgent
  let readLines = 0
  /** KMS' time of the last round of this agent that did all of its work. */
  let doneAt: Date | null = null
  let longestMs = 300

  before(async () => {
    const first = Math.ceil((KEYS * 2) / 3)
    site = await openSite(KEYS, first)
    faults = new KmsFaults(site, chance)
    news = new ExpectedNews(await site.kms.clock.now())
    startAgent()
    await firstRoundEnds()
    for (let day = 1; day <= DAYS; day += 1) {
      // in the first half the manifest grows
      const go = Math.floor((day * GOES * 2) / DAYS)
      site.growTo(Math.min(first + Math.ceil(((KEYS - first) * go) / GOES), KEYS))
      await liveADay(day)
    }
    agent.signal("SIGTERM")
    await agent.ended
  })
  after(() => site[Symbol.asyncDispose]())

  const has = (day: number, kind: Fault): boolean => calendar.get(day)?.has(kind) === true
  /** Whether hours later something comes back, or is made up for. */
  const isRelieved = (day: number): boolean => FAULTS.some((kind) => kind !== "kill" && has(day, kind))
  const hit = (kind: Fault, isHit: boolean): void => void (met[kind] += isHit ? 1 : 0)

  async function liveADay(day: number): Promise<void> {
    journal.push(`day ${day}: ${[...(calendar.get(day) ?? [])].join(", ")}`)
    const start = performance.now()
    const refused = site.receiver.refused()
    await site.pass(isRelieved(day - 1) ? DAY_S - HOURS_S : DAY_S)
    await befall(day)
    const lock = has(day, "person") && chance.oneIn(2) ? await site.lock() : undefined
    const before = reloads()
    agent.signal("SIGHUP")
    const beside = has(day, "person") && lock === undefined ? personRewraps() : undefined
    if (lock !== undefined) {
      hit("person", await isAwaited(lock))
      await lock[Symbol.asyncDispose]()
    }
    if (has(day, "kill")) await killInTheMiddle()
    else await roundEnds(before + 1)
    await beside
    // what spoils single answers has done so before what lasts is looked at
    for (let times = 0; (await faults.settle()) && times < 5; times += 1) await oneMoreRound()
    hit("kms", has(day, "kms"))
    const lasts = has(day, "token") || has(day, "clock") || has(day, "deletion")
    if ((lasts && chance.oneIn(2)) || day % LOOK_EVERY === 0) await lookAtAll(day)
    if (isRelieved(day)) await relieve(day, refused)
    takeLines(day)
    if (day % 10 === 0 || day === DAYS) await lookAtKeys(day)
    if (day % LOOK_EVERY === 0 && DAYS > 100) process.stdout.write(`day ${day}\n${report()}\n`)
    journal.push(`  ${((performance.now() - start) / 1000).toFixed(1)} s`)
  }

  async function befall(day: number): Promise<void> {
    if (has(day, "token")) site.secondToken(false)
    if (has(day, "receiver")) site.receiver.answer(503)
    if (has(day, "clock")) {
      site.hostAhead(chance.between(1, 20) * DAY_S * (chance.oneIn(2) ? 1 : -1))
    } else {
      // no clock is quite right
      site.hostAhead(chance.between(-20, 20))
    }
    if (has(day, "deletion")) await deleteMaterial(day)
    if (has(day, "kms")) await faults.draw({ isWorkAhead: site.keys().length < KEYS || day + LONGEST_UNTIL_DUE < DAYS })
    if (has(day, "html")) faults.html()
    for (const deletion of deletions) {
      if (deletion.until === day && !(await isRecovered(deletion.name))) deletion.until += 1
    }
    for (const { name, target, until } of deletions) {
      if (day < until) news.add({ day, reason: "MATERIAL_DELETED", name, target, isSure: true })
    }
  }

  /** Hours later: what was gone is back, and whoever was kept from their work does it. */
  async function relieve(day: number, refused: number): Promise<void> {
    const lines = agent.lines.slice(readLines)
    hit(
      "token",
      has(day, "token") && lines.some(({ event, outcome }) => event === "round.ended" && outcome === "degraded"),
    )
    hit("html", has(day, "html"))
    faults.relieve()
    hit("receiver", has(day, "receiver") && site.receiver.refused() > refused)
    site.receiver.answer(204)
    if (has(day, "token")) site.secondToken(true)
    if (has(day, "clock")) {
      for (const target of TARGETS) {
        const isSure = target !== BEHIND_PROXY || !has(day, "html")
        news.add({ day, reason: "CLOCK_SKEW", name: null, target, isSure })
      }
      hit("clock", true)
    }
    await site.pass(HOURS_S)
    site.hostAhead(0)
    await oneMoreRound()
  }

  function startAgent(): void {
    agent = site.startAgent()
    readLines = 0
    doneAt = null
  }

  function takeLines(day: number): void {
    const lines = agent.lines.slice(readLines)
    readLines = agent.lines.length
    news.read(lines, day)
    const ended = lines.filter(({ event }) => event === "round.ended" || event === "round.failed")
    rounds += ended.length
    for (const { durationMs } of ended) longestMs = Math.max(longestMs * 0.9, Number(durationMs))
    mostMb = Math.max(mostMb, agent.memoryMb())
  }

  const reloads = (): number => agent.roundsOf("reload")

  const firstRoundEnds = (): Promise<void> => roundEnds(1, "start")

  /** The n-th round of this agent that SIGHUP began, and everybody told of it. */
  async function roundEnds(count: number, trigger = "reload"): Promise<void> {
    await agent.waitsAfter(count, trigger)
    if (agent.lines.findLast(({ event }) => event === "round.ended")?.["outcome"] === "done") {
      doneAt = await site.kms.clock.now()
    }
  }

  async function oneMoreRound(): Promise<void> {
    const before = reloads()
    agent.signal("SIGHUP")
    await roundEnds(before + 1)
  }

  async function killInTheMiddle(): Promise<void> {
    for (let times = 0; times < 5; times += 1) {
      const before = began()
      if (times > 0) agent.signal("SIGHUP")
      for (let looks = 0; began() === before && times > 0 && looks < 200; looks += 1) await sleep(5)
      await sleep(chance.below(Math.round(longestMs * 1.1)))
      if (!agent.isWaiting()) break
    }
    agent.signal("SIGKILL")
    await agent.ended
    const last = agent.lines.findLast(({ event }) => /^(agent\.waits|round\.(began|ended|failed))$/.test(event))?.event
    killedIn[last === "agent.waits" ? "waiting" : last === "round.began" ? "round" : "telling"] += 1
    met.kill += 1
    journal.push(`  killed after ${last}`)
    news.read(agent.lines.slice(readLines), dayNow())
    startAgent()
    await firstRoundEnds()
  }

  const began = (): number => agent.lines.filter(({ event }) => event === "round.began").length

  const dayNow = (): number => Number(/^day (\d+)/.exec(journal.findLast((line) => line.startsWith("day")) ?? "")?.[1])

  async function deleteMaterial(day: number): Promise<void> {
    const known = arnsByName()
    const { name, target } = chance.pick(
      site.keys().filter((key) => known.has(key.name) && !deletions.some((other) => other.name === key.name)),
    )
    await site.sdk[target].deleteImportedKeyMaterial({ KeyId: known.get(name) })
    deletions.push({ name, target, day, until: day + chance.between(1, 3) })
    met.deletion += 1
  }

  function arnsByName(): ReadonlyMap<string, string> {
    // one that is being made has had no material yet
    const done = custodyLines().filter(({ event }) => event === "import.done")
    return new Map(done.map(({ name = "", keyArn = "" }) => [name, keyArn]))
  }

  /** Somebody who works beside the agent, and waits seconds for it. */
  async function personRewraps(): Promise<void> {
    const { name } = chance.pick(site.keys().filter((key) => !deletions.some((other) => other.name === key.name)))
    const { status, stderr } = await site.run("rewrap", name, "--lock-timeout", "2m")
    journal.push(`  rewrap ${name}: ${status} ${stderr.trimEnd().split("\n").at(-1)}`)
    byPersons.push(name)
    hit("person", true)
  }

  async function isRecovered(name: string): Promise<boolean> {
    const { status, stderr } = await site.run("recover", name, "--yes", "--lock-timeout", "2m")
    journal.push(`  recover ${name}: ${status} ${stderr.trimEnd().split("\n").at(-1)}`)
    byPersons.push(name)
    return status === 0
  }

  /** No key is dead but those that somebody deleted. */
  async function lookAtKeys(day: number): Promise<void> {
    const arns = arnsByName()
    const now = (await site.kms.clock.now()).getTime()
    const isDeleted = (name: string): boolean => deletions.some((other) => other.name === name && day < other.until)
    await Promise.all(
      TARGETS.map(async (target) => {
        for (const { name } of site.keys().filter((key) => key.target === target && arns.has(key.name))) {
          const { KeyMetadata } = await site.sdk[target].describeKey({ KeyId: arns.get(name) })
          const { KeyState = "", ValidTo } = KeyMetadata ?? {}
          if (KeyState !== "Enabled" && !isDeleted(name)) dead.push(`day ${day}: ${name} ${KeyState}`)
          if (ValidTo !== undefined) leastLeftS = Math.min(leastLeftS, (ValidTo.getTime() - now) / 1000)
        }
      }),
    )
  }

  /** What `check` says is what the metrics say, and what Prometheus makes of them. */
  async function lookAtAll(day: number): Promise<void> {
    await oneMoreRound()
    const { checks } = (await site.run("check", "--json")).json() as { checks: { id: string; status: string }[] }
    const { url } = (await agent.line("agent.listens")) as unknown as { url: string }
    const metrics = await (await fetch(`${url}/metrics`)).text()
    const now = await site.kms.clock.now()
    const hoursSinceDone = doneAt === null ? null : (now.getTime() - doneAt.getTime()) / 3_600_000
    looks += 1
    disagreed.push(...disagreements({ checks, metrics, now, hoursSinceDone }).map((text) => `day ${day}: ${text}`))
  }

  /** Whether the agent came to wait for it. */
  async function isAwaited(lock: Pick<StateLock, "isAwaited">): Promise<boolean> {
    for (let times = 0; times < 300; times += 1) {
      if (await lock.isAwaited()) return true
      await sleep(20)
    }
    return false
  }

  const custodyText = (): string[] => readFileSync(join(site.state, "custody.log.jsonl"), "utf8").trimEnd().split("\n")
  const custodyLines = (): { event: string; name?: string; keyArn?: string; facts?: { validTo?: string } }[] =>
    custodyText().map((text) => JSON.parse(text) as { event: string })

  const told = (): string => `\n${journal.join("\n")}`
  const messages = () => [...site.receiver.told.values()]
  const uncounted = (): number => messages().reduce((sum, { more }) => sum + more, 0)

  function report(): string {
    const { drawn: all, overlapping } = overlaps(calendar)
    const ended = messages().filter(({ kind }) => kind === "recovered").length
    const lines = [
      `seed ${chance.seed}, ${KEYS} keys, ${DAYS} days, ${rounds} rounds; ${all} faults, ${overlapping} of them beside another`,
      ...FAULTS.map((kind) => `${kind}: ${drawn[kind]} drawn, ${met[kind]} met`),
      ...Object.entries(faults.summary()).map(
        ([kind, counts]) => `${kind}: ${counts.drawn} drawn, ${counts.hit} hit ${counts.requests} requests`,
      ),
      `killed ${JSON.stringify(killedIn)}; the receiver refused ${site.receiver.refused()} times`,
      `${news.count} troubles by days expected to be told; ${messages().length} told (${ended} of an end), ${site.receiver.twice()} twice, ${uncounted()} more counted`,
      `${importsDone().length} imports, the nearest that a key came to its end: ${Math.min(leastLeftS / DAY_S, ...daysLeft()).toFixed(1)} days`,
      `check, metrics and alert rules held against each other ${looks} times; at most ${mostMb.toFixed(0)} MB`,
      `${site.tokenObjects() - KEYS} objects that the token was killed in making`,
    ]
    return lines.map((line) => `      ${line}`).join("\n")
  }

  it("meets every fault that was drawn, one in five beside another", async () => {
    await faults.settle()
    process.stdout.write(`${report()}\n`)
    expect(met, told()).to.deep.equal(drawn)
    expect(faults.unmet(), told()).to.deep.equal([])
    const { drawn: all, overlapping } = overlaps(calendar)
    expect(overlapping * 5).to.be.at.least(all)
  })

  it("lets no key expire that could be saved", () => {
    expect(dead, told()).to.deep.equal([])
    expect(daysLeft().filter((days) => days <= 0)).to.deep.equal([])
  })

  it("makes no KMS key and no source key twice, and no orphan", async () => {
    const counts = await Promise.all(
      TARGETS.map(async (target) => (await site.sdk[target].listKeys({ Limit: 1000 })).Keys?.length ?? 0),
    )
    expect(counts.reduce((sum, count) => sum + count, 0)).to.equal(KEYS)
    const lists = await Promise.all(
      site.tokenUris.map(async (uri) => (await site.run("key", "list", "--json", "--token", uri)).json() as KeyList),
    )
    const keys = lists.flatMap((list) => list.keys)
    expect(keys).to.have.lengthOf(KEYS)
    expect(keys.filter(({ kms }) => kms.length !== 1).map(({ name }) => name)).to.deep.equal([])
    expect(
      lists.flatMap(({ leftovers, strays, unreadable }) => [...leftovers, ...strays, ...unreadable]),
    ).to.deep.equal([])
    // a token that is killed in the making of an object leaves its file
    expect(site.tokenObjects() - KEYS).to.be.within(0, met.kill)
  })

  /** How many days each key had left whenever it was imported again. */
  function daysLeft(): readonly number[] {
    const lives = new Map(site.keys().map(({ name, expiresIn }) => [name, expiresIn]))
    return Object.entries(Object.groupBy(importsDone(), ({ name = "" }) => name)).flatMap(([name, imports = []]) => {
      const ends = imports.map(({ facts }) => Date.parse(facts?.validTo ?? "") / (DAY_S * 1000))
      return ends.slice(1).map((end, index) => (lives.get(name) ?? 0) - (end - (ends[index] ?? 0)))
    })
  }

  const importsDone = () => custodyLines().filter(({ event }) => event === "import.done")

  it("imports no key before it is due, nor twice for one answer", async () => {
    const lives = new Map(site.keys().map(({ name, expiresIn }) => [name, expiresIn]))
    const early: string[] = []
    const takenUp = custodyLines().flatMap(({ event, name = "" }) => (event === "recovered" ? [name] : []))
    for (const [name, imports = []] of Object.entries(Object.groupBy(importsDone(), ({ name: of = "" }) => of))) {
      const ends = imports.map(({ facts }) => Date.parse(facts?.validTo ?? ""))
      const soon = ends
        .slice(1)
        .filter((end, index) => end - (ends[index] ?? 0) < (lives.get(name) ?? 0) * 0.6 * DAY_S * 1000)
      // what a person had imported, or a killed run, is not due by itself
      const reasons = byPersons.concat(takenUp).filter((other) => other === name).length
      if (soon.length > reasons * 2) early.push(`${name}: ${soon.length}, ${reasons} of them for other reasons`)
    }
    expect(early, told()).to.deep.equal([])
    const { succeeded } = await site.kms.counts()
    const unlogged = (succeeded["ImportKeyMaterial"] ?? 0) - importsDone().length
    expect(unlogged, told()).to.be.at.most(faults.lostImports() + met.kill)
  })

  it("tells of every trouble, of its end, of each once, and of nothing else", () => {
    const { missing, untrue, unended, repeated } = news.compare(messages())
    expect([untrue, repeated], told()).to.deep.equal([[], []])
    // those that were more than so many an hour are counted in one
    expect(missing.length <= uncounted() ? [] : missing, told()).to.deep.equal([])
    expect(unended.length <= uncounted() ? [] : unended, told()).to.deep.equal([])
  })

  it("says by its metrics and their alerts what check says", () => {
    expect(disagreed, told()).to.deep.equal([])
  })

  it("leaves a custody log whose chain holds", () => {
    expect(verifyChain(custodyText())).to.have.property("end")
  })
})
