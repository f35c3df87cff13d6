import { mkdtempSync, rmSync } from "node:fs"
import { DEFAULT_SETTINGS } from "#src/core/manifest/key-settings.js"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { provision } from "#src/app/provision/provision.js"
import { systemClock } from "#src/host/clock.js"
import { createLog } from "#src/log/log.js"
import { openWorld } from "#src/host/open.js"
import { startLocalKms } from "#test/support/local-kms.js"
import { softhsmToken } from "#test/support/tokens.js"
import { inChild, type Job } from "./child.js"
import type { Measure } from "./measure.js"
import { todaysKeys } from "./today.js"
import { wrappingKey4096 } from "./token-pace.js"
import { wrapLoop } from "./wrap-loop.js"

const KEYS = 500
const AT_ONCE = 8
const TODAYS_KEYS = 20

interface Batch {
  readonly keys: number
  readonly prefix: string
  readonly stateDir: string
  readonly custody: "token" | "sealed"
}

interface Cost {
  readonly seconds: number
  /** User and system time of the process from its start, the token's code in it included. */
  readonly cpuMs: number
  readonly peakMb: number
}

/** Provisions keys by the use case that the command calls, with the dependencies that it gets. */
export const provisionKeys: Job<Batch, Cost> = async ({ keys, prefix, stateDir, custody }) => {
  const quiet = { step: () => undefined, warn: (text: string) => void process.stderr.write(`${text}\n`) }
  const start = performance.now()
  {
    const log = await createLog({ verbose: false, format: "text", clock: systemClock })
    await using world = openWorld({ stateDir }, { env: process.env, progress: quiet, log, command: "bench" })
    const { owner } = await world.settings()
    const deps = await world.deps()
    const names = Array.from({ length: keys }, (_, index) => `${prefix}-${index}`)
    const worker = async (): Promise<void> => {
      for (let name = names.shift(); name !== undefined; name = names.shift()) {
        const { proof } = await provision(deps, {
          owner,
          name,
          target: deps.kms.region,
          keyId: null,
          acceptNoReimport: false,
          ...DEFAULT_SETTINGS,
          keySpec: "SYMMETRIC_DEFAULT",
          keyUsage: "ENCRYPT_DECRYPT",
          custody,
        })
        if (proof.result !== "accepted") throw new Error(`${name}: ${proof.result}`)
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, worker))
  }
  const seconds = (performance.now() - start) / 1000
  const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage()
  return { seconds, cpuMs: (userCPUTime + systemCPUTime) / 1000, peakMb: maxRSS / 1024 }
}

/**
 * (b) Symmetric keys provisioned by one process against the local KMS in another, between two halves of the same work
 * done with the commands of OpenSSL and the AWS CLI.
 */
export async function provisioning(say: (text: string) => void): Promise<readonly Measure[]> {
  const folder = mkdtempSync(join(tmpdir(), "keyferry-bench-"))
  const token = softhsmToken("bench")
  await using kms = await startLocalKms()
  try {
    const first = await todaysKeys(kms, folder, TODAYS_KEYS / 2)
    say(`${TODAYS_KEYS / 2} keys by openssl and aws in ${first.toFixed(1)} s`)
    const env = { ...kms.env, ...token.env, KEYFERRY_TOKEN: token.uri }
    const provisioned = (batch: Omit<Batch, "stateDir" | "custody">): Promise<Cost> =>
      inChild("provision", { ...batch, custody: "token", stateDir: join(folder, "state") }, env)
    // the first key of a token tests it, and the verdict is kept
    await provisioned({ keys: 1, prefix: "first" })
    const cost = await provisioned({ keys: KEYS, prefix: "bench" })
    say(`${KEYS} keys by keyferry in ${cost.seconds.toFixed(1)} s`)
    const tokenMs = tokenShare(KEYS)
    const today = TODAYS_KEYS / (first + (await todaysKeys(kms, folder, TODAYS_KEYS / 2)))
    return [
      { part: "b", what: `keyferry, ${AT_ONCE} keys at once`, value: KEYS / cost.seconds, unit: "/s" },
      { part: "b", what: "openssl and aws", value: today, unit: "/s" },
      { part: "b", what: "keyferry against openssl and aws", value: KEYS / cost.seconds / today, unit: "times" },
      { part: "b", what: "CPU time a key, SoftHSM in it", value: cost.cpuMs / KEYS, unit: "ms" },
      { part: "b", what: "SoftHSM's, by the same calls from C", value: tokenMs, unit: "ms" },
      {
        part: "b",
        what: "keyferry's own CPU time a key",
        value: cost.cpuMs / KEYS - tokenMs,
        unit: "ms",
        target: { bound: "at most", value: 10 },
      },
      { part: "b", what: "peak memory", value: cost.peakMb, unit: "MB", target: { bound: "at most", value: 200 } },
    ]
  } finally {
    token.remove()
    rmSync(folder, { recursive: true, force: true })
  }
}

/**
 * What SoftHSM itself takes for such keys, in milliseconds of CPU time a key. It runs inside the process that loads it,
 * writes the file of a new token object some 35 times, and reads that of every object at each search.
 */
function tokenShare(keys: number): number {
  const token = softhsmToken("bench")
  try {
    const { cpuSeconds } = wrapLoop(wrappingKey4096().modulus)(token, { seconds: 600, keys, keep: true })
    return (cpuSeconds * 1000) / keys
  } finally {
    token.remove()
  }
}
