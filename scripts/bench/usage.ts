import { writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

/** Preloaded into a command (`node --import`): writes what the process used into BENCH_USAGE when it ends. */
export const USAGE = fileURLToPath(import.meta.url)

export interface Usage {
  /** User and system time of the process from its start, the token's code in it included. */
  readonly cpuMs: number
  readonly peakMb: number
}

const file = process.env["BENCH_USAGE"]
if (file !== undefined) {
  process.once("exit", () => {
    const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage()
    const usage: Usage = { cpuMs: (userCPUTime + systemCPUTime) / 1000, peakMb: maxRSS / 1024 }
    writeFileSync(file, JSON.stringify(usage))
  })
}
