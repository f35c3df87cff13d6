import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"

const PROGRAM = fileURLToPath(new URL("./state-process.js", import.meta.url))

interface Start {
  readonly prefix?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}

/** Starts an action of `state-process.ts` in a process of its own; `prefix` is what it starts with, such as `unshare`. */
export function start(
  action: string,
  path: string,
  { prefix = [], env = {} }: Start = {},
): ChildProcessWithoutNullStreams {
  const words = [...prefix, process.execPath, PROGRAM, action, path]
  const child = spawn(words[0] ?? "", words.slice(1), { env: { ...process.env, ...env } })
  child.stderr.pipe(process.stderr)
  return child
}

/** Runs an action to its end; the exit status, or the signal that ended it. */
export async function run(action: string, path: string): Promise<number | string> {
  const [code, signal] = (await once(start(action, path), "exit")) as [number | null, string | null]
  return code ?? signal ?? "unknown"
}

/** The first line that the process writes. */
export async function firstLine(child: ChildProcessWithoutNullStreams): Promise<string> {
  const [chunk] = (await once(child.stdout, "data")) as [Buffer]
  return chunk.toString().trim()
}
