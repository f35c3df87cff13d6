import { cpSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { isDeepStrictEqual } from "node:util"
import { openKms } from "#src/kms/kms.js"
import { type LocalKmsProcess, startLocalKms } from "#test/support/local-kms.js"
import { softhsmToken } from "#test/support/tokens.js"
import { inChild, type Job } from "./child.js"
import { type CommandCost, measured } from "./command.js"
import { atOnce, type Fleet, fleetOf } from "./fleet.js"
import type { Measure } from "./measure.js"
import type { Usage } from "./usage.js"

/** Keys, each step ten times the one before; `BENCH_KEYS=100,1000` takes fewer. */
const SIZES = (process.env["BENCH_KEYS"] ?? "100,1000,10000").split(",").map(Number)
/** The commands whose growth is shown. */
const COMMANDS = ["plan", "status", "recover --plan"] as const

interface Calls {
  readonly keyArns: readonly string[]
  readonly endpoint: string
  readonly describe: number
  readonly tags: number
  readonly rotations: number
}

/** The KMS calls of a plan and nothing else: what it costs beyond them is the plan's own. */
export const planCalls: Job<Calls, Usage> = async ({ keyArns, endpoint, describe, tags, rotations }) => {
  {
    using kms = await openKms({ region: "us-east-1", endpointUrl: endpoint, env: process.env })
    const calls = [
      ...keyArns.slice(0, describe).map((arn) => () => kms.describeKey(arn)),
      ...keyArns.slice(0, tags).map((arn) => () => kms.listResourceTags(arn)),
      ...keyArns.slice(0, rotations).map((arn) => () => kms.listKeyRotations(arn)),
    ]
    await atOnce(calls)
  }
  const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage()
  return { cpuMs: (userCPUTime + systemCPUTime) / 1000, peakMb: maxRSS / 1024 }
}

/**
 * (e) `plan` and `status` over keys that are all well, and `recover --plan` once all their material is gone: CPU time of
 * each command, and of `plan` less that of a process that makes the same calls of KMS.
 */
export async function planning(say: (text: string) => void): Promise<readonly Measure[]> {
  const folder = mkdtempSync(join(tmpdir(), "keyferry-bench-"))
  const token = softhsmToken("bench")
  await using kms = await startLocalKms()
  try {
    // a plan lists every key that the state knows, so that the few are planned before there are more
    const fleet = await fleetOf(kms, token, folder)
    const costs: SizeCost[] = []
    for (const keys of SIZES) {
      const manifest = await fleet.growTo(keys)
      say(`${keys} keys are there`)
      costs.push({ keys, ...(await costsOf(kms, fleet, { manifest, folder })) })
    }
    return measuresOf(costs)
  } finally {
    token.remove()
    rmSync(folder, { recursive: true, force: true })
  }
}

interface Costs extends Record<(typeof COMMANDS)[number], CommandCost> {
  /** CPU time of the calls that `plan` makes. */
  readonly inKmsMs: number
}

interface SizeCost extends Costs {
  readonly keys: number
}

async function costsOf(
  kms: LocalKmsProcess,
  fleet: Fleet,
  { manifest, folder }: { readonly manifest: string; readonly folder: string },
): Promise<Costs> {
  const { keyArns, env } = fleet
  const run = async (words: string, expected: object, more: object = {}): Promise<CommandCost> => {
    const cost = await measured([...words.split(" "), "--config", manifest], { ...env, ...more })
    const { summary } = cost.result as { summary: object }
    if (!isDeepStrictEqual({ ...summary, ...expected }, summary))
      throw new Error(`not as expected: ${JSON.stringify(summary)}`)
    return cost
  }
  await kms.clearCounts()
  const plan = await run("plan", { nothing: keyArns.length })
  const { requests } = await kms.counts()
  const calls: Calls = {
    keyArns,
    endpoint: kms.endpoint,
    describe: requests["DescribeKey"] ?? 0,
    tags: requests["ListResourceTags"] ?? 0,
    rotations: requests["ListKeyRotations"] ?? 0,
  }
  const { cpuMs: inKmsMs } = await inChild<Usage>("plan-calls", calls, kms.env)
  const status = await run("status", { nothing: keyArns.length })
  await fleet.lose()
  // what is seen to be lost is written down
  const copy = join(folder, "lost")
  cpSync(env["KEYFERRY_STATE_DIR"] ?? "", copy, { recursive: true })
  const recover = await run("recover --plan", { planned: keyArns.length - 1, nothing: 1 }, { KEYFERRY_STATE_DIR: copy })
  rmSync(copy, { recursive: true })
  await fleet.restore()
  return { plan, status, "recover --plan": recover, inKmsMs }
}

function measuresOf(costs: readonly SizeCost[]): readonly Measure[] {
  const [most, less] = costs.toReversed()
  if (most === undefined) return []
  const own = ({ plan, inKmsMs }: SizeCost): number => plan.cpuMs - inKmsMs
  const ofCommands = COMMANDS.flatMap((command) => [
    ...costs.map((cost): Measure => ({
      part: "e",
      what: `${command} of ${cost.keys} keys`,
      value: cost[command].cpuMs,
      unit: "ms",
    })),
    ...(less === undefined ? [] : [growthOf(command, most, less)]),
    {
      part: "e",
      what: `${command}, peak memory`,
      value: most[command].peakMb,
      unit: "MB",
      target: AT_MOST_200,
    } as const,
  ])
  return [
    ...ofCommands,
    { part: "e", what: `plan of ${most.keys}, outside KMS calls`, value: own(most), unit: "ms", target: AT_MOST_5_S },
    {
      part: "e",
      what: "status against plan",
      value: most.status.cpuMs / most.plan.cpuMs,
      unit: "times",
      target: AT_MOST_HALF_MORE,
    },
  ]
}

function growthOf(command: (typeof COMMANDS)[number], most: SizeCost, less: SizeCost): Measure {
  const perKey = (cost: SizeCost): number => cost[command].cpuMs / cost.keys
  const what = `${command}: a key of ${most.keys} against one of ${less.keys}`
  return {
    part: "e",
    what,
    value: perKey(most) / perKey(less),
    unit: "times",
    target: { bound: "at most", value: 1.2 },
  }
}

const AT_MOST_200 = { bound: "at most", value: 200 } as const
const AT_MOST_5_S = { bound: "at most", value: 5000 } as const
const AT_MOST_HALF_MORE = { bound: "at most", value: 1.5 } as const
