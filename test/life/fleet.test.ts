import { appendFileSync } from "node:fs"
import { setTimeout as sleep } from "node:timers/promises"
import { expect } from "chai"
import { verifyChain } from "#src/core/records/custody-chain.js"
import { seeded } from "../support/seeded.js"
import type { Line, RunningAgent } from "../support/running-agent.js"
import { DAY_S, openSite, ROTATE_DAYS, type Site, TARGETS } from "./fleet/site.js"
import { type Hit, rowAfter, Troubles } from "./fleet/troubles.js"

const setting = (name: string, otherwise: number): number =>
  Number(process.env[`KEYFERRY_TEST_FLEET_${name}`] ?? otherwise)
const KEYS = setting("KEYS", 18)
const DAYS = setting("DAYS", 36)
const KILLS = setting("KILLS", 6)
/** Of 30 s each. */
const STOPS = setting("STOPS", 3)
const CUTS = setting("CUTS", 1)
/** How often PostgreSQL is restarted, and how often it is killed. */
const RESTARTS = setting("RESTARTS", 1)
/** Material lives 30 days and is due for 10: less than that. */
const STRIDE_DAYS = setting("STRIDE_DAYS", 9)
/** In the last part of the time nothing befalls it, so that what is begun comes to its end. */
const QUIET_STRIDES = 1

const chance = seeded()

