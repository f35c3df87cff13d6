import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { startLocalKms } from "#test/support/local-kms.js"
import { RunningAgent } from "#test/support/running-agent.js"
import { softhsmToken } from "#test/support/tokens.js"
import { type Load, underLoad } from "./load.js"
import { type Measure, median } from "./measure.js"

const KEYS = Number(process.env["BENCH_AGENT_KEYS"] ?? 1_000)
const PER_SECOND = 200
/** Each without load, then with it. */
const PAIRS = 2
/** GetParametersForImport and ImportKeyMaterial a second, as AWS grants them: 1,000 imports take a minute. */
const QUOTA = 15
const LIFE_DAYS = 90
const DAY_S = 86_400
const FEW_KEYS = 13
const IDLE_MINUTES = Number(process.env["BENCH_IDLE_MINUTES"] ?? 10)

/**
 * (f) the agent: rounds that import every key, in turn alone and while its page and metrics are asked for; then what it needs
 * while it waits. Load, agent and the local KMS share the machine, so that the difference has the load's own work in it.
 */
export async function watched(say: (text: string) => void): Promise<readonly Measure[]> {
  return [...(await loaded(say)), ...(await idle(say))]
}

async function loaded(say: (text: string) => void): Promise<readonly Measure[]> {
  await using site = await siteOf(KEYS)
  const agent = await site.start()
  say(`${KEYS} keys are there, ${agent.memoryMb().toFixed(0)} MB`)
  site.limit(QUOTA)
  const paced = await pairs(site, agent, { count: PAIRS, say })
  site.limit(null)
  const unpaced = await pairs(site, agent, { count: 1, say })
  const all = [...paced, ...unpaced]
  const peakMb = agent.memoryMb()
  await site.stop(agent)
  const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0)
  return [
    {
      part: "f",
      what: `${KEYS} imports at ${QUOTA} a second, under ${PER_SECOND} requests a second`,
      value: median(paced.map(({ slowdown }) => slowdown)),
      unit: "times",
      target: { bound: "at most", value: 1.1 },
    },
    {
      part: "f",
      what: "the same without quotas, on as many cores as there are",
      value: median(unpaced.map(({ slowdown }) => slowdown)),
      unit: "times",
    },
    {
      part: "f",
      what: `of ${sum(all.map(({ load }) => load.sent))} requests not answered`,
      value: sum(all.map(({ load }) => load.failed)),
      unit: "",
      target: { bound: "at most", value: 0 },
    },
    { part: "f", what: "slowest answer", value: Math.max(...all.map(({ load }) => load.slowestMs)), unit: "ms" },
    { part: "f", what: `memory of the agent after rounds of ${KEYS} imports`, value: peakMb, unit: "MB" },
  ]
}

interface Pair {
  /** How many times as long as alone. */
  readonly slowdown: number
  readonly load: Load
}

/** Rounds in which every key is imported, alone and then under load. */
async function pairs(
  site: Site,
  agent: RunningAgent,
  { count, say }: { readonly count: number; readonly say: (text: string) => void },
): Promise<readonly Pair[]> {
  const measured: Pair[] = []
  for (let pair = 0; pair < count; pair += 1) {
    const alone = await site.renewal(agent)
    let isOver = false
    const loading = underLoad(site.url(agent), ["/metrics", "/"], { perSecond: PER_SECOND, isOver: () => isOver })
    const under = await site.renewal(agent)
    isOver = true
    const load = await loading
    measured.push({ slowdown: under.seconds / alone.seconds, load })
    say(
      `round of ${KEYS} imports: ${alone.seconds.toFixed(1)} s alone (${alone.cpuS.toFixed(1)} s of CPU time), ` +
        `${under.seconds.toFixed(1)} s (${under.cpuS.toFixed(1)}) with ${load.sent} requests ` +
        `(${load.megabytes.toFixed(0)} MB, median ${load.medianMs.toFixed(0)} ms, slowest ${load.slowestMs.toFixed(0)} ms), ${load.failed} failed`,
    )
  }
  return measured
}

