import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { keyferry } from "#test/support/cli.js"
import { type LocalKmsProcess, startLocalKms } from "#test/support/local-kms.js"
import { type PostgresServer, startPostgres } from "#test/support/postgres.js"
import { RunningAgent } from "#test/support/running-agent.js"
import { softhsmToken } from "#test/support/tokens.js"
import type { Measure } from "./measure.js"

const KEYS = 300
const DATABASE = "rate"
const AGENTS = [1, 2, 4] as const
const DAY_S = 86_400
/** Material lives 30 days, and is due from the twentieth at the latest. */
const UNTIL_DUE_S = 25 * DAY_S
const OPEN = { GetParametersForImport: 1000, CreateKey: 1000, ImportKeyMaterial: 1000 }

/** Keys a second that one, two and four agents import again at one token, where no quota of KMS holds them up. */
export async function agentsRate(say: (text: string) => void): Promise<readonly Measure[]> {
  const folder = mkdtempSync(join(tmpdir(), "keyferry-bench-"))
  const token = softhsmToken("bench")
  await using server = await startPostgres()
  await using kms = await startLocalKms()
  try {
    const config = join(folder, "keyferry.json")
    const manifest = {
      version: 1,
      state: { postgres: { url: await server.createDatabase(DATABASE) } },
      tokens: { only: { uri: token.uri } },
      targets: { here: { region: "us-east-1", endpoint: kms.endpoint, quotas: OPEN } },
      defaults: { custody: "sealed", wrappingKeySpec: "RSA_2048", expiresIn: "30d", renewBefore: "10d" },
      keys: Object.fromEntries(
        Array.from({ length: KEYS }, (_, index) => [`key-${index}`, { keySpec: "SYMMETRIC_DEFAULT" }]),
      ),
      agent: { schedule: "0 0 1 1 *", jitter: "0s", allow: ["rewrap"] },
    }
    writeFileSync(config, JSON.stringify(manifest))
    const env = { ...kms.env, ...token.env, AWS_ENDPOINT_URL: undefined }
    for (const words of [
      ["state", "migrate"],
      ["apply", "--yes"],
    ]) {
      const { status, stderr } = await keyferry([...words, "--config", config], { env })
      if (status !== 0) throw new Error(stderr)
    }
    const measures: Measure[] = []
    for (const count of AGENTS) {
      const agents = Array.from({ length: count }, () => new RunningAgent(["--config", config], env))
      try {
        measures.push(...(await rateOf(agents, { server, kms })))
        say(`${count} agents: ${measures.at(-2)?.value.toFixed(1)} keys a second`)
      } finally {
        for (const agent of agents) {
          agent.signal("SIGTERM")
          await agent.ended
        }
      }
    }
    return measures
  } finally {
    token.remove()
    rmSync(folder, { recursive: true, force: true })
  }
}

async function rateOf(
  agents: readonly RunningAgent[],
  { server, kms }: { readonly server: PostgresServer; readonly kms: LocalKmsProcess },
): Promise<readonly Measure[]> {
  for (const agent of agents) await agent.line("agent.waits")
  await kms.clock.advance(UNTIL_DUE_S)
  await kms.clearCounts()
  const cpuBefore = cpuOf(agents)
  for (const agent of agents) agent.signal("SIGHUP")
  const imports = async (): Promise<number> => (await kms.counts()).succeeded["ImportKeyMaterial"] ?? 0
  while ((await imports()) === 0) await sleep(20)
  const [begun, before] = [performance.now(), await imports()]
  while ((await imports()) < KEYS) await sleep(20)
  const seconds = (performance.now() - begun) / 1000
  const open = "SELECT count(*) FROM keyferry_jobs.job WHERE name LIKE 'rows%' AND state < 'completed'"
  while (Number(server.sql(DATABASE, open)) > 0) await sleep(100)
  const what = `${agents.length} agents, ${KEYS} keys imported again`
  return [
    { part: "g", what, value: (KEYS - before) / seconds, unit: "/s" },
    {
      part: "g",
      what: `${what}: CPU time of the agents a key`,
      value: ((cpuOf(agents) - cpuBefore) / KEYS) * 1000,
      unit: "ms",
    },
  ]
}

const cpuOf = (agents: readonly RunningAgent[]): number => agents.reduce((sum, agent) => sum + agent.cpuS(), 0)
