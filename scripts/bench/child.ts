import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"

const MAIN = fileURLToPath(new URL("./main.js", import.meta.url))

/** A job that main.ts can run in a process of its own, so that what it costs is told apart from the bench. */
export type Job<I, O> = (input: I) => Promise<O>

/** Starts this bench again for one of its jobs and gives the answer that it printed. */
export async function inChild<O>(
  job: string,
  input: object,
  env: Readonly<Record<string, string | undefined>>,
): Promise<O> {
  const surroundings = { PATH: process.env["PATH"], ...env }
  const run = promisify(execFile)(process.execPath, [MAIN, "job", job], { env: surroundings })
  // 10,000 ARNs are more than arguments may hold
  run.child.stdin?.end(JSON.stringify(input))
  const { stdout } = await run
  return JSON.parse(stdout) as O
}
