import { readFileSync } from "node:fs"
import { join } from "node:path"
import { expect } from "chai"
import { verifyChain } from "#src/core/records/custody-chain.js"
import { seeded } from "../support/seeded.js"
import type { RunningAgent } from "../support/running-agent.js"
import { DAY_S, openSite, type Site, type Target } from "./agent/site.js"

const KEYS = Number(process.env["KEYFERRY_TEST_AGENT_KEYS"] ?? 9)
const DAYS = Number(process.env["KEYFERRY_TEST_AGENT_DAYS"] ?? 45)
/** For each so many days one of a kind. */
const EVERY = { kill: 7, faults: 4, token: 25, receiver: 20, person: 12, deletion: 30, clock: 15 } as const
/** Nothing befalls it in the last days, so that what can be saved is. */
const QUIET_DAYS = 8

type Fault = keyof typeof EVERY

const chance = seeded()

/** Which day has which faults, drawn beforehand; at least one in five meets another. */
function draw(): ReadonlyMap<number, ReadonlySet<Fault>> {
  for (;;) {
    const days = new Map<number, Set<Fault>>()
    for (const kind of Object.keys(EVERY) as Fault[]) {
      for (let count = Math.max(Math.floor(DAYS / EVERY[kind]), 1); count > 0; count -= 1) {
        const day = chance.between(3, DAYS - QUIET_DAYS)
        // a token is gone for two days
        for (const at of kind === "token" ? [day, day + 1] : [day]) days.set(at, (days.get(at) ?? new Set()).add(kind))
      }
    }
    const faults = [...days.values()].reduce((sum, { size }) => sum + size, 0)
    const overlapping = [...days.values()].filter(({ size }) => size > 1).reduce((sum, { size }) => sum + size, 0)
    if (overlapping * 5 >= faults) return days
  }
}

const KMS_FAULTS = ["internal", "throttle", "unavailable", "drop-before", "drop-after", "cut-after"] as const

