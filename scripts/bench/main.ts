/** `npm run bench [-- --strict] [-- --only a,b,c,d,e,f,g]`: ratios measured side by side in one run; see docs/performance.md. */
import { readFileSync } from "node:fs"
import { parseArgs } from "node:util"
import { PLAIN } from "#src/cli/text/layout.js"
import { table } from "#src/cli/text/table.js"
import { watched } from "./agent.js"
import type { Job } from "./child.js"
import { coldStart } from "./cold-start.js"
import { type Measure, met, row } from "./measure.js"
import { planCalls, planning } from "./plan.js"
import { provisioning, provisionKeys } from "./provision.js"
import { rewrapping } from "./rewrap.js"
import { scale } from "./scale.js"
import { recordedKeys, tokenCalls } from "./token-calls.js"

const PARTS = {
  a: tokenCalls,
  b: provisioning,
  c: coldStart,
  d: rewrapping,
  e: planning,
  f: watched,
  g: scale,
} as const

const JOBS: Readonly<Record<string, Job<never, unknown>>> = {
  "recorded-keys": recordedKeys,
  provision: provisionKeys,
  "plan-calls": planCalls,
}

async function bench(): Promise<void> {
  const { values } = parseArgs({ options: { strict: { type: "boolean" }, only: { type: "string" } } })
  const wanted = values.only?.split(",") ?? Object.keys(PARTS)
  const measures: Measure[] = []
  for (const [name, part] of Object.entries(PARTS)) {
    if (!wanted.includes(name)) continue
    measures.push(...(await part((text) => console.error(`(${name}) ${text}`))))
  }
  console.log(table(["part", "measured", "value", "target", ""], measures.map(row), PLAIN))
  const missed = measures.filter((measure) => !met(measure))
  console.log(missed.length === 0 ? "every target is met" : `${missed.length} targets are missed`)
  if (values.strict === true && missed.length > 0) process.exitCode = 1
}

const [word, name = ""] = process.argv.slice(2)
if (word === "job") {
  const job = JOBS[name]
  if (job === undefined) throw new Error(`no job ${name}`)
  process.stdout.write(JSON.stringify(await job(JSON.parse(readFileSync(0, "utf8")) as never)))
} else {
  await bench()
}
