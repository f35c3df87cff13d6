import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect } from "chai"
import type { CliResult } from "#test/support/cli.js"
import { filesUnder, type Stage } from "../../support/stage.js"

export const AES = ["--key-spec", "SYMMETRIC_DEFAULT"] as const

type Env = Readonly<Record<string, string | undefined>>

/** Where a command fails and its hint is followed: a state directory of its own, with names that nobody else has. */
export interface Situation {
  readonly stage: Stage
  readonly state: string
  /** A name for a key, the same each time. */
  readonly name: string
  /** A path for a file that is not there yet. */
  readonly file: (name: string) => string
  readonly run: (args: readonly string[], env?: Env) => Promise<CliResult>
  /** A command that is to end well. */
  readonly well: (args: readonly string[], env?: Env) => Promise<CliResult>
  /** Writes over what the first file below a folder of the state directory holds; the result puts it back, as a backup does. */
  readonly damage: (folder: string) => () => void
}

let situations = 0

export function situationOn(stage: Stage): Situation {
  situations += 1
  const name = `hint-${situations}`
  const state = stage.state()
  const run: Situation["run"] = (args, env = {}) => stage.run(args, { state, env })
  return {
    stage,
    state,
    name,
    file: (file) => join(stage.folder, `${name}-${file}`),
    run,
    async well(args, env) {
      const result = await run(args, env)
      expect(result.status, `${args.join(" ")}\n${result.stderr}`).to.equal(0)
      return result
    },
    damage(folder) {
      const [first = ""] = filesUnder(join(state, folder))
      const path = join(state, folder, first)
      const kept = readFileSync(path, "utf8")
      writeFileSync(path, "garbage\n")
      return () => {
        writeFileSync(path, kept)
      }
    },
  }
}

/** A failure, and what a person does who reads its hint. */
export interface Followed {
  readonly fails: (situation: Situation) => Promise<CliResult>
  readonly follow: (situation: Situation, hint: string) => Promise<CliResult>
  /** How far it gets; to its end where this is left out. */
  readonly further?: (result: CliResult) => void
}

/** Why a command did not do what it was asked: by its error, or by the row of the one key that it was about. */
export function failureOf(result: CliResult): { readonly code: string; readonly hint: string } {
  if (/^\{"error":.*\}$/m.test(result.stderr)) return result.error()
  const { keys = [] } = result.json() as { keys?: readonly { reason: string; hint: string | null }[] }
  const [row] = keys.filter(({ hint }) => hint !== null)
  return { code: row?.reason ?? result.stdout, hint: row?.hint ?? "" }
}

/** Words of a hint that begin with two hyphens. */
export const flagIn = (hint: string, flag: string): string => {
  expect(hint).to.include(flag)
  return flag
}

/** The command that stands in the hint between backticks and begins so. */
export const commandIn = (hint: string, begin = ""): readonly string[] => {
  const [, words = ""] = new RegExp(`\`keyferry (${begin}[a-z -]*?)\``).exec(hint) ?? []
  expect(words, hint).to.not.equal("")
  return words.split(" ")
}
