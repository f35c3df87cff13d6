import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { isDeepStrictEqual } from "node:util"
import { migrateDatabase } from "#src/host/database-place.js"
import { openDatabase } from "#src/store/postgres/database.js"
import { startLocalKms } from "#test/support/local-kms.js"
import { type PostgresServer, startPostgres } from "#test/support/postgres.js"
import { softhsmToken, type TestToken } from "#test/support/tokens.js"
import { agentsRate } from "./agents-rate.js"
import { type CommandCost, measured } from "./command.js"
import { repeatKey } from "./many-keys.js"
import type { Measure } from "./measure.js"
import { plannedYear } from "./planned-year.js"
import { sharedQuota } from "./shared-quota.js"

/** Keys in the database; `BENCH_FLEET_KEYS=10000` takes fewer. */
const SIZES = (process.env["BENCH_FLEET_KEYS"] ?? "10000,100000").split(",").map(Number)
const OWNER = "bench"
const DATABASE = "state"
const nameOf = (index: number): string => `key-${String(index + 1).padStart(6, "0")}`

interface Cost extends CommandCost {
  readonly what: string
  /** Of the command, to the database. */
  readonly statements: number
}

/**
 * (g) A year of a large fleet by the planner alone; the quotas that agents share; keys a second of one and of several agents; and the
 * state in a database: `plan`, `status` and the page of a fleet that is well, in statements, time and memory, and what a key takes there.
 */
export async function scale(say: (text: string) => void): Promise<readonly Measure[]> {
  const measures = [...ratesOfAYear(), ...(await sharedQuota(say)), ...(await agentsRate(say))]
  for (const keys of SIZES) measures.push(...(await databaseOf(keys, say)))
  return measures
}

function ratesOfAYear(): readonly Measure[] {
  const { imports, perMinute, perHour, perDay } = plannedYear({ keys: 100_000, days: 365 })
  const target = { bound: "at most", value: 0.3 } as const
  const what = "100,000 keys of one account and Region over a year"
  return [
    { part: "g", what: `${what}: imports`, value: imports, unit: "" },
    { part: "g", what: `${what}: GetParametersForImport due in the busiest day`, value: perDay, unit: "/s", target },
    { part: "g", what: `${what}: in the busiest hour`, value: perHour, unit: "/s", target },
    { part: "g", what: `${what}: in the busiest minute`, value: perMinute, unit: "/s" },
  ]
}

async function databaseOf(keys: number, say: (text: string) => void): Promise<readonly Measure[]> {
  const folder = mkdtempSync(join(tmpdir(), "keyferry-bench-"))
  const token = softhsmToken("bench")
  await using server = await startPostgres(["shared_preload_libraries = 'pg_stat_statements'", "fsync = off"])
  try {
    const url = await server.createDatabase(DATABASE)
    server.sql(DATABASE, "CREATE EXTENSION pg_stat_statements")
    await migrateDatabase({ url })
    const names = Array.from({ length: keys }, (_, index) => nameOf(index))
    const stateFile = join(folder, "kms")
    const options = { stateFile, clock: "2027-01-01T00:00:00Z" }
    const first = await startLocalKms(options)
    const env = { ...token.env, KEYFERRY_STATE_URL: url, AWS_ENDPOINT_URL: undefined }
    await measured(["apply", "--config", config(folder, first.endpoint, token, names.slice(0, 1))], {
      ...first.env,
      ...env,
    })
    await first.stop()
    const database = openDatabase({ url }, "keyferry bench")
    await repeatKey(database, stateFile, { name: nameOf(0), owner: OWNER, target: "here", names: names.slice(1) })
    await database[Symbol.asyncDispose]()
    server.sql(DATABASE, "ANALYZE")
    say(`${keys} keys are in the database`)
    await using kms = await startLocalKms(options)
    const manifest = config(folder, kms.endpoint, token, names)
    const costs: Cost[] = []
    for (const words of [["plan"], ["status"], ["status", "--html", join(folder, "page.html")]]) {
      const cost = await costOf(server, [...words, "--config", manifest], { ...kms.env, ...env })
      const { summary } = cost.result as { readonly summary: object }
      if (!isDeepStrictEqual({ ...summary, nothing: keys }, summary)) throw new Error(JSON.stringify(summary))
      costs.push({ ...cost, what: words.slice(0, 2).join(" ") })
      say(`${words.slice(0, 2).join(" ")}: ${cost.seconds.toFixed(1)} s, ${cost.statements} statements`)
    }
    return measuresOf(server, keys, costs)
  } finally {
    token.remove()
    rmSync(folder, { recursive: true, force: true })
  }
}

async function costOf(
  server: PostgresServer,
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Promise<Omit<Cost, "what">> {
  server.sql(DATABASE, "SELECT pg_stat_statements_reset()")
  const cost = await measured(args, env)
  const statements = Number(
    server.sql(DATABASE, "SELECT sum(calls) FROM pg_stat_statements WHERE query NOT LIKE '%pg_stat_statements%'"),
  )
  if (process.env["BENCH_STATEMENTS"] !== undefined) {
    console.error(
      server.sql(
        DATABASE,
        "SELECT calls, round(total_exec_time), substr(query, 1, 120) FROM pg_stat_statements ORDER BY 1 DESC LIMIT 12",
      ),
    )
  }
  return { ...cost, statements }
}

function measuresOf(server: PostgresServer, keys: number, costs: readonly Cost[]): readonly Measure[] {
  const bytes = Number(server.sql(DATABASE, "SELECT pg_database_size(current_database())"))
  const ofCommands = costs.flatMap(({ what, seconds, cpuMs, peakMb, statements }): readonly Measure[] => [
    { part: "g", what: `${what} of ${keys} keys in a database`, value: seconds * 1000, unit: "ms" },
    { part: "g", what: `${what} of ${keys}, CPU time`, value: cpuMs, unit: "ms" },
    { part: "g", what: `${what} of ${keys}, peak memory`, value: peakMb, unit: "MB" },
    {
      part: "g",
      what: `${what} of ${keys}, statements a key`,
      value: statements / keys,
      unit: "",
      target: { bound: "at most", value: 0.02 },
    },
  ])
  return [...ofCommands, { part: "g", what: `${keys} keys just made, on disk`, value: bytes / 2 ** 20, unit: "MB" }]
}

function config(folder: string, endpoint: string, token: TestToken, names: readonly string[]): string {
  const path = join(folder, `keyferry-${names.length}.yaml`)
  const lines = [
    "version: 1",
    `id: ${OWNER}`,
    "tokens:",
    `  primary: { uri: ${JSON.stringify(token.uri.replace(/&pin-source=[^&]*/, ""))}, pin: { file: ${token.pinFile} } }`,
    `targets:\n  here: { region: us-east-1, endpoint: ${JSON.stringify(endpoint)} }`,
    "keys:",
    ...names.map((name) => `  ${name}:\n    keySpec: SYMMETRIC_DEFAULT\n    expiresIn: 90d`),
  ]
  writeFileSync(path, `${lines.join("\n")}\n`)
  return path
}
