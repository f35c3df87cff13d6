import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import type { KeyRow } from "#src/core/plan/row.js"
import { expectErrorSchema, expectSchema } from "./json-schema.js"

export const MAIN = fileURLToPath(new URL("../../../dist/main.cjs", import.meta.url))

/** Where Node.js keeps what it has compiled; of a process whose coverage is measured it would make that less exact. */
const compiled = process.env["KEYFERRY_TEST_COMPILED"]
const COMPILED = compiled === undefined ? {} : { NODE_COMPILE_CACHE: compiled }

export interface CliResult {
  readonly status: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
  /** stdout as JSON, held against the schema of the command. */
  json(): unknown
  /** The error object that is the last line of stderr with `--json`, held against its schema. */
  error(): {
    code: string
    message: string
    hint: string
    key: string | null
    causes: { code: string; message: string }[]
  }
}

export interface CliOptions {
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly cwd?: string
  /** What the command starts with, such as openCryptoki's namespace. */
  readonly prefix?: readonly string[]
  readonly input?: string
  /** Kills the process as soon as it has written this to stderr. */
  readonly killAt?: RegExp
  /** Kills the process when this resolves. */
  readonly killWhen?: Promise<unknown>
  /** What it is killed by; SIGKILL unless said otherwise. */
  readonly signal?: NodeJS.Signals
}

/**
 * Runs the built `keyferry` in a process of its own, with nothing of this environment but PATH and HOME. Coverage is not
 * asked for, which node would pass on by itself: writing its report takes a third as long as the command.
 */
export function keyferry(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  const [command = "", ...rest] = [...(options.prefix ?? []), process.execPath, MAIN, ...args]
  const env = {
    ...COMPILED,
    PATH: process.env["PATH"],
    HOME: process.env["HOME"],
    NODE_V8_COVERAGE: "",
    ...options.env,
  }
  const child = spawn(command, rest, { env, cwd: options.cwd, stdio: ["pipe", "pipe", "pipe"] })
  const kill = (): boolean => child.kill(options.signal ?? "SIGKILL")
  let [stdout, stderr] = ["", ""]
  child.stdout.setEncoding("utf8").on("data", (piece: string) => (stdout += piece))
  child.stderr.setEncoding("utf8").on("data", (piece: string) => {
    stderr += piece
    if (options.killAt?.test(stderr) === true) kill()
  })
  void options.killWhen?.then(kill)
  child.stdin.on("error", () => undefined)
  child.stdin.end(options.input ?? "")
  return new Promise((resolve, reject) => {
    child.on("error", reject)
    child.on("close", (status, signal) => {
      resolve({
        status,
        signal,
        stdout,
        stderr,
        json: (): unknown => {
          const object: unknown = JSON.parse(stdout)
          expectSchema(args, object)
          return object
        },
        error: () => {
          const object = JSON.parse(stderr.trim().split("\n").at(-1) ?? "") as { error: ReturnType<CliResult["error"]> }
          expectErrorSchema(object)
          return object.error
        },
      })
    })
  })
}

/** Outcome and reason of each row of a command over many keys, as `done DUE`. */
export function outcomesByName(result: CliResult): Readonly<Record<string, string>> {
  const { keys } = result.json() as { readonly keys: readonly KeyRow[] }
  return Object.fromEntries(keys.map(({ name, outcome, reason }) => [name, `${outcome} ${reason}`]))
}
