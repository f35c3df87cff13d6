import { appendFileSync } from "node:fs"
import { setTimeout as sleep } from "node:timers/promises"
import { expect } from "chai"
import { verifyChain } from "#src/core/records/custody-chain.js"
import { seeded } from "../support/seeded.js"
import type { Line, RunningAgent } from "../support/running-agent.js"
import { DAY_S, openSite, type Site, TARGETS } from "./fleet/site.js"
import { Troubles } from "./fleet/troubles.js"

const setting = (name: string, otherwise: number): number =>
  Number(process.env[`KEYFERRY_TEST_FLEET_${name}`] ?? otherwise)
const KEYS = setting("KEYS", 0)
const DAYS = setting("DAYS", 90)
const KILLS = setting("KILLS", 8)
/** Of 30 s each. */
const STOPS = setting("STOPS", 2)
const CUTS = setting("CUTS", 1)
/** How often PostgreSQL is restarted, and how often it is killed. */
const RESTARTS = setting("RESTARTS", 1)
/** Material lives 30 days and is due for 10: less than that. */
const STRIDE_DAYS = setting("STRIDE_DAYS", 9)
/** In the last part of the time nothing befalls it, so that what is begun comes to its end. */
const QUIET_DAYS = 18

const chance = seeded()

// hours of two cores, and not yet seen to its end: by its variables alone
const isAskedFor = KEYS > 0
;(isAskedFor ? describe : () => undefined)(
  `a fleet of ${KEYS} keys on three hosts over ${DAYS} days, seed ${chance.seed}`,
  function () {
    this.timeout(8 * 3_600_000)
    const journal: string[] = []
    const dead: string[] = []
    const troubles = new Troubles(chance)
    const agents: RunningAgent[] = []
    const strides = Math.ceil(DAYS / STRIDE_DAYS)
    const busy = Math.max(2, strides - Math.ceil(QUIET_DAYS / STRIDE_DAYS))
    const drawn = (count: number): ReadonlySet<number> => new Set(chance.sample([...Array(busy).keys()], count))
    const restarts = drawn(RESTARTS)
    const crashes = drawn(RESTARTS)
    const goneStride = chance.between(1, busy - 1)
    const ended: string[] = []
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
        site.configure(shareOf(stride))
        await liveAStride(stride)
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

    /** Keys come into the configuration in the first half. */
    const shareOf = (stride: number): number => Math.min(KEYS, Math.ceil(KEYS * (0.4 + (1.2 * stride) / strides)))

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
        if (!isKilled) ended.push(`host-${host + 1}: ${status} ${JSON.stringify(agent.lines.slice(-3))}`)
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
      troubles.allow(stride < busy ? Math.ceil(troubles.left().length / Math.max(1, busy - stride - 2)) : 0)
      if (stride === goneStride) {
        site.thirdToken(false)
        await plan()
        await site.pass(DAY_S)
        site.thirdToken(true)
        note("  the third token was gone for a day")
      }
      const database = befallDatabase(stride)
      while ((await workOff()) > 0 && stride >= busy) note("  there was work left")
      await database
      await troubles.ended()
      await lookAtKeys()
      note(`  ${((performance.now() - begun) / 1000).toFixed(1)} s`)
      await site.pass((stride === goneStride ? STRIDE_DAYS - 1 : STRIDE_DAYS) * DAY_S)
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
          const news = planLines().find((line) => !seen.has(line))
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
      for (const mode of ["fast", "immediate"] as const) {
        if (!(mode === "fast" ? restarts : crashes).has(stride)) continue
        await sleep(chance.between(500, 2500))
        await postgres.stop(mode)
        await sleep(chance.between(0, 1000))
        await postgres.start()
        note(`  PostgreSQL ${mode === "fast" ? "restarted" : "killed"}`)
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

    function report(seconds: number): string {
      const counted = Object.entries(Object.groupBy(troubles.hits, ({ kind, place }) => `${kind} in ${place}`))
      const takenOver = troubles.hits.flatMap(({ takenOverMs }) => (takenOverMs === null ? [] : [takenOverMs / 1000]))
      return [
        `seed ${chance.seed}: ${plans} plans in ${seconds.toFixed(0)} s, ${lines().length} lines of the custody log`,
        ...counted.map(([words, hits = []]) => `${words}: ${hits.length}`),
        `PostgreSQL restarted ${restarts.size} times, killed ${crashes.size} times; a token gone for a day`,
        `${takenOver.length} keys gone on with by another process, at the latest after ${Math.max(0, ...takenOver).toFixed(1)} s`,
      ]
        .map((line) => `      ${line}`)
        .join("\n")
    }

    it("meets every fault that was drawn", () => {
      expect(troubles.left(), told()).to.deep.equal([])
      expect(ended, told()).to.deep.equal([])
    })

    it("lets no key expire that could be saved", () => {
      expect(dead, told()).to.deep.equal([])
    })

    it("makes each key, and each generation of it, once", async () => {
      const counted: Record<string, number> = {}
      const expected: Record<string, number> = {}
      const names: string[] = []
      const imported = new Map<string, number>()
      for (const line of lines()) {
        const { event, name = "" } = JSON.parse(line) as { readonly event: string; readonly name?: string }
        if (event === "source.generated") imported.set(name, (imported.get(name) ?? 0) + 1)
      }
      for (const target of TARGETS) {
        const { Keys = [] } = await site.sdk[target].listKeys({ Limit: 1000 })
        for (const { KeyId } of Keys) {
          const { Tags = [] } = await site.sdk[target].listResourceTags({ KeyId })
          const name = Tags.find(({ TagKey }) => TagKey === "keyferry:name")?.TagValue ?? ""
          names.push(name)
          const key = site.keys().find((other) => other.name === name)
          if (key?.keySpec !== "SYMMETRIC_DEFAULT") continue
          const { Rotations = [] } = await site.sdk[target].listKeyRotations({
            KeyId,
            IncludeKeyMaterial: "ALL_KEY_MATERIAL",
          })
          counted[name] = Rotations.length
          expected[name] = imported.get(name) ?? 0
        }
      }
      expect(names.sort(), told()).to.deep.equal(site.keys().map(({ name }) => name))
      expect(counted, told()).to.deep.equal(expected)
    })

    it("has whoever is woken write nothing of what it was about", () => {
      for (const { agent, lines: before, keyName, kind, place } of troubles.hits.filter((hit) => hit.kind !== "kill")) {
        const row = agent.lines.slice(before).find(({ event, name }) => event === "round.row" && name === keyName)
        expect(row?.["outcome"], `${kind} in ${place} of ${keyName}: ${JSON.stringify(row)}${told()}`).to.not.equal(
          "done",
        )
      }
    })

    it("goes on within a minute with what a dead worker had begun", () => {
      const late = troubles.hits.filter(({ takenOverMs }) => (takenOverMs ?? 0) > 60_000)
      expect(late, told()).to.deep.equal([])
    })

    it("keeps an unbroken custody log, loses no job, and leaves no lock", () => {
      expect(verifyChain(lines())).to.have.property("end")
      expect(jobs("state < 'completed'"), jobLines()).to.equal(0)
      expect(site.sql("SELECT count(*) FROM keyferry_jobs.job WHERE name = 'dead'").trim(), jobLines()).to.equal("0")
      expect(site.sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").trim()).to.equal("0")
    })
  },
)
