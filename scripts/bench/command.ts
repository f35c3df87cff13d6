import { readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { keyferry } from "#test/support/cli.js"
import { type Usage, USAGE } from "./usage.js"

/** What a run of the built command cost. */
export interface CommandCost extends Usage {
  readonly seconds: number
  readonly result: unknown
}

/** Runs `keyferry` as a user would, and measures the whole process. Throws unless it ends with status 0. */
export async function measured(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Promise<CommandCost> {
  const file = join(tmpdir(), `keyferry-bench-usage-${process.pid}`)
  const start = performance.now()
  const run = await keyferry([...args, "--json"], {
    env: { ...env, NODE_OPTIONS: `--import file://${USAGE}`, BENCH_USAGE: file },
  })
  const seconds = (performance.now() - start) / 1000
  if (run.status !== 0) throw new Error(`${args.join(" ")}: ${run.stderr.slice(-2000)}`)
  const usage = JSON.parse(readFileSync(file, "utf8")) as Usage
  rmSync(file)
  return { ...usage, seconds, result: run.json() }
}
