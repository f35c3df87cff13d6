/**
 * Reads mutants in a process of its own, so many at a time: `node worker.js ENDPOINT SEED FROM TO`. Sends a message as
 * each begins and ends, and at the end what memory it took.
 */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { kmsSubjects } from "./kms-subjects.js"
import { mutate } from "./mutate.js"
import { randomOf } from "./random.js"
import { stateSubjects } from "./state-subjects.js"
import { judge, type Outcome } from "./subject.js"
import { CONFIGURATION, TRANSFER_SUBJECTS } from "./transfer-subjects.js"

export type Message =
  | { readonly begins: number; readonly subject: string; readonly what: string }
  | { readonly ends: number; readonly subject: string; readonly what: string; readonly outcome: Outcome }
  | { readonly maxRssMb: number }

const LANES = 6

const [endpoint = "", seed = "0", from = "0", to = "0"] = process.argv.slice(2)
const send = (message: Message): void => void process.send?.(message)

const files = [...TRANSFER_SUBJECTS, ...(await stateSubjects())]
const answers = await kmsSubjects(endpoint)
const base = mkdtempSync(join(tmpdir(), "keyferry-fuzz-"))
let next = Number(from)

async function lane(): Promise<void> {
  while (next < Number(to)) {
    const number = next
    next += 1
    const random = randomOf(Number(seed), number)
    // answers take longer, since keyferry asks again
    const subject = random.pick(random.below(8) === 0 ? answers : files)
    const { what, bytes } = mutate(subject.sample, random)
    // the parser of YAML takes a few hundred times what it reads
    if (subject.name === CONFIGURATION && bytes.length > 100_000) continue
    const about = { subject: subject.name, what }
    send({ begins: number, ...about })
    const folder = mkdtempSync(join(base, "case-"))
    const outcome = await judge(subject, bytes, folder)
    rmSync(folder, { recursive: true, force: true })
    send({ ends: number, ...about, outcome })
  }
}

try {
  // what is not changed is accepted: else nothing that follows says anything
  for (const subject of files) {
    const outcome = await judge(subject, subject.sample, mkdtempSync(join(base, "sample-")))
    if (outcome !== "accepted") throw new Error(`${subject.name}, unchanged: ${JSON.stringify(outcome)}`)
  }
  await Promise.all(Array.from({ length: LANES }, lane))
} finally {
  rmSync(base, { recursive: true, force: true })
}
send({ maxRssMb: process.resourceUsage().maxRSS / 1024 })
process.disconnect()
