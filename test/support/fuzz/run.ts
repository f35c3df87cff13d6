import { fork } from "node:child_process"
import { fileURLToPath } from "node:url"
import { CREDENTIALS } from "../aws-environment.js"
import { startLocalKms } from "../local-kms.js"
import type { Message } from "./worker.js"

/** Milliseconds that one mutant may take, and megabytes that the process may. */
const MOST_MS = 60_000
const MOST_MB = 300

/** Seed and number repeat it. */
export interface Fault {
  readonly number: number
  readonly subject: string
  readonly what: string
  readonly fault: string
}

export interface FuzzResult {
  readonly refused: number
  readonly accepted: number
  readonly faults: readonly Fault[]
  readonly maxRssMb: number
  /** How many mutants of each file or answer were read. */
  readonly counts: ReadonlyMap<string, number>
}

/** Reads mutants `from` to `to` of a seed by the built program's own readers. */
export async function fuzz(seed: number, from: number, to: number): Promise<FuzzResult> {
  await using kms = await startLocalKms()
  const faults: Fault[] = []
  const counts = new Map<string, number>()
  const running = new Map<number, { readonly at: number; readonly subject: string; readonly what: string }>()
  let [refused, accepted, maxRssMb] = [0, 0, 0]
  const worker = fork(
    fileURLToPath(new URL("worker.js", import.meta.url)),
    [kms.endpoint, seed, from, to].map(String),
    {
      // what it needs it may have; what it has thrown away must not count
      execArgv: ["--max-old-space-size=140", "--max-semi-space-size=4"],
      env: { PATH: process.env["PATH"], HOME: process.env["HOME"], ...CREDENTIALS, NODE_V8_COVERAGE: "" },
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    },
  )
  worker.on("message", (message: Message) => {
    if ("maxRssMb" in message) maxRssMb = message.maxRssMb
    else if ("begins" in message) running.set(message.begins, { ...message, at: performance.now() })
    else {
      const { ends: number, subject, what, outcome } = message
      running.delete(number)
      counts.set(subject, (counts.get(subject) ?? 0) + 1)
      if (outcome === "refused") refused += 1
      else if (outcome === "accepted") accepted += 1
      else faults.push({ number, subject, what, fault: outcome.fault })
    }
  })
  const watch = setInterval(() => {
    for (const [number, { at, subject, what }] of running) {
      if (performance.now() - at < MOST_MS) continue
      faults.push({ number, subject, what, fault: `takes more than ${MOST_MS / 1000} s` })
      worker.kill("SIGKILL")
    }
  }, 1000)
  const status = await new Promise<string>((resolve) => {
    worker.once("exit", (code, signal) => resolve(signal ?? `status ${code ?? 0}`))
  })
  clearInterval(watch)
  for (const [number, { subject, what }] of running) faults.push({ number, subject, what, fault: `ended by ${status}` })
  if (status !== "status 0" && faults.length === 0) faults.push({ number: -1, subject: "", what: "", fault: status })
  if (maxRssMb > MOST_MB) {
    faults.push({ number: -1, subject: "", what: "", fault: `the process took ${Math.round(maxRssMb)} MB` })
  }
  return { refused, accepted, faults, maxRssMb, counts }
}
