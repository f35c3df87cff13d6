import { execFileSync } from "node:child_process"
import { mkdirSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import type { TestToken } from "#test/support/tokens.js"

// the compiler leaves the C file where it is
const SOURCE = fileURLToPath(new URL("../../../scripts/bench/wrap-loop.c", import.meta.url))
const PROGRAM = fileURLToPath(new URL("../../bench/wrap-loop", import.meta.url))
const FLAGS = ["-O2", "-std=c11", "-D_POSIX_C_SOURCE=200809L", "-Wall", "-Wextra"]

export interface Pace {
  readonly keys: number
  readonly seconds: number
}

interface Limits {
  readonly seconds: number
  readonly keys?: number
  /** Token objects that stay, by the calls of a provision. */
  readonly keep?: boolean
}

/** The C program that sets the mark; compiled when it is asked for. */
export function wrapLoop(
  modulus: Uint8Array,
): (token: TestToken, limits: Limits) => Pace & { readonly cpuSeconds: number } {
  mkdirSync(dirname(PROGRAM), { recursive: true })
  execFileSync("cc", [...FLAGS, SOURCE, "-o", PROGRAM, "-ldl"], { stdio: "inherit" })
  return (token, limits) => {
    const modulusFile = join(token.dir, "modulus")
    writeFileSync(modulusFile, modulus)
    const more = limits.keys === undefined ? [] : [String(limits.keys), ...(limits.keep === true ? ["keep"] : [])]
    const args = [token.module, token.label, token.pinFile, modulusFile, String(limits.seconds), ...more]
    const said = execFileSync(PROGRAM, args, { encoding: "utf8", env: { ...process.env, ...token.env } })
    const [keys = 0, seconds = 0, cpuSeconds = 0] = said.trim().split(" ").map(Number)
    return { keys, seconds, cpuSeconds }
  }
}