/** What it needs between two rounds, with the keys of a small fleet. */
async function idle(say: (text: string) => void): Promise<readonly Measure[]> {
  await using site = await siteOf(FEW_KEYS)
  const agent = await site.start()
  await sleep(5_000)
  const before = agent.cpuS()
  await sleep(IDLE_MINUTES * 60_000)
  const share = (agent.cpuS() - before) / (IDLE_MINUTES * 60)
  const atFirst = agent.memoryMb()
  say(`idle for ${IDLE_MINUTES} minutes: ${atFirst.toFixed(0)} MB, ${(share * 100).toFixed(3)} % of a core`)
  // a month of rounds, one in which every key is due
  for (let day = 0; day < 30; day += 1) await (day === 15 ? site.renewal(agent) : site.round(agent))
  const afterwards = agent.memoryMb()
  await site.stop(agent)
  return [
    {
      part: "f",
      what: `memory with ${FEW_KEYS} keys while it waits`,
      value: atFirst,
      unit: "MB",
      target: { bound: "at most", value: 110 },
    },
    { part: "f", what: "the same after 30 rounds", value: afterwards, unit: "MB" },
    {
      part: "f",
      what: "CPU time while it waits, % of a core",
      value: share * 100,
      unit: "",
      target: { bound: "at most", value: 0.2 },
    },
  ]
}

type Site = Awaited<ReturnType<typeof siteOf>>

interface Round {
  readonly seconds: number
  /** Of the agent's process. */
  readonly cpuS: number
}

async function siteOf(keys: number) {
  const folder = mkdtempSync(join(tmpdir(), "keyferry-bench-"))
  const token = softhsmToken("bench")
  const kms = await startLocalKms()
  const config = join(folder, "keyferry.json")
  /** Imports a second; null for as many as can be. */
  const limit = (quota: number | null): void => {
    const quotas = quota === null ? {} : { quotas: { GetParametersForImport: quota, ImportKeyMaterial: quota } }
    const manifest = {
      version: 1,
      id: "bench",
      tokens: { primary: { uri: token.uri } },
      targets: { here: { region: "us-east-1", endpoint: kms.endpoint, ...quotas } },
      defaults: { custody: "sealed", wrappingKeySpec: "RSA_2048", expiresIn: `${LIFE_DAYS}d` },
      keys: Object.fromEntries(
        Array.from({ length: keys }, (_, index) => [`watched-${index}`, { keySpec: "SYMMETRIC_DEFAULT" }]),
      ),
      agent: { schedule: "0 0 1 1 *", jitter: "0s", allow: ["rewrap", "provision"], listen: "127.0.0.1:0" },
    }
    writeFileSync(config, JSON.stringify(manifest))
  }
  limit(null)
  const round = async (agent: RunningAgent): Promise<Round> => {
    const [start, cpuBefore, before] = [performance.now(), agent.cpuS(), agent.roundsOf("reload")]
    agent.signal("SIGHUP")
    await agent.waitsAfter(before + 1, "reload")
    return { seconds: (performance.now() - start) / 1000, cpuS: agent.cpuS() - cpuBefore }
  }
  return {
    limit,
    round,
    async start(): Promise<RunningAgent> {
      const agent = new RunningAgent(["--config", config], {
        ...kms.env,
        ...token.env,
        AWS_ENDPOINT_URL: undefined,
        KEYFERRY_STATE_DIR: join(folder, "state"),
      })
      await agent.waitsAfter(1, "start")
      return agent
    },
    url: (agent: RunningAgent): string => String(agent.lines.find(({ event }) => event === "agent.listens")?.["url"]),
    /** A round in which every key is due. */
    async renewal(agent: RunningAgent): Promise<Round> {
      await kms.clock.advance(Math.round(LIFE_DAYS * 0.8) * DAY_S)
      const took = await round(agent)
      const done = agent.lines.findLast(({ event }) => event === "round.ended")?.["done"]
      if (done !== keys) throw new Error(`${String(done)} of ${keys} keys were imported`)
      return took
    },
    async stop(agent: RunningAgent): Promise<void> {
      agent.signal("SIGTERM")
      await agent.ended
    },
    async [Symbol.asyncDispose]() {
      await kms.stop()
      token.remove()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
