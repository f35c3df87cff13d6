import { expect } from "chai"
import type { ErrorCode } from "#src/core/base/error.js"
import type { CliOptions, CliResult } from "#test/support/cli.js"
import type { Stage } from "./stage.js"

/** How a command is to be refused. The exit status stands here as a number: it is part of the contract. */
export interface Refusal {
  readonly code: ErrorCode
  readonly exit: number
  /** What the message, the hint or a cause must tell. */
  readonly tells?: RegExp
}

type Options = CliOptions & { readonly state?: string }

/**
 * Runs a command that is to be refused, and holds everything that a refusal promises: code, exit status and hint, one
 * JSON object as the last line of stderr, nothing on stdout, and nothing made, spent or left behind.
 */
export async function refused(
  stage: Stage,
  args: readonly string[],
  { code, exit, tells }: Refusal,
  { state = stage.state(), ...options }: Options = {},
): Promise<CliResult> {
  const before = await stage.footprint(state)
  const result = await stage.run([...args, "--json"], { state, ...options })
  expect(result.stderr, args.join(" ")).to.match(/^\{"error":.*\}\n$/m)
  const error = result.error()
  expect(error.code, error.message).to.equal(code)
  expect(result.status).to.equal(exit)
  expect(error.hint).to.not.equal("")
  expect(result.stdout).to.equal("")
  if (tells !== undefined) expect(JSON.stringify(error)).to.match(tells)
  expect(secretsIn(stage, result)).to.deep.equal([])
  expect(await stage.footprint(state)).to.deep.equal(before)
  return result
}

/** Names of the secrets that an output shows; there must be none (invariant I7). */
export function secretsIn({ token }: Stage, { stdout, stderr }: CliResult): readonly string[] {
  const secrets = { PIN: token.pin, "security officer's PIN": token.soPin }
  return Object.entries(secrets).flatMap(([name, secret]) =>
    secret !== undefined && (stdout + stderr).includes(secret) ? [name] : [],
  )
}

const PROVISION = {
  name: "payments",
  "key-spec": "SYMMETRIC_DEFAULT",
  custody: "token",
} as const

/** The words of `provision` for a symmetric key named payments, with other or more options. */
export function provisionArgs(options: Readonly<Record<string, string | true>> = {}): readonly string[] {
  const all: Readonly<Record<string, string | true>> = { ...PROVISION, ...options }
  return [
    "provision",
    ...Object.entries(all).flatMap(([name, value]) => [`--${name}`, ...(value === true ? [] : [value])]),
  ]
}
