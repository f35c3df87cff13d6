import { allCommands, COMMAND_NAMES, COMPLETE } from "../commands/commands.js"
import type { AnyCommand, OptionTable } from "../command.js"
import { GENERAL } from "../options/options.js"
import { type Named, namesToComplete } from "../../host/names.js"
import { longForms } from "./command-words.js"
import { looksLikeOption, optionName, plainWords } from "./words.js"

/** Options whose values are names that keyferry knows. */
const NAMED: Readonly<Record<string, Named>> = { key: "keys", name: "keys", target: "targets", token: "tokens" }

/** What a shell is to offer for the last word. */
export interface Completions {
  readonly offers: readonly string[]
  /** Whether it can be nothing else; otherwise the command's options and words are offered as well. */
  readonly isAll: boolean
}

/**
 * Names for the last word of a command line that a completion script asks about (`--get-yargs-completions keyferry …`):
 * quickly, and never with an error.
 */
export async function completions(words: readonly string[], env: NodeJS.ProcessEnv): Promise<Completions> {
  const typed = longForms(joined(words.slice(words.indexOf(COMPLETE) + 2)))
  const last = typed.at(-1) ?? ""
  const before = typed.slice(0, -1)
  const places = { config: optionIn(before, "config"), stateDir: optionIn(before, "state-dir") }
  if (before[0] === "help") return { offers: offersOfHelp(before.slice(1)), isAll: true }

  const [, inWord, begun] = /^--([a-z-]+)=(.*)$/s.exec(last) ?? []
  const previous = before.at(-1) ?? ""
  const option = inWord ?? (looksLikeOption(previous) && !previous.includes("=") ? optionName(previous) : undefined)
  const kind = option === undefined || !Object.hasOwn(NAMED, option) ? undefined : NAMED[option]
  if (kind !== undefined) {
    const names = await namesToComplete(kind, places, env)
    // bash has the option and its value as words of their own
    const prefix = inWord === undefined || isBash(env) ? "" : `--${inWord}=`
    return {
      offers: names.filter((name) => name.startsWith(begun ?? "")).map((name) => prefix + name),
      isAll: names.length > 0,
    }
  }
  if (looksLikeOption(last)) return { offers: [], isAll: false }
  const command = await commandOf(before)
  const options: OptionTable = { ...GENERAL, ...command?.options }
  const takesValue = option !== undefined && options[option] !== undefined && options[option].type !== "boolean"
  if (command?.names === undefined || takesValue) return { offers: [], isAll: false }
  const given = plainWords(before, options)
  const names = await namesToComplete("keys", places, env)
  return { offers: names.filter((name) => !given.includes(name)), isAll: false }
}

/** bash parts words at `=`. */
function joined(words: readonly string[]): readonly string[] {
  const [value, equals] = words.at(-1) === "=" ? ["", words.length - 1] : [words.at(-1) ?? "", words.length - 2]
  if (words[equals] !== "=" || equals < 1) return words
  return [...words.slice(0, equals - 1), `${words[equals - 1] ?? ""}=${value}`]
}

const isBash = (env: NodeJS.ProcessEnv): boolean => env["SHELL"] === "bash"

async function commandOf(words: readonly string[]): Promise<AnyCommand | undefined> {
  const commands = await allCommands()
  const [first = "", second = ""] = plainWords(words, GENERAL)
  return commands.find(({ name }) => name === `${first} ${second}`) ?? commands.find(({ name }) => name === first)
}

function optionIn(words: readonly string[], name: string): string | undefined {
  const at = words.findIndex((word) => word === `--${name}` || word.startsWith(`--${name}=`))
  if (at === -1) return undefined
  return words[at] === `--${name}` ? words[at + 1] : words[at]?.slice(name.length + 3)
}

/** `help` takes the words of a command. */
function offersOfHelp(typed: readonly string[]): readonly string[] {
  const names = COMMAND_NAMES.map((name) => name.split(" "))
  const next = names
    .filter((parts) => typed.every((word, at) => parts[at] === word))
    .map((parts) => parts[typed.length])
  return [...new Set(next.filter((word) => word !== undefined))]
}
