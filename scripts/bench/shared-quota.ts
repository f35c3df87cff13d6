import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { createInterface } from "node:readline"
import { setTimeout as sleep } from "node:timers/promises"
import { fileURLToPath } from "node:url"
import { kmsClient, type LocalKmsProcess, startLocalKms } from "#test/support/local-kms.js"
import { migratedDatabase, startPostgres } from "#test/support/postgres.js"
import type { QuotaWork } from "#test/support/quota-process.js"
import type { Measure } from "./measure.js"

const PROGRAM = fileURLToPath(new URL("../../test/support/quota-process.js", import.meta.url))
const AGENTS = 2
/** In ms: what the burst gave at first does not count. */
const BEFORE = 2_000
const WINDOW = 40_000

interface Load {
  readonly operation: QuotaWork["operation"]
  /** Requests a second. */
  readonly quota: number
}

/** How much of one quota two agents use together, and how often KMS throttles them. */
export async function sharedQuota(say: (text: string) => void): Promise<readonly Measure[]> {
  const measures: Measure[] = []
  await using server = await startPostgres()
  const kms = await startLocalKms()
  const sdk = kmsClient(kms)
  try {
    const { KeyMetadata } = await sdk.createKey({ Origin: "EXTERNAL" })
    const keyArn = KeyMetadata?.Arn ?? ""
    for (const load of [
      { operation: "DescribeKey", quota: 15 },
      { operation: "GetParametersForImport", quota: 1 },
    ] as const satisfies readonly Load[]) {
      const name = `quota_${load.quota}`
      await using database = await migratedDatabase(server, name)
      say(`${AGENTS} agents share ${load.quota} ${load.operation} a second in ${database.place}`)
      measures.push(...(await used(kms, load, { database: server.urlOf(name), endpoint: kms.endpoint, keyArn })))
    }
  } finally {
    sdk.destroy()
    await kms.stop()
  }
  return measures
}

async function used(
  kms: LocalKmsProcess,
  { operation, quota }: Load,
  place: Pick<QuotaWork, "database" | "endpoint" | "keyArn">,
): Promise<readonly Measure[]> {
  await kms.quotas({ rates: { [operation]: quota } })
  await kms.clearCounts()
  const work: QuotaWork = { ...place, operation, quota, waiting: 2 }
  const answers: number[] = []
  const agents = Array.from({ length: AGENTS }, () => sender(work, () => answers.push(performance.now())))
  while (answers.length < AGENTS) await sleep(20)
  const from = performance.now() + BEFORE
  await sleep(BEFORE + WINDOW)
  for (const agent of agents) {
    const ended = once(agent, "close")
    agent.stdin?.end()
    await ended
  }
  const counted = answers.filter((at) => at >= from)
  const seconds = ((counted.at(-1) ?? 0) - (counted[0] ?? 0)) / 1000
  const { errors } = await kms.counts()
  const throttled = errors[operation]?.["ThrottlingException"] ?? 0
  const load = `${AGENTS} agents, one quota of ${quota} a second`
  return [
    {
      part: "g",
      what: `${load}: share`,
      value: (counted.length - 1) / seconds / quota,
      unit: "",
      target: { bound: "at least", value: 0.95 },
    },
    { part: "g", what: `${load}: throttled`, value: throttled, unit: "", target: { bound: "at most", value: 0 } },
  ]
}

function sender(work: QuotaWork, onAnswer: () => void): ChildProcess {
  const env = {
    PATH: process.env["PATH"],
    HOME: "/nonexistent",
    AWS_ACCESS_KEY_ID: "local",
    AWS_SECRET_ACCESS_KEY: "local",
  }
  const child = spawn(process.execPath, [PROGRAM, JSON.stringify(work)], { env, stdio: ["pipe", "pipe", "inherit"] })
  createInterface({ input: child.stdout }).on("line", (line) => {
    if (line === "answered") onAnswer()
  })
  return child
}