describe(`the agent over ${DAYS} days with ${KEYS} keys, seed ${chance.seed}`, function () {
  this.timeout(3_600_000)
  const calendar = draw()
  const met: Record<Fault, number> = { kill: 0, faults: 0, token: 0, receiver: 0, person: 0, deletion: 0, clock: 0 }
  const journal: string[] = []
  const dead: string[] = []
  const disagreements: string[] = []
  /** Keys whose material somebody deleted, and whom a person brought back. */
  const deleted: string[] = []
  let site: Site
  let agent: RunningAgent
  let arns: ReadonlyMap<string, string>

  before(async () => {
    site = await openSite(KEYS)
    agent = site.agent(0)
    await agent.roundsEnded(1)
    arns = await arnsByName()
    for (let day = 1; day <= DAYS; day += 1) await liveADay(day)
    agent.signal("SIGTERM")
    await agent.ended
  })
  after(() => site[Symbol.asyncDispose]())

  const hasFault = (day: number, kind: Fault): boolean => calendar.get(day)?.has(kind) === true

  async function arnsByName(): Promise<ReadonlyMap<string, string>> {
    const { keys } = (await site.run("status", "--json")).json() as { keys: { name: string; keyArn: string }[] }
    return new Map(keys.map(({ name, keyArn }) => [name, keyArn]))
  }

  async function liveADay(day: number): Promise<void> {
    await site.pass(DAY_S)
    journal.push(`day ${day}: ${[...(calendar.get(day) ?? [])].join(", ")}`)
    if (hasFault(day, "token") && !hasFault(day - 1, "token")) site.secondToken(false)
    if (!hasFault(day, "token") && hasFault(day - 1, "token")) site.secondToken(true)
    if (hasFault(day, "token")) met.token += 1
    if (hasFault(day, "receiver")) site.receiver.answer(503)
    if (hasFault(day, "clock")) await restart(chance.between(-20, 20))
    if (hasFault(day, "deletion")) await deleteMaterial()
    if (hasFault(day, "faults")) await faultsOfKms()
    const rounds = agent.rounds
    agent.signal("SIGHUP")
    const person = hasFault(day, "person") ? personsCommand() : undefined
    if (hasFault(day, "kill")) await killInTheMiddle()
    else await agent.roundsEnded(rounds + 1)
    await person
    const left = await site.kms.faults()
    if (hasFault(day, "faults") && left.length < KMS_FAULTS.length) met.faults += 1
    await site.kms.clearFaults()
    if (hasFault(day, "receiver")) {
      met.receiver += 1
      site.receiver.answer(204)
    }
    // what a fault kept from its work goes on before the next day
    if (calendar.has(day)) await oneMoreRound()
    await look(day)
  }

  async function oneMoreRound(): Promise<void> {
    const rounds = agent.rounds
    agent.signal("SIGHUP")
    await agent.roundsEnded(rounds + 1)
  }

  /** The host's clock is that of its start until the next: KMS' goes on without it. */
  async function restart(aheadDays: number): Promise<void> {
    agent.signal("SIGTERM")
    await agent.ended
    agent = site.agent(aheadDays)
    await agent.roundsEnded(1)
    met.clock += 1
  }

  async function killInTheMiddle(): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, chance.between(0, 600)))
    agent.signal("SIGKILL")
    await agent.ended
    met.kill += 1
    agent = site.agent(chance.oneIn(3) ? chance.between(-10, 10) : 0)
    await agent.roundsEnded(1)
  }

  async function deleteMaterial(): Promise<void> {
    const { name, target } = chance.pick(site.keys.filter((key) => !deleted.includes(key.name)))
    await site.sdk[target].deleteImportedKeyMaterial({ KeyId: arns.get(name) })
    deleted.push(name)
    met.deletion += 1
  }

  async function faultsOfKms(): Promise<void> {
    const operations = ["DescribeKey", "GetParametersForImport", "ImportKeyMaterial", "ListResourceTags"]
    for (const kind of KMS_FAULTS) {
      await site.kms.fault({
        kind,
        operation: chance.pick(operations),
        count: chance.between(1, 5),
        skip: chance.below(KEYS),
      })
    }
  }

  /** Somebody who works beside the agent, and waits seconds for it. */
  async function personsCommand(): Promise<void> {
    const [last] = deleted.slice(-1)
    const command = last === undefined ? ["rewrap", chance.pick(site.keys).name] : ["recover", last, "--yes"]
    const { status, stderr } = await site.run(...command, "--lock-timeout", "2m")
    journal.push(`  ${command.join(" ")}: ${status ?? ""} ${stderr.split("\n").at(-2) ?? ""}`)
    met.person += 1
  }

  /** No key is dead but those that somebody deleted; what `check` says is what the metrics say. */
  async function look(day: number): Promise<void> {
    for (const target of ["east", "west", "eu"] as const) {
      for (const { name } of site.keys.filter((key) => key.target === target)) {
        const state = await stateOf(target, name)
        if (state !== "Enabled" && !deleted.includes(name)) dead.push(`day ${day}: ${name} ${state}`)
      }
    }
    if (calendar.has(day) || day % 10 !== 0) return
    const { checks } = (await site.run("check", "--json")).json() as {
      checks: { id: string; status: string; acceptedUntil: string | null }[]
    }
    const said = countsOf(checks.filter(({ status }) => status !== "ok").map(({ id, status }) => `${id} ${status}`))
    const [{ url }] = agent.lines.filter(({ event }) => event === "agent.listens").slice(-1) as unknown as [
      { url: string },
    ]
    const text = await (await fetch(`${url}/metrics`)).text()
    const series = /^keyferry_check_findings\{reason="(\w+)",status="(\w+)"\} (\d+)$/gm
    const measured = Object.fromEntries(
      [...text.matchAll(series)].map(([, id, status, count]) => [`${id} ${status}`, Number(count)]),
    )
    if (JSON.stringify(sorted(said)) !== JSON.stringify(sorted(measured)))
      disagreements.push(`day ${day}: check ${JSON.stringify(said)}, metrics ${JSON.stringify(measured)}`)
  }

  async function stateOf(target: Target, name: string): Promise<string> {
    const { KeyMetadata } = await site.sdk[target].describeKey({ KeyId: arns.get(name) })
    return KeyMetadata?.KeyState ?? ""
  }

  const told = (): string => `\n${journal.join("\n")}`

  it("meets every kind of fault", () => {
    const faults = Object.values(met).reduce((sum, count) => sum + count, 0)
    process.stdout.write(
      `      ${faults} faults: ${JSON.stringify(met)}; ${site.receiver.told.size} told, ${site.receiver.twice()} twice\n`,
    )
    expect(
      Object.entries(met).filter(([, count]) => count === 0),
      told(),
    ).to.deep.equal([])
  })

  it("lets no key expire that could be saved", () => {
    expect(dead, told()).to.deep.equal([])
  })

  it("makes no KMS key twice, and no orphan", async () => {
    const counts = await Promise.all(
      (["east", "west", "eu"] as const).map(
        async (target) => (await site.sdk[target].listKeys({ Limit: 1000 })).Keys?.length ?? 0,
      ),
    )
    expect(counts.reduce((sum, count) => sum + count, 0)).to.equal(KEYS)
  })

  it("tells of each key that somebody deleted, once", () => {
    const messages = [...site.receiver.told.values()]
    for (const name of new Set(deleted)) {
      const about = messages.filter((message) => message.name === name && message.reason === "MATERIAL_DELETED")
      expect(
        about.filter(({ kind }) => kind === "dead"),
        `${name}${told()}`,
      ).to.have.lengthOf(1)
    }
    expect(
      messages.filter(({ kind, name }) => kind === "dead" && !deleted.includes(name ?? "")),
      told(),
    ).to.deep.equal([])
  })

  it("says by its metrics what check says", () => {
    expect(disagreements, told()).to.deep.equal([])
  })

  it("leaves a custody log whose chain holds", () => {
    const lines = readFileSync(join(site.state, "custody.log.jsonl"), "utf8").trimEnd().split("\n")
    expect(verifyChain(lines)).to.have.property("end")
  })
})

function countsOf(words: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const word of words) counts[word] = (counts[word] ?? 0) + 1
  return counts
}

/** The host's clock is the agent's own matter. */
const sorted = (counts: Readonly<Record<string, number>>): readonly (readonly [string, number])[] =>
  Object.entries(counts)
    .filter(([word]) => !word.startsWith("CLOCK_SKEW"))
    .sort(([a], [b]) => (a < b ? -1 : 1))
