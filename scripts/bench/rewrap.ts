import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { type LocalKmsProcess, startLocalKms } from "#test/support/local-kms.js"
import { softhsmToken, type TestToken } from "#test/support/tokens.js"
import { inChild } from "./child.js"
import { measured } from "./command.js"
import type { Measure } from "./measure.js"

const KEYS = 1000
/** At 15 a second this takes some 40 s, of which the middle is measured. */
const PACED_KEYS = 600
const QUOTA = 15
const PACED = ["GetParametersForImport", "ImportKeyMaterial"] as const
/** Left out at both ends: the start of the process, and the last keys, when fewer than the quota are left. */
const EDGE_S = 3

/**
 * (d) `rewrap --all` of sealed keys: once with KMS' quotas opened, once against quotas that its requests must keep to.
 */
export async function rewrapping(say: (text: string) => void): Promise<readonly Measure[]> {
  const folder = mkdtempSync(join(tmpdir(), "keyferry-bench-"))
  const token = softhsmToken("bench")
  await using kms = await startLocalKms()
  try {
    const env = { ...kms.env, ...token.env, KEYFERRY_TOKEN: token.uri }
    const open = await opened(env, join(folder, "many"), say)
    const paced = await pacedRun(kms, token, folder, say)
    return [...open, ...paced]
  } finally {
    token.remove()
    rmSync(folder, { recursive: true, force: true })
  }
}

type Env = Readonly<Record<string, string>>

async function provisioned(env: Env, stateDir: string, prefix: string, keys: number): Promise<void> {
  await inChild("provision", { keys: 1, prefix: `${prefix}-first`, stateDir, custody: "sealed" }, env)
  await inChild("provision", { keys: keys - 1, prefix, stateDir, custody: "sealed" }, env)
}

async function opened(env: Env, stateDir: string, say: (text: string) => void): Promise<readonly Measure[]> {
  await provisioned(env, stateDir, "open", KEYS)
  say(`${KEYS} sealed keys are there`)
  // what listens on loopback has no quotas unless a target gives it some
  const cost = await measured(["rewrap", "--all"], { ...env, KEYFERRY_STATE_DIR: stateDir })
  say(`${KEYS} keys rewrapped in ${cost.seconds.toFixed(1)} s`)
  return [
    { part: "d", what: `rewrap --all of ${KEYS} sealed keys`, value: KEYS / cost.seconds, unit: "/s" },
    { part: "d", what: "peak memory", value: cost.peakMb, unit: "MB", target: { bound: "at most", value: 200 } },
    {
      part: "d",
      what: "CPU time a key, SoftHSM in it",
      value: cost.cpuMs / KEYS,
      unit: "ms",
      target: { bound: "at most", value: 15 },
    },
  ]
}

/** The same with a quota of requests on both sides: keyferry's pace against it, second by second as KMS counts them. */
async function pacedRun(
  kms: LocalKmsProcess,
  token: TestToken,
  folder: string,
  say: (text: string) => void,
): Promise<readonly Measure[]> {
  const config = join(folder, "keyferry.yaml")
  const rates = Object.fromEntries(PACED.map((operation) => [operation, QUOTA]))
  writeFileSync(config, JSON.stringify(manifest(kms, token, rates, PACED_KEYS)))
  const run = { ...kms.env, ...token.env, AWS_ENDPOINT_URL: undefined, KEYFERRY_STATE_DIR: join(folder, "paced") }
  await measured(["apply", "--config", config, "--only", "provision"], run)
  await kms.quotas({ rates })
  await kms.clearCounts()
  const samples: { readonly at: number; readonly done: number }[] = []
  let over = false
  const watch = async (): Promise<void> => {
    while (!over) {
      samples.push({ at: performance.now() / 1000, done: (await kms.counts()).succeeded["ImportKeyMaterial"] ?? 0 })
      await sleep(250)
    }
  }
  const watching = watch()
  const { seconds } = await measured(["rewrap", "--all", "--config", config], run)
  over = true
  await watching
  const { errors } = await kms.counts()
  const throttled = PACED.reduce((sum, operation) => sum + (errors[operation]?.["ThrottlingException"] ?? 0), 0)
  const begun = samples.find(({ done }) => done > 0)?.at ?? 0
  const ended = samples.find(({ done }) => done === samples.at(-1)?.done)?.at ?? 0
  const steady = samples.filter(({ at }) => at >= begun + EDGE_S && at <= ended - EDGE_S)
  const [first, last] = [steady[0], steady.at(-1)]
  if (first === undefined || last === undefined || last.at - first.at < 30) throw new Error("measured for under 30 s")
  const used = (last.done - first.done) / (last.at - first.at) / QUOTA
  say(
    `${PACED_KEYS} keys at ${QUOTA}/s in ${seconds.toFixed(1)} s, of which ${(last.at - first.at).toFixed(1)} s are measured`,
  )
  return [
    {
      part: "d",
      what: `share of a quota of ${QUOTA}/s that is used`,
      value: used,
      unit: "",
      target: { bound: "at least", value: 0.95 },
    },
    { part: "d", what: "ThrottlingException", value: throttled, unit: "", target: { bound: "at most", value: 0 } },
  ]
}

function manifest(kms: LocalKmsProcess, token: TestToken, quotas: object, keys: number): object {
  return {
    version: 1,
    id: "bench",
    tokens: { primary: { uri: token.uri.replace(/&pin-source=[^&]*/, ""), pin: { file: token.pinFile } } },
    targets: { here: { region: "us-east-1", endpoint: kms.endpoint, quotas } },
    defaults: { custody: "sealed", wrappingKeySpec: "RSA_2048" },
    keys: Object.fromEntries(
      Array.from({ length: keys }, (_, index) => [`paced-${index}`, { keySpec: "SYMMETRIC_DEFAULT" }]),
    ),
  }
}