describe(`a fleet of ${KEYS} keys on three hosts over ${DAYS} days, seed ${chance.seed}`, function () {
  this.timeout(8 * 3_600_000)
  const journal: string[] = []
  const dead: string[] = []
  const troubles = new Troubles(chance)
  const agents: RunningAgent[] = []
  const strides = Math.ceil(DAYS / STRIDE_DAYS)
  const busy = strides - QUIET_STRIDES
  /** In which stride each of them is. */
  const drawn = (count: number): readonly number[] => Array.from({ length: count }, () => chance.below(busy))
  const restarts = drawn(RESTARTS)
  const crashes = drawn(RESTARTS)
  const goneStride = chance.between(1, busy - 1)
  const ended: string[] = []
  const databaseBack: number[] = []
  let plans = 0
  /** The host whose agent is left dead for a while. */
  const run = { isOver: false, spared: -1 }
  let site: Site

  before(async () => {
    const start = performance.now()
    site = await openSite(KEYS, (host, passing) => troubles.onPassing(host, passing))
    troubles.of(site)
    troubles.draw("kill", KILLS)
    troubles.draw("stop", STOPS)
    troubles.draw("cut", CUTS)
    site.configure(shareOf(0))
    for (const host of site.hosts.keys()) startAgent(host)
    for (let stride = 0; stride < strides; stride += 1) {
      await liveAStride(stride)
      // agents that were asked as well may plan yet
      if (stride < strides - 1) await site.pass((stride === goneStride ? STRIDE_DAYS - 1 : STRIDE_DAYS) * DAY_S)
    }
    run.isOver = true
    for (const agent of agents) {
      agent.signal("SIGTERM")
      await agent.ended
    }
    process.stdout.write(`${report((performance.now() - start) / 1000)}\n`)
  })
  after(async () => {
    run.isOver = true
    for (const agent of agents) {
      agent.signal("SIGKILL")
      await agent.ended
    }
    await site[Symbol.asyncDispose]()
  })

  /** Keys come into the configuration as long as it is not quiet. */
  const shareOf = (stride: number): number => Math.min(KEYS, Math.ceil(KEYS * (0.4 + (0.6 * stride) / (busy - 1))))

  /** As a service manager does: one that has ended is started again, soon or, where another is to go on, later. */
  function startAgent(host: number): void {
    if (run.isOver) return
    const agent = site.hosts[host]!.start()
    agents[host] = agent
    troubles.works(host, agent)
    void agent.ended.then(async (status) => {
      if (run.isOver) return
      const isKilled = troubles.hits.some((hit) => hit.agent === agent && hit.kind === "kill")
      note(`  host-${host + 1} ${agent.pid}: ${isKilled ? "killed" : `ended with ${status}`}`)
      // where the database is away as it begins, it ends with 75, and is started again as after any failure
      const hasBegun = status !== 75 || agent.lines.some(({ event }) => event === "agent.waits")
      if (!isKilled && hasBegun) ended.push(`host-${host + 1}: ${status} ${JSON.stringify(agent.lines.slice(-3))}`)
      // one at a time of the two that share a token: the other goes on
      const isSpared = isKilled && host < 2 && run.spared === -1 && !troubles.isPaused(1 - host) && chance.oneIn(2)
      if (isSpared) run.spared = host
      await sleep(isSpared ? 45_000 : 1000)
      if (isSpared) run.spared = -1
      startAgent(host)
    })
  }

  const note = (text: string): void => {
    journal.push(text)
    const file = process.env["KEYFERRY_TEST_JOURNAL"]
    if (file !== undefined) appendFileSync(file, `${text}\n`)
  }

  async function liveAStride(stride: number): Promise<void> {
    note(`day ${stride * STRIDE_DAYS}`)
    const begun = performance.now()
    await lookAtKeys()
    site.configure(shareOf(stride))
    troubles.allow(stride < busy ? Math.ceil(troubles.left().length / Math.max(1, busy - stride - 2)) : 0)
    if (stride === goneStride) {
      site.thirdToken(false)
      await plan()
      await site.pass(DAY_S)
      site.thirdToken(true)
      note("  the third token was gone for a day")
    }
    const database = befallDatabase(stride)
    while ((await workOff()) > 0) note("  once more, since there was work")
    await database
    await troubles.ended()
    await lookAtKeys()
    note(`  ${((performance.now() - begun) / 1000).toFixed(1)} s`)
  }

  /** Plans, and waits until every job is done. @returns how many jobs that plan made */
  async function workOff(): Promise<number> {
    const queued = await plan()
    for (let times = 0; jobs("state < 'completed'") > 0; times += 1) {
      if (times > 1200) throw new Error(`jobs are not done: ${jobLines()}${told()}`)
      await sleep(500)
    }
    return queued
  }

  /** A plan by one of the agents, whichever it is, that read the configuration of now. @returns the jobs that it made */
  async function plan(): Promise<number> {
    for (let times = 0; times < 60; times += 1) {
      for (const line of planLines()) seen.add(line)
      for (const [host, agent] of agents.entries()) {
        // one that has only just begun plans by itself, and SIGHUP would end it
        const listens = agent.lines.some(({ event }) => event === "agent.waits")
        if (listens && !troubles.isPaused(host)) agent.signal("SIGHUP")
      }
      for (let waits = 0; waits < 60; waits += 1) {
        await sleep(500)
        // one that was under way by the configuration of before is not what was asked for
        const news = planLines().find((line) => !seen.has(line) && line["keys"] === site.keys().length)
        if (news === undefined) continue
        plans += 1
        return Number(news["queued"])
      }
    }
    throw new Error(`nobody plans${told()}`)
  }

  const seen = new Set<Line>()
  const planLines = (): readonly Line[] =>
    agents.flatMap(({ lines }) => lines.filter(({ event }) => event === "plan.ended"))

  const jobs = (where: string): number => {
    try {
      return Number(site.sql(`SELECT count(*) FROM keyferry_jobs.job WHERE name LIKE 'rows%' AND ${where}`).trim())
    } catch {
      // the database is down at this moment
      return 1
    }
  }
  const jobLines = (): string =>
    site.sql("SELECT name, state, singleton_key, output FROM keyferry_jobs.job WHERE state <> 'completed'")

  async function befallDatabase(stride: number): Promise<void> {
    const { postgres } = site.database
    for (const [mode, drawnStrides] of [
      ["fast", restarts],
      ["immediate", crashes],
    ] as const) {
      for (const drawnStride of drawnStrides) {
        if (drawnStride !== stride) continue
        await sleep(chance.between(500, 2500))
        await postgres.stop(mode)
        await sleep(chance.between(0, 1000))
        await postgres.start()
        databaseBack.push(Date.now())
        note(`  PostgreSQL ${mode === "fast" ? "restarted" : "killed"}`)
      }
    }
  }

  /** Every key of KMS that has had material has it. */
  async function lookAtKeys(): Promise<void> {
    const now = await site.kms.clock.now()
    for (const target of TARGETS) {
      const { Keys = [] } = await site.sdk[target].listKeys({ Limit: 1000 })
      for (const { KeyId } of Keys) {
        const { KeyMetadata } = await site.sdk[target].describeKey({ KeyId })
        const { KeyState, ValidTo } = KeyMetadata ?? {}
        if (KeyState !== "Enabled" || ValidTo === undefined || ValidTo <= now) {
          dead.push(
            `${journal.findLast((line) => line.startsWith("day"))}: ${KeyId} ${KeyState} ${ValidTo?.toISOString()}`,
          )
        }
      }
    }
  }

  const told = (): string => `\n${journal.join("\n")}`
  const lines = (): readonly string[] =>
    site.sql("SELECT line FROM keyferry.custody_log ORDER BY seq").trimEnd().split("\n")

  /**
   * When a key that was left in the middle of a change was taken up again and done, by PostgreSQL: in s since the death, and
   * since the last fault before that of a host that reaches its token, or of the database. Null where it never was.
   */
  function goneOn({
    keyName,
    at,
    host,
  }: Hit): Readonly<Record<"begunS" | "doneS" | "begunAfterFaultS", number>> | null {
    const since = at.toISOString()
    const job = site.sql(
      `SELECT extract(epoch FROM started_on) * 1000, extract(epoch FROM completed_on) * 1000 FROM keyferry_jobs.job
        WHERE name LIKE 'rows%' AND state = 'completed' AND data ->> 'name' = '${keyName}' AND completed_on > '${since}'
        ORDER BY completed_on LIMIT 1`,
    )
    if (job.trim() === "") return null
    const [begun = 0, done = 0] = job.trim().split("|").map(Number)
    const faults = troubles.hits.flatMap((hit) => (hit.host < 2 === host < 2 ? [hit.at.getTime()] : []))
    const last = Math.max(...[...faults, ...databaseBack].filter((time) => time < begun))
    const [begunS, doneS, begunAfterFaultS] = [begun - at.getTime(), done - at.getTime(), begun - last].map(
      (ms) => Math.round(ms / 100) / 10,
    )
    return { begunS: begunS ?? 0, doneS: doneS ?? 0, begunAfterFaultS: begunAfterFaultS ?? 0 }
  }
  const begunChanges = (): readonly Hit[] =>
    troubles.hits.filter(({ kind, isChange, keyName }) => kind === "kill" && isChange && keyName !== null)

  function report(seconds: number): string {
    const counted = Object.entries(Object.groupBy(troubles.hits, ({ kind, place }) => `${kind} in ${place}`))
    const times = begunChanges().map((hit) => goneOn(hit))
    const listed = (name: "begunS" | "doneS" | "begunAfterFaultS"): string =>
      times.map((time) => (time === null ? "never" : time[name].toFixed(0))).join(", ")
    return [
      `seed ${chance.seed}: ${plans} plans in ${seconds.toFixed(0)} s, ${lines().length} lines of the custody log`,
      `by KMS: ${[...troubles.passed].map(([place, times]) => `${place} ${times}`).join(", ")}`,
      ...counted.map(([words, hits = []]) => `${words}: ${hits.length}`),
      `not met: ${troubles.left().join(", ") || "none"}`,
      `PostgreSQL restarted ${restarts.length} times, killed ${crashes.length} times; a token gone for a day`,
      `${times.length} changes that a dead agent had begun were taken up after ${listed("begunS")} s (since the last fault ${listed("begunAfterFaultS")} s), and done after ${listed("doneS")} s`,
    ]
      .map((line) => `      ${line}`)
      .join("\n")
  }

  it("meets faults of every kind, and ends by itself in none", () => {
    const kinds = new Set(troubles.hits.map(({ kind }) => kind))
    expect([...kinds].sort(), told()).to.deep.equal(["cut", "kill", "stop"])
    // which place of them comes up in so few keys is by chance
    expect(troubles.hits.length, told()).to.be.at.least(troubles.left().length)
    expect(ended, told()).to.deep.equal([])
  })

  it("lets no key expire that could be saved", () => {
    expect(dead, told()).to.deep.equal([])
  })

  it("makes each key, and each generation of it, once", async () => {
    const names: string[] = []
    const inKms: Record<string, number> = {}
    const asNew: Record<string, number> = {}
    const due: Record<string, number> = {}
    for (const target of TARGETS) {
      const { Keys = [] } = await site.sdk[target].listKeys({ Limit: 1000 })
      for (const { KeyId } of Keys) {
        const { Tags = [] } = await site.sdk[target].listResourceTags({ KeyId })
        const name = Tags.find(({ TagKey }) => TagKey === "keyferry:name")?.TagValue ?? ""
        names.push(name)
        if (site.keys().find((key) => key.name === name)?.keySpec !== "SYMMETRIC_DEFAULT") continue
        const { Rotations = [] } = await site.sdk[target].listKeyRotations({
          KeyId,
          IncludeKeyMaterial: "ALL_KEY_MATERIAL",
        })
        inKms[name] = Rotations.length
        asNew[name] = 1 + (troubles.newMaterial.get(name)?.size ?? 0)
        due[name] = 1 + rotationsDue(name)
      }
    }
    expect(names.sort(), told()).to.deep.equal(site.keys().map(({ name }) => name))
    // one that was made twice would be one too many for the days, or would wait in KMS for a rotation that does not come
    expect(asNew, told()).to.deep.equal(due)
    expect(inKms, told()).to.deep.equal(due)
  })

  /** By the days alone: the first stride in which it is due, from that in which it was made. */
  function rotationsDue(name: string): number {
    const index = site.keys().findIndex((key) => key.name === name)
    if (site.keys()[index]?.rotateEvery === undefined) return 0
    const made = [...Array(strides).keys()].findIndex((stride) => index < shareOf(stride))
    return Math.floor((strides - 1 - made) / Math.ceil(ROTATE_DAYS / STRIDE_DAYS))
  }

  it("has whoever is woken change and write nothing of what it was about", () => {
    for (const hit of troubles.hits.filter(({ kind }) => kind !== "kill")) {
      const words = `${hit.kind} in ${hit.place} of ${hit.keyName} on host ${hit.host + 1}`
      // without a successor it takes its job up again itself
      if (!hit.hasSuccessor) {
        expect(goneOn(hit), `${words}${told()}`).to.not.equal(null)
        continue
      }
      expect(hit.changedAfter, `${words}${told()}`).to.deep.equal([])
      expect(rowAfter(hit)?.["outcome"], `${words}: ${JSON.stringify(rowAfter(hit))}${told()}`).to.not.equal("done")
    }
  })

  it("takes up what a dead agent had begun", () => {
    const lost = begunChanges().filter((hit) => goneOn(hit) === null)
    expect(
      lost.map(({ place, keyName }) => `${place} of ${keyName}`),
      told(),
    ).to.deep.equal([])
  })

  it("keeps an unbroken custody log, loses no job, and leaves no lock", () => {
    expect(verifyChain(lines())).to.have.property("end")
    expect(jobs("state < 'completed'"), jobLines()).to.equal(0)
    expect(site.sql("SELECT count(*) FROM keyferry_jobs.job WHERE name = 'dead'").trim(), jobLines()).to.equal("0")
    expect(site.sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").trim()).to.equal("0")
  })
})
